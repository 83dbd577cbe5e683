//! The way from outside to one link of a room: a queue of packets, and one of commands.

use super::grant::{Grant, JoinFailed};
use crate::room::{Delivery, Link, LinkId, RoomId, Sender};
use atoll_proto::datagram::{Alias, Sequence, Tag};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Packets of one link that may wait for its room's task, so that no one fills the queue that all share.
const MAX_WAITING: usize = 128;

/// More packets wait than one link may have waiting; this one was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more packets wait for the room than one link may have waiting")]
pub struct Busy;

/// A packet on its way to its room.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) tag: Tag,
    pub(super) link: LinkId,
    pub(super) from: Alias,
    pub(super) delivery: Delivery,
    pub(super) sequence: Sequence,
    pub(super) payload: Bytes,
    /// What its sender has waiting; counted down when the packet is taken.
    pub(super) waiting: Arc<AtomicUsize>,
}

/// What changes a room.
pub(super) enum Control {
    Join { grant: Grant, link: Box<dyn Link>, ways: Ways, reply: oneshot::Sender<Result<(Line, Alias), JoinFailed>> },
    Open { room: RoomId, link: Box<dyn Link>, ways: Ways, reply: oneshot::Sender<Line> },
    Add { tag: Tag, link: LinkId, sender: Sender, ways: Ways, reply: oneshot::Sender<Result<Admitted, JoinFailed>> },
    Remove { tag: Tag, link: LinkId, member: Alias },
    Close { tag: Tag, link: LinkId },
}

/// The way from outside to one link of one room. Dropping it closes the link, wherever it is dropped: also in an answer
/// that nobody waits for any more.
#[derive(Debug)]
pub(super) struct Line {
    tag: Tag,
    link: LinkId,
    ways: Ways,
    waiting: Arc<AtomicUsize>,
}

/// A member behind a bridge whose alias the bridge does not know yet. Dropping it takes the member out again.
#[derive(Debug)]
pub(super) struct Admitted {
    tag: Tag,
    link: LinkId,
    member: Option<Alias>,
    ways: Ways,
}

impl Admitted {
    pub(super) fn new(tag: Tag, link: LinkId, member: Alias, ways: Ways) -> Self {
        Self { tag, link, member: Some(member), ways }
    }

    /// The alias, now somebody's.
    pub(super) fn keep(mut self) -> Option<Alias> {
        self.member.take()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(member) = self.member {
            let _ = self.ways.control.send(Control::Remove { tag: self.tag, link: self.link, member });
        }
    }
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
    pub(super) fn new(tag: Tag, link: LinkId, ways: Ways) -> Self {
        Self { tag, link, ways, waiting: Arc::default() }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    pub(super) fn ways(&self) -> &Ways {
        &self.ways
    }

    pub(super) fn send(&self, from: Alias, delivery: Delivery, sequence: Sequence, payload: Bytes) -> Result<(), Busy> {
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

    pub(super) fn control(&self, command: impl FnOnce(Tag, LinkId) -> Control) {
        // Fails only when the region has ended, and the room with it.
        let _ = self.ways.control.send(command(self.tag, self.link));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.control(|tag, link| Control::Close { tag, link });
    }
}
