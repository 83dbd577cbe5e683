//! What a client is told.

use crate::closed::Closed;
use crate::target::Way;
use atoll_proto::archipelago::Position;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::datagram::{Alias, Kind, Sequence, Tag};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened to a client, in the order in which it was learnt.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The client sits in the room of an island now; a former seat is gone.
    IslandChanged(Island),
    /// The client sits in a room that it asked for by [`Client::join_room`](crate::Client::join_room); a former seat is gone.
    RoomJoined(Room),
    /// Others took or left seats in the client's room.
    MembersChanged {
        /// Those who are new.
        joined: Vec<Member>,
        /// Those who left.
        left: Vec<Member>,
    },
    /// A packet of another member: an Update, an Event or a piece of Voice.
    Packet(Packet),
    /// An ordered message of another member. None is lost, and they come as they were sent.
    Ordered(Message),
    /// A large message of another member. None is lost.
    Large(Message),
    /// What a peer or service said on a topic that the client hears.
    Topic(TopicMessage),
    /// The edge hears a topic for the client from now on. Told again after a loss of the connection.
    Subscribed(Subscription),
    /// The edge does not hear a topic for the client; the subscription is over.
    SubscriptionRefused {
        /// Which one.
        subscription: Subscription,
        /// Why.
        code: ErrorCode,
        /// For a person to read.
        reason: String,
    },
    /// Messages of others that cannot be had any more: the edge could not keep them until this client had them.
    Gap {
        /// On which lane.
        lane: Lane,
        /// The lowest number of them.
        first: u64,
        /// The highest number of them.
        last: u64,
    },
    /// Messages of this client of which nobody knows whether they arrived: they became too old unacknowledged, or the
    /// session they belonged to is over.
    Undelivered {
        /// On which lane.
        lane: Lane,
        /// The lowest number of them, as [`Client::send_ordered`](crate::Client::send_ordered) or
        /// [`Client::send_large`](crate::Client::send_large) returned it.
        first: u64,
        /// The highest number of them.
        last: u64,
    },
    /// The edge refused something this client sent; the session goes on.
    Refused {
        /// What was refused.
        code: ErrorCode,
        /// For a person to read.
        reason: String,
        /// How often, since the last report of the same code.
        count: u32,
    },
    /// The edge ends soon; what is left then is closed. A client that reconnects does so by itself.
    Draining {
        /// How soon.
        closes_in: Duration,
    },
    /// The connection is lost, or an attempt to have a new one failed. The client tries again; its seat may still be
    /// there, and what is sent on the lanes is kept meanwhile.
    Disconnected {
        /// What happened.
        why: Closed,
        /// When the next attempt begins.
        retry_in: Duration,
    },
    /// The session goes on over a new connection, with its seat and its lanes. Changes of the room that were missed
    /// follow.
    Resumed {
        /// The way in.
        way: Way,
    },
    /// There is a connection again, but a new session: the client sits nowhere yet, and numbers begin with 1 again.
    Restarted {
        /// The way in.
        way: Way,
    },
    /// The session moved to another way in while the former still stood. Seat and lanes are as before.
    WayChanged {
        /// The way until now.
        from: Way,
        /// The way from now on.
        to: Way,
    },
    /// The session is over. Always the last event; it is told again to who asks again.
    Closed(Closed),
}

/// A lane of numbered messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// In order, at most 64 KiB each.
    Ordered,
    /// At most 1 MiB each, no order promised.
    Large,
}

/// An ordered or large message of another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The room it was sent in; the client may sit in another one by now.
    pub tag: Tag,
    /// Its place in its lane of this session, from 1.
    pub number: u64,
    /// Who sent it. The alias is that of the room it was sent in.
    pub sender: Member,
    /// The comms packet.
    pub payload: Bytes,
}

/// Names a subscription of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscription(pub(crate) u32);

/// Whose messages a subscription hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicScope {
    /// What peers say, the client itself included.
    Peer,
    /// What services of the region say.
    System,
}

/// What somebody said on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMessage {
    /// The subscription that hears it.
    pub subscription: Subscription,
    /// The topic in full, whatever wildcard was asked for.
    pub topic: String,
    /// The address of the peer that said it; `None` for a service.
    pub sender: Option<Arc<str>>,
    /// The content.
    pub payload: Bytes,
    /// Messages of this subscription that were lost before this one: the client was behind, or had no connection, or
    /// they are too large.
    pub missed: u64,
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
    /// Where a foreign archipelago sent the island's peers, as a connection string. Those who followed it are not among
    /// `members`, and this client does not follow.
    pub foreign_transport: Option<String>,
}

/// A room that is no island.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Names this incarnation of the room on the wire.
    pub tag: Tag,
    /// The client's own alias.
    pub alias: Alias,
    /// Everybody seated in the room, the client included.
    pub members: Vec<Member>,
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
