//! What a client is told.

use crate::closed::Closed;
use atoll_proto::archipelago::Position;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::datagram::{Alias, Kind, Sequence, Tag};
use bytes::Bytes;
use std::sync::Arc;

/// Something that happened to a client, in the order in which it was learnt.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The client sits in the room of an island now; a former seat is gone.
    IslandChanged(Island),
    /// Others took or left seats in the client's room.
    MembersChanged {
        /// Those who are new.
        joined: Vec<Member>,
        /// Those who left.
        left: Vec<Member>,
    },
    /// A packet of another member.
    Packet(Packet),
    /// The edge refused something this client sent; the session goes on.
    Refused {
        /// What was refused.
        code: ErrorCode,
        /// For a person to read.
        reason: String,
        /// How often, since the last report of the same code.
        count: u32,
    },
    /// The session is over. Always the last event; it is told again to who asks again.
    Closed(Closed),
}

/// The island a client was put into, and its room.
#[derive(Debug, Clone, PartialEq)]
pub struct Island {
    /// Names the island.
    pub id: String,
    /// The island the client was in before.
    pub from: Option<String>,
    /// Names this incarnation of the island's room on the wire.
    pub tag: Tag,
    /// The client's own alias.
    pub alias: Alias,
    /// Everybody seated in the room, the client included.
    pub members: Vec<Member>,
    /// Everybody archipelago counts to the island, with a place as of its last flush.
    pub peers: Vec<(String, Position)>,
}

/// Somebody seated in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The number that stands for this member in the room.
    pub alias: Alias,
    /// Its address, or `server:<name>`.
    pub name: Arc<str>,
}

/// A packet of another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The sender's alias.
    pub alias: Alias,
    /// The sender's name. `None` when the packet overtook the news that the sender took a seat.
    pub name: Option<Arc<str>>,
    /// How it was sent.
    pub kind: Kind,
    /// The sender's counter.
    pub sequence: Sequence,
    /// The comms packet: an `rfc4.Packet`, or anything else a peer cares to send.
    pub payload: Bytes,
}

/// What a client counted since it logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets sent as Update.
    pub updates_sent: u64,
    /// Packets sent as Event.
    pub events_sent: u64,
    /// Packets of others that were accepted, whether they were taken or dropped later.
    pub received: u64,
    /// Own packets in the batches of the edge, dropped.
    pub own: u64,
    /// Updates older than the last of the same sender and kind, dropped.
    pub stale: u64,
    /// Datagrams for another room than the current one, dropped whole.
    pub unknown_tag: u64,
    /// Datagrams that cannot be read to their end.
    pub malformed: u64,
    /// Accepted packets dropped because the program did not take its events in time.
    pub queue_dropped: u64,
    /// Times the client was put into an island.
    pub islands: u64,
}
