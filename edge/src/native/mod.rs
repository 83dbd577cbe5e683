//! The protocol of a native session, whatever carries it: `atoll/1` between a client's connection and the region.
//! docs/protocol.md is its contract.
//!
//! A door (`quic`, `ws`) makes a connection of what it accepted and gives it to `serve`. What follows is the same
//! for all of them: login, heartbeats, seats, datagrams, and one numbered end.

mod attach;
mod carrier;
mod connection;
mod control;
mod counters;
mod datagrams;
mod door;
mod ending;
mod gate;
mod inbox;
mod link;
mod login;
mod member;
mod members;
mod outbox;
mod queues;
mod refusals;
mod resumptions;
mod room_string;
mod seats;
mod serve;
mod session;
mod streams;
mod token;
mod topics;
mod upload_budget;
mod uploads;
mod welcome;

#[cfg(test)]
mod network;

pub(crate) use carrier::Carrier;
pub(crate) use counters::Counters;
pub use counters::{ByName, LaneStatus, NativeStatus};
use datagrams::UpDatagrams;
pub use door::{Door, Settings};
pub(crate) use ending::Ending;
pub(crate) use queues::{Mover, MoverIn, queues};
pub(crate) use serve::serve;
pub(crate) use streams::{ByteSource, Datagrams, End, IncomingStream, Lane, Sent, Streams};

/// From the first packet of a connection to its welcome.
pub(crate) const LOGIN_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// The subprotocol of WebTransport and WebSocket.
pub const SUBPROTOCOL: &str = "atoll.1";
