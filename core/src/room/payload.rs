//! What a packet says, to readers of either generation.

use atoll_proto::translation::{Translation, to_rfc4};
use bytes::Bytes;

/// A comms packet: an RFC-4 packet, or what a client of 2022's summer said, with its translation if there is one.
///
/// Who reads the words it was said in gets these very bytes.
#[derive(Debug, Clone)]
pub struct Payload {
    pub(super) rfc4: Option<Bytes>,
    pub(super) older: Option<Older>,
}

/// What an older client said.
#[derive(Debug, Clone)]
pub struct Older {
    /// The packet, a `Data`.
    pub data: Bytes,
    /// Whether it goes with who said it.
    pub with_identity: bool,
}

impl From<Bytes> for Payload {
    /// What every later client says.
    fn from(packet: Bytes) -> Self {
        Self { rfc4: Some(packet), older: None }
    }
}

impl From<Older> for Payload {
    /// Translated for the others. What neither generation knows they get as it is.
    fn from(older: Older) -> Self {
        let rfc4 = match to_rfc4(&older.data) {
            Translation::Packet(packet) => Some(packet),
            Translation::Unknown => Some(older.data.clone()),
            Translation::None => None,
        };
        Self { rfc4, older: Some(older) }
    }
}

impl Payload {
    /// The packet for readers of RFC-4; `None` when it can be said to older ones only.
    pub fn rfc4(&self) -> Option<&Bytes> {
        self.rfc4.as_ref()
    }

    /// What an older client said, if one did.
    pub fn older(&self) -> Option<&Older> {
        self.older.as_ref()
    }

    /// What it is told from others by: any of its forms.
    pub(super) fn any(&self) -> &[u8] {
        let older = self.older.as_ref().map(|older| &older.data);
        self.rfc4.as_ref().or(older).map_or(&[], |packet| packet)
    }

    /// Bytes of its longest form.
    pub fn len(&self) -> usize {
        let older = self.older.as_ref().map_or(0, |older| older.data.len());
        self.rfc4.as_ref().map_or(0, Bytes::len).max(older)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
