//! Places in a room, from outside: what a door holds.

use super::shard::{Control, Packet};
use crate::room::{Delivery, LinkId, RoomId, Sender, SessionId};
use atoll_proto::datagram::{Alias, Sequence, Tag};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Packets of one link that may wait for its room's task, so that no one fills the queue that all share.
const MAX_WAITING: usize = 128;

/// A verified right to one seat.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(super) room: RoomId,
    pub(super) sender: Sender,
    pub(super) session: Option<SessionId>,
    pub(super) generation: u64,
}

impl Grant {
    /// The room it is for.
    pub fn room(&self) -> &RoomId {
        &self.room
    }
}

/// Why a seat was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinFailed {
    /// The session has been put elsewhere since the grant, or has ended.
    #[error("the grant is out of date")]
    Stale,
    /// The room has as many members as it may.
    #[error("the room is full")]
    Full,
    /// The region is ending.
    #[error("the region is ending")]
    Ending,
}

/// More packets wait than one link may have waiting; this one was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more packets wait for the room than one link may have waiting")]
pub struct Busy;

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
        self.line.tag
    }

    /// The alias the others know this member by.
    pub fn alias(&self) -> Alias {
        self.alias
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
        self.line.tag
    }

    /// Seats a member behind this bridge; another seat of the same sender in this room is kicked.
    ///
    /// # Errors
    /// [`JoinFailed::Full`], also when the room has dropped the link; [`JoinFailed::Ending`].
    pub async fn add(&self, sender: Sender) -> Result<Alias, JoinFailed> {
        let (reply, answer) = oneshot::channel();
        self.line.control(|tag, link| Control::Add { tag, link, sender, reply });
        answer.await.map_err(|_| JoinFailed::Ending)?
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

/// The way from outside to one link of one room. Dropping it closes the link.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) tag: Tag,
    pub(super) link: LinkId,
    pub(super) ways: Ways,
    pub(super) waiting: Arc<AtomicUsize>,
}

/// The two queues of a room's task.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// Full under load: packets are dropped then.
    pub(super) packets: mpsc::Sender<Packet>,
    /// Never refuses, because a seat given up must not be forgotten. Bounded by who may write to it: each seat puts two
    /// commands here in its life, and a bridge waits for each addition.
    pub(super) control: mpsc::UnboundedSender<Control>,
}

impl Line {
    fn send(&self, from: Alias, delivery: Delivery, sequence: Sequence, payload: Bytes) -> Result<(), Busy> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let waiting = Arc::clone(&self.waiting);
        let packet = Packet { tag: self.tag, link: self.link, from, delivery, sequence, payload, waiting };
        self.ways.packets.try_send(packet).map_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            Busy
        })
    }

    fn control(&self, command: impl FnOnce(Tag, LinkId) -> Control) {
        // Fails only when the region has ended, and the room with it.
        let _ = self.ways.control.send(command(self.tag, self.link));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.control(|tag, link| Control::Close { tag, link });
    }
}
