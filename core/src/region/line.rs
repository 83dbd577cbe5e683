//! The way from outside to one link of a room: a queue of packets, and one of commands.

use super::grant::{Grant, JoinFailed};
use super::visits::RoomWatch;
use crate::room::{
    CloseReason, Delivery, Link, LinkId, MAX_ORDERED_PAYLOAD, Outgoing, Packet, RoomId, Sender, SessionId,
};
use atoll_proto::datagram::{Alias, Tag};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Packets that may wait for one room's task: a second of 800 senders at 20 Hz.
const PACKET_CAPACITY: usize = 16_384;

/// Packets of one link that may wait for its room's task while the queue that all share is less than half full.
const SHARE: usize = 64;

/// The same beyond that: however many links have used up their [`SHARE`], a thousand others find room for theirs.
const SHARE_UNDER_LOAD: usize = 8;

/// How many links a bridge counts as, because of its many members.
const BRIDGE_WEIGHT: usize = 16;

/// Ordered packets of one link that may wait for its room's task; more wait with their sender.
const ORDERED_WAITING: usize = 16;

/// Bytes of ordered packets that may wait for one room's task.
const ORDERED_BYTES: usize = 4 << 20;

/// What an ordered packet counts beside its payload, so that empty ones are bounded, too.
const ORDERED_OVERHEAD: usize = 256;

/// More packets wait than one link may have waiting; this one was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more packets wait for the room than one link may have waiting")]
pub struct Busy;

/// Why an ordered packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendFailed {
    /// Above [`MAX_ORDERED_PAYLOAD`].
    #[error("a payload of {0} bytes; at most {MAX_ORDERED_PAYLOAD} are allowed")]
    TooLarge(usize),
    /// The region is ending.
    #[error("the region is ending")]
    Ending,
}

/// A packet on its way to its room, which may be dropped on the way.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) tag: Tag,
    pub(super) link: LinkId,
    pub(super) packet: Packet,
    /// What its link has waiting; counted down when the packet is taken.
    pub(super) waiting: Arc<AtomicUsize>,
}

/// The place of an ordered packet in the queue of commands, given back when it is taken.
#[derive(Debug)]
pub(super) struct Place {
    _of_link: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// What changes a room, or must not be lost.
pub(super) enum Control {
    Join {
        grant: Grant,
        link: Box<dyn Link>,
        ways: Ways,
        reply: oneshot::Sender<Result<Placed, JoinFailed>>,
    },
    Open {
        room: RoomId,
        link: Box<dyn Link>,
        ways: Ways,
        reply: oneshot::Sender<Line>,
    },
    Add {
        tag: Tag,
        link: LinkId,
        sender: Sender,
        ways: Ways,
        reply: oneshot::Sender<Result<Admitted, JoinFailed>>,
    },
    Remove {
        tag: Tag,
        link: LinkId,
        member: Alias,
    },
    /// An ordered packet. It stands in this queue so that no end of its seat overtakes it.
    Ordered {
        tag: Tag,
        link: LinkId,
        packet: Packet,
        place: Place,
    },
    Close {
        tag: Tag,
        link: LinkId,
    },
    /// Takes these seats away, or all of them.
    Dismiss {
        tag: Tag,
        members: Option<Vec<Alias>>,
        reason: CloseReason,
        reply: oneshot::Sender<Vec<Dismissed>>,
    },
    /// What somebody without a seat says. It is counted as ordered packets are, so that no more waits than may.
    Announce {
        tag: Tag,
        sender: Sender,
        delivery: Delivery,
        said: Outgoing,
        place: OwnedSemaphorePermit,
    },
    Watch(Arc<dyn RoomWatch>),
}

/// Whose seat was taken away, and of which session.
pub(super) type Dismissed = (Sender, Option<SessionId>);

/// A member's place, with the line to it.
pub(super) struct Placed {
    pub(super) line: Line,
    pub(super) alias: Alias,
    /// The end of the line of the connection from which the seat was taken over.
    pub(super) former: Option<LineEnd>,
}

/// The end of a line, for one to wait for: it has ended when its other half is gone.
pub(super) type LineEnd = oneshot::Receiver<Infallible>;

/// The way from outside to one link of one room. Dropping it closes the link, wherever it is dropped: also in an answer
/// that nobody waits for any more.
#[derive(Debug)]
pub(super) struct Line {
    tag: Tag,
    link: LinkId,
    ways: Ways,
    /// How many links it counts as.
    weight: usize,
    waiting: Arc<AtomicUsize>,
    ordered: Arc<Semaphore>,
    /// The other half of its end.
    _end: Option<oneshot::Sender<Infallible>>,
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
    packets: mpsc::Sender<Queued>,
    /// Never refuses, because a seat given up must not be forgotten. Bounded by who may write to it: each seat puts two
    /// commands here in its life, a bridge waits for each addition, and an ordered packet for its [`Place`].
    pub(super) control: mpsc::UnboundedSender<Control>,
    /// Bytes of ordered packets that may still be put into `control`.
    ordered: Arc<Semaphore>,
}

/// The other ends of [`Ways`].
pub(super) struct Queues {
    pub(super) packets: mpsc::Receiver<Queued>,
    pub(super) control: mpsc::UnboundedReceiver<Control>,
}

impl Ways {
    pub(super) fn new() -> (Self, Queues) {
        let (packets, packet_queue) = mpsc::channel(PACKET_CAPACITY);
        let (control, control_queue) = mpsc::unbounded_channel();
        let ordered = Arc::new(Semaphore::new(ORDERED_BYTES));
        (Self { packets, control, ordered }, Queues { packets: packet_queue, control: control_queue })
    }
}

impl Line {
    /// The line of a seat's link, and its end.
    pub(super) fn of_seat(tag: Tag, link: LinkId, ways: Ways) -> (Self, LineEnd) {
        let (end, ended) = oneshot::channel();
        let mut line = Self::new(tag, link, ways, 1);
        line._end = Some(end);
        (line, ended)
    }

