//! What leaves a room, and the trait that takes it.

use super::{Batch, Ordered, SendError, Sender};
use atoll_proto::datagram::{Alias, Tag};
use std::sync::Arc;

/// A transport connection as a room sees it: frames go out, "I am behind" comes back.
///
/// `push` is called on the room's task and must not block: it hands bytes to a connection or a bounded queue.
pub trait Link: Send + 'static {
    /// Takes one frame of the room with this tag and tells how the connection fares.
    fn push(&mut self, tag: Tag, frame: Frame) -> Pressure;
}

/// How a link fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// The frame is on its way.
    Flowing,
    /// The connection still holds earlier data, or is lost for the moment; a batch or voice frame was skipped. What may
    /// not be missed, members and ordered packets, the link has kept.
    Behind,
    /// The frame, an ordered packet, is larger than the connection carries: it alone was left out.
    TooLarge,
    /// The connection has ended, or does not read what it may not miss: the room drops the link.
    Gone,
}

/// Something a room tells a link.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Who is in the room.
    Members(MemberList),
    /// The news of one tick, or an event for some of which one is behind this link.
    Batch(Arc<Batch>),
    /// A packet of which none may be lost, of somebody else. A link takes it however it fares, unless it is
    /// larger than its connection carries, or has gone.
    Ordered(Arc<Ordered>),
    /// One voice frame of somebody else: a batch with one entry.
    Voice(Arc<Batch>),
    /// A packet of a member behind this link was not taken.
    Refused {
        /// Whose it was.
        from: Alias,
        /// Why.
        error: SendError,
    },
    /// An ordered packet of a member behind this link was larger than some connections carry. Everybody else whom it was for has
    /// it.
    NotForAll {
        /// Whose it was.
        from: Alias,
        /// How many links did not take it.
        links: usize,
    },
    /// The room has let go of the link; nothing follows.
    Closed(CloseReason),
}

/// Who is in a room. A link hears one snapshot, then changes.
#[derive(Debug, Clone)]
pub enum MemberList {
    /// Everybody, the link's own members included.
    Snapshot {
        /// The alias of the link's own seat; none for a bridge without members.
        own: Option<Alias>,
        /// All members in order of joining.
        members: Arc<[(Alias, Sender)]>,
    },
    /// What changed since the last frame of this kind. A sender that took the place of its former self is in both: it left
    /// first.
    Change {
        /// Who came.
        joined: Arc<[(Alias, Sender)]>,
        /// Who left. Their aliases do not return in this incarnation of the room.
        left: Arc<[Alias]>,
    },
}

/// Why a room lets go of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Another session of the same address took a seat here.
    Kicked,
    /// A new connection of the same session took over the seat. What the former one still carries upstream is taken.
    Reseated,
    /// Whoever governs the room took the seat away.
    Removed,
    /// Whoever governs the room took all seats away.
    Deleted,
}

/// What WebTransport puts before a datagram of the first session of a connection: its quarter stream id, 0.
pub const WEBTRANSPORT_PREFIX: [u8; 1] = [0];
