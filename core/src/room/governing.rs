//! What is done to a room by none of its members: who governs it takes seats away, and speaks to those who are there.

use super::batch::{Batch, Ordered};
use super::frame::{CloseReason, Frame};
use super::{Delivery, MAX_ORDERED_PAYLOAD, Outgoing, Report, Room, SendError, Sender, SessionId};
use atoll_proto::datagram::{Alias, Kind, MAX_PAYLOAD, Sequence};
use std::sync::Arc;

/// Somebody without a seat who has spoken to the room.
#[derive(Debug)]
pub(super) struct Announcer {
    sender: Sender,
    /// A number that no member has.
    alias: Alias,
    last: u16,
}

/// Somebody who took a seat, or left one. Another connection of a seat is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The seat.
    pub alias: Alias,
    /// Whose it is.
    pub sender: Sender,
    /// Whether the others are not told.
    pub hidden: bool,
    /// Whether it was taken, and not left.
    pub came: bool,
}

impl Room {
    /// Notes from now on who comes and goes, those who are here first.
    pub fn note_visits(&mut self) {
        self.members.note_visits();
    }

    /// Who came and went since the last call, in this order; nothing without [`Room::note_visits`].
    pub fn take_visits(&mut self) -> Vec<Visit> {
        self.members.take_visits()
    }

    /// Takes a member's seat away. Its link hears why, unless that stands for others, too. Whose seat it was, and of which session.
    pub fn dismiss(&mut self, alias: Alias, reason: CloseReason) -> Option<(Sender, Option<SessionId>)> {
        let member = self.members.one(alias)?;
        let dismissed = (member.sender.clone(), member.session);
        self.evict(alias, reason);
        Some(dismissed)
    }

    /// The same for everybody.
    pub fn dismiss_all(&mut self, reason: CloseReason) -> Vec<(Sender, Option<SessionId>)> {
        let everybody = self.members.aliases();
        everybody.into_iter().filter_map(|alias| self.dismiss(alias, reason)).collect()
    }

    /// Says something by somebody who has no seat. Everybody hears it as they hear a hidden member: with the name, where their
    /// transport tells that. What is not ordered is an event.
    ///
    /// # Errors
    /// [`SendError::TooLarge`]: it reaches nobody.
    pub fn announce(&mut self, sender: &Sender, delivery: Delivery, said: Outgoing) -> Result<Report, SendError> {
        let is_ordered = delivery == Delivery::Ordered;
        let limit = if is_ordered { MAX_ORDERED_PAYLOAD } else { MAX_PAYLOAD };
        if said.payload.len() > limit {
            return Err(SendError::TooLarge(said.payload.len()));
        }
        let (alias, sequence) = self.announcer(sender);
        let to = said.to.clone();
        let frame = if is_ordered {
            Frame::Ordered(Arc::new(Ordered::new(alias, sender.clone(), said)))
        } else {
            let from = (alias, sender.clone());
            Frame::Batch(Arc::new(Batch::of_one(self.tag(), from, Kind::Event, sequence, said)))
        };
        let mut report = Report { entries: 1, ..Report::default() };
        self.push(alias, to.as_deref(), &frame, &mut report);
        Ok(Report { gone: self.drop_gone(), ..report })
    }

    /// The number by which the room knows it, and that of its next packet.
    fn announcer(&mut self, sender: &Sender) -> (Alias, Sequence) {
        if self.announcer.as_ref().is_none_or(|known| known.sender != *sender) {
            let alias = self.members.reserve();
            self.announcer = Some(Announcer { sender: sender.clone(), alias, last: 0 });
        }
        match &mut self.announcer {
            Some(known) => {
                known.last = known.last.wrapping_add(1);
                (known.alias, Sequence(known.last))
            }
            None => (self.members.reserve(), Sequence(0)),
        }
    }
}
