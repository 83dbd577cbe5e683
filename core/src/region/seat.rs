//! Places in a room, from outside: what a door holds.

use super::grant::JoinFailed;
use super::line::{Busy, Control, Line};
use crate::room::{Delivery, Sender};
use atoll_proto::datagram::{Alias, Sequence, Tag};
use bytes::Bytes;
use tokio::sync::oneshot;

/// One address's place in one room. Dropping it gives the place up.
#[derive(Debug)]
pub struct Seat {
    line: Line,
    alias: Alias,
}

impl Seat {
    pub(super) fn new(line: Line, alias: Alias) -> Self {
        Self { line, alias }
    }

    /// The tag of the room's incarnation.
    pub fn tag(&self) -> Tag {
        self.line.tag()
    }

    /// Sends a packet. Never waits; what the room refuses comes back through the link.
    ///
    /// # Errors
    /// [`Busy`]: the packet was dropped.
    pub fn send(&self, delivery: Delivery, sequence: Sequence, payload: Bytes) -> Result<(), Busy> {
        self.line.send(self.alias, delivery, sequence, payload)
    }
}

/// A link that stands for many members. Dropping it takes them all out.
#[derive(Debug)]
pub struct Bridge {
    line: Line,
}

impl Bridge {
    pub(super) fn new(line: Line) -> Self {
        Self { line }
    }

    /// The tag of the room's incarnation.
    pub fn tag(&self) -> Tag {
        self.line.tag()
    }

    /// Seats a member behind this bridge; another seat of the same sender in this room is kicked.
    ///
    /// # Errors
    /// [`JoinFailed::Full`], also when the room has dropped the link; [`JoinFailed::Ending`].
    pub async fn add(&self, sender: Sender) -> Result<Alias, JoinFailed> {
        let (reply, answer) = oneshot::channel();
        let ways = self.line.ways().clone();
        self.line.control(|tag, link| Control::Add { tag, link, sender, ways, reply });
        let admitted = answer.await.map_err(|_| JoinFailed::Ending)??;
        admitted.keep().ok_or(JoinFailed::Ending)
    }

    /// Takes a member's seat away.
    pub fn remove(&self, member: Alias) {
        self.line.control(|tag, link| Control::Remove { tag, link, member });
    }

    /// Sends a packet of a member of this bridge.
    ///
    /// # Errors
    /// [`Busy`]: the packet was dropped.
    pub fn send(&self, from: Alias, delivery: Delivery, sequence: Sequence, payload: Bytes) -> Result<(), Busy> {
        self.line.send(from, delivery, sequence, payload)
    }
}
