//! What a room refuses.

use super::MAX_ORDERED_PAYLOAD;
use atoll_proto::datagram::MAX_PAYLOAD;

/// Why a seat was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The room has as many members as it may.
    #[error("the room is full")]
    Full,
    /// A later session of the same sender has the seat.
    #[error("a later session has the seat")]
    Superseded,
}

/// Why a packet was not taken; it reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The sender has no seat here (any more).
    #[error("no seat in this room")]
    NoSeat,
    /// An update older than the last of its sender and kind.
    #[error("older than the last update")]
    Stale,
    /// More than a member may send: 128 updates, 128 events, 64 voice frames a second, 17,600 bytes of events a tick.
    #[error("more packets than a member may send")]
    TooFast,
    /// Above [`MAX_PAYLOAD`], or [`MAX_ORDERED_PAYLOAD`] when ordered.
    #[error("a payload of {0} bytes; at most {MAX_PAYLOAD} are allowed, or {MAX_ORDERED_PAYLOAD} when ordered")]
    TooLarge(usize),
}
