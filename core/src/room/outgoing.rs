//! What a member says, and perhaps to whom and about what.

use super::{Older, Payload};
use atoll_proto::datagram::Alias;
use bytes::Bytes;
use std::sync::Arc;

/// A payload on its way to the room: for everybody, unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The packet.
    pub payload: Payload,
    /// The members it is for, and nobody else: an empty list reaches nobody, who is not here (any more) is passed over, and
    /// so is the sender. `None` is everybody.
    pub to: Option<Arc<[Alias]>>,
    /// What LiveKit's clients call the topic; only their links look at it.
    pub topic: Option<Arc<str>>,
}

impl Outgoing {
    /// It, for these alone.
    #[must_use]
    pub fn to(self, members: impl Into<Arc<[Alias]>>) -> Self {
        Self { to: Some(members.into()), ..self }
    }

    /// It, with a topic.
    #[must_use]
    pub fn about(self, topic: impl Into<Arc<str>>) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// Whether it is for everybody, and about nothing: a later update can replace it.
    pub(super) fn is_plain(&self) -> bool {
        self.to.is_none() && self.topic.is_none()
    }

    /// Bytes of memory that it takes: the payload's, and what is said beside it.
    pub(crate) fn size(&self) -> usize {
        let addressees = self.to.as_ref().map_or(0, |to| size_of_val::<[Alias]>(to));
        self.payload.len() + addressees + self.topic.as_ref().map_or(0, |topic| topic.len())
    }
}

impl From<Payload> for Outgoing {
    /// For everybody.
    fn from(payload: Payload) -> Self {
        Self { payload, to: None, topic: None }
    }
}

impl From<Bytes> for Outgoing {
    /// For everybody.
    fn from(packet: Bytes) -> Self {
        Payload::from(packet).into()
    }
}

impl From<Older> for Outgoing {
    /// For everybody.
    fn from(older: Older) -> Self {
        Payload::from(older).into()
    }
}
