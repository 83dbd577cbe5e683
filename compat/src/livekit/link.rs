//! How a room reaches a participant.

use super::mailbox::{MAX_MESSAGE, Mail, Mailbox};
use crate::counters::RoomCounters;
use atoll_core::room::{Frame, Link, Pressure};
use atoll_proto::datagram::Tag;
use std::sync::Arc;

/// The link of one seat.
pub(super) struct RoomLink {
    mailbox: Arc<Mailbox>,
    counters: Arc<RoomCounters>,
}

impl RoomLink {
    pub(super) fn new(mailbox: Arc<Mailbox>, counters: Arc<RoomCounters>) -> Self {
        Self { mailbox, counters }
    }

    /// Hands on what may not be lost. When the participant is too slow for it, it ends by itself, and gives the seat up once all
    /// that it said has gone in: a room takes the seat of a link that has gone at once.
    fn must(&self, mail: Mail) -> Pressure {
        self.mailbox.push(mail);
        Pressure::Flowing
    }
}

impl Link for RoomLink {
    fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
        match frame {
            Frame::Members(list) => self.must(Mail::Members(list)),
            Frame::Batch(batch) | Frame::Voice(batch) => {
                self.mailbox.push_batch(batch);
                Pressure::Flowing
            }
            Frame::Ordered(ordered) => match self.mailbox.words().ordered(&ordered).map(|message| message.len()) {
                Some(length) if length > MAX_MESSAGE => Pressure::TooLarge,
                Some(_) => self.must(Mail::Ordered(ordered)),
                // The client has no words for it.
                None => {
                    self.counters.untranslated.add(1);
                    Pressure::Flowing
                }
            },
            Frame::Refused { .. } => {
                self.counters.refused.add(1);
                Pressure::Flowing
            }
            // There are no words for it here; the region counts it.
            Frame::NotForAll { .. } => Pressure::Flowing,
            Frame::Closed(reason) => {
                self.mailbox.push(Mail::Closed(reason));
                Pressure::Gone
            }
        }
    }
}
