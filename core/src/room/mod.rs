//! Rooms: where packets flow between the members of an island, or of a named place.
//!
//! Sans-I/O: a [`Room`] is fed with packets and ticked by its owner, and pushes frames to its [`Link`]s. It reads no
//! packet beyond what [`atoll_proto::peek`] tells, and re-encodes none, but for the translation between the two generations of
//! clients ([`Payload`]).
//!
//! The cost of broadcasting is per packet sent and per wake-up, not per message (measured: 7 to 11 us of CPU for each
//! datagram sent at once, below 1 us an update when a tick carries a hundred). So a room collects what its members send
//! and pushes one shared [`Batch`] per tick to everybody. What cannot wait is pushed at once: ordered packets and voice.

mod batch;
mod encoding;
mod error;
mod frame;
mod governing;
mod links;
mod members;
mod outbox;
mod outgoing;
mod payload;
#[expect(clippy::module_inception, reason = "the folder and the type have the field's word for it")]
mod room;

pub use batch::{Batch, Item, Ordered, WebTransport};
pub use encoding::Encoding;
pub use error::{JoinError, SendError};
pub use frame::{CloseReason, Frame, Link, MemberList, Pressure, WEBTRANSPORT_PREFIX};
pub use governing::Visit;
pub use members::Newcomer;
pub use outgoing::Outgoing;
pub use payload::{Older, Payload};
pub use room::{Joined, Report, Room, Settings};

use atoll_proto::Address;
use atoll_proto::datagram::{Alias, MAX_PAYLOAD, Sequence};
use atoll_proto::{PacketKind, peek};
use std::fmt;
use std::sync::Arc;

/// Which room: that of an island, by the island's id, or one with a name of its own. An island and a room of the same name
/// are two.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId {
    name: Arc<str>,
    is_island: bool,
}

impl RoomId {
    /// The room of an island.
    pub fn new(island: &str) -> Self {
        Self { name: island.into(), is_island: true }
    }

    /// A room that is no island's.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), is_island: false }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whose packets they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// A logged-in peer.
    Peer(Address),
    /// A third-party server, by its name.
    Server(Arc<str>),
}

impl fmt::Display for Sender {
    /// A peer's address, or `server:<name>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => address.fmt(f),
            Self::Server(name) => write!(f, "server:{name}"),
        }
    }
}

/// What a sender asks of the room for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The latest counts: an unsent older one of the same sender and packet kind is replaced.
    Update,
    /// Every one is passed on, no order promised.
    Event,
    /// Every one, in the order sent, at once.
    Ordered,
    /// At once, and never late.
    Voice,
}

impl Delivery {
    /// What a door asks for a packet that its client would rather lose than have late, by what the packet is. One that does
    /// not fit a datagram goes with the reliable ones.
    pub fn unreliable(packet: &[u8]) -> Self {
        if packet.len() > MAX_PAYLOAD {
            return Self::Ordered;
        }
        match peek(packet).kind {
            PacketKind::Voice => Self::Voice,
            kind if kind.is_update() => Self::Update,
            _ => Self::Event,
        }
    }
}

/// Largest payload of an ordered packet, in bytes: what the large lane of `atoll/1` carries.
pub const MAX_ORDERED_PAYLOAD: usize = atoll_proto::lanes::MAX_LARGE;

/// A packet of a member.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Whose it is.
    pub from: Alias,
    /// What is asked for it.
    pub delivery: Delivery,
    /// The sender's counter; without one the room counts. Ordered packets have none.
    pub sequence: Option<Sequence>,
    /// The comms packet, at most [`MAX_PAYLOAD`] bytes, or
    /// [`MAX_ORDERED_PAYLOAD`] when ordered; and whom it is for.
    pub said: Outgoing,
}

/// Tells one login of an address from another; later logins have greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One connection of a room to the outside, unique within the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u32);

#[cfg(test)]
mod tests;