    /// The line of a bridge.
    pub(super) fn of_bridge(tag: Tag, link: LinkId, ways: Ways) -> Self {
        Self::new(tag, link, ways, BRIDGE_WEIGHT)
    }

    fn new(tag: Tag, link: LinkId, ways: Ways, weight: usize) -> Self {
        let ordered = Arc::new(Semaphore::new(ORDERED_WAITING));
        Self { tag, link, ways, weight, waiting: Arc::default(), ordered, _end: None }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    pub(super) fn ways(&self) -> &Ways {
        &self.ways
    }

    /// Sends a packet unless too many wait; an ordered one takes a place in the other queue.
    pub(super) fn send(&self, packet: Packet) -> Result<(), Busy> {
        if packet.delivery == Delivery::Ordered {
            return self.try_send_ordered(packet);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.share() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let waiting = Arc::clone(&self.waiting);
        let queued = Queued { tag: self.tag, link: self.link, packet, waiting };
        self.ways.packets.try_send(queued).map_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            Busy
        })
    }

    /// Sends an ordered packet as soon as it has its place. Given up before that, nothing was sent.
    pub(super) async fn send_ordered(&self, from: Alias, said: Outgoing) -> Result<(), SendFailed> {
        if said.payload.len() > MAX_ORDERED_PAYLOAD {
            return Err(SendFailed::TooLarge(said.payload.len()));
        }
        let of_link = Arc::clone(&self.ordered).acquire_owned().await;
        let of_all = Arc::clone(&self.ways.ordered).acquire_many_owned(bytes_counted(&said)).await;
        let (Ok(of_link), Ok(of_all)) = (of_link, of_all) else { return Err(SendFailed::Ending) };
        let packet = Packet { from, delivery: Delivery::Ordered, sequence: None, said };
        self.put_ordered(packet, Place { _of_link: of_link, _of_all: of_all }).map_err(|Busy| SendFailed::Ending)
    }

    pub(super) fn control(&self, command: impl FnOnce(Tag, LinkId) -> Control) {
        // Fails only when the region has ended, and the room with it.
        let _ = self.ways.control.send(command(self.tag, self.link));
    }

    fn try_send_ordered(&self, packet: Packet) -> Result<(), Busy> {
        let of_link = Arc::clone(&self.ordered).try_acquire_owned().map_err(|_| Busy)?;
        let of_all = Arc::clone(&self.ways.ordered).try_acquire_many_owned(bytes_counted(&packet.said));
        self.put_ordered(packet, Place { _of_link: of_link, _of_all: of_all.map_err(|_| Busy)? })
    }

    fn put_ordered(&self, packet: Packet, place: Place) -> Result<(), Busy> {
        self.ways.control.send(Control::Ordered { tag: self.tag, link: self.link, packet, place }).map_err(|_| Busy)
    }

    fn share(&self) -> usize {
        let loaded = self.ways.packets.capacity() < PACKET_CAPACITY / 2;
        self.weight * if loaded { SHARE_UNDER_LOAD } else { SHARE }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.control(|tag, link| Control::Close { tag, link });
    }
}

impl Ways {
    /// Has something said by somebody without a seat as soon as there is place for it.
    pub(super) async fn announce(
        &self,
        tag: Tag,
        sender: Sender,
        delivery: Delivery,
        said: Outgoing,
    ) -> Result<(), SendFailed> {
        if said.payload.len() > MAX_ORDERED_PAYLOAD {
            return Err(SendFailed::TooLarge(said.payload.len()));
        }
        let place = Arc::clone(&self.ordered).acquire_many_owned(bytes_counted(&said)).await;
        let place = place.map_err(|_| SendFailed::Ending)?;
        let sent = self.control.send(Control::Announce { tag, sender, delivery, said, place });
        sent.map_err(|_| SendFailed::Ending)
    }
}

/// What an ordered packet takes of [`ORDERED_BYTES`].
fn bytes_counted(said: &Outgoing) -> u32 {
    u32::try_from(said.size() + ORDERED_OVERHEAD).unwrap_or(u32::MAX)
}
