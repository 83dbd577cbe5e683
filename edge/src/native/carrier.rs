//! What carries a session: streams, datagrams and an end, whichever way its client came in.
//!
//! Enums and not a trait: one session may go from one kind to another, and a datagram must cost neither an allocation
//! nor a lock here.

use super::ending::Ending;
use super::queues::Queues;
use super::streams::{ByteSink, End, Lane, Sent};
use crate::quic::QuicCarrier;
use atoll_core::room::Batch;
use atoll_proto::close::CloseCode;
use std::net::IpAddr;
use tokio::time::Instant;

/// The sending side of a connection, and its end. Clones share it.
#[derive(Clone)]
pub(crate) enum Carrier {
    /// WebTransport or raw QUIC.
    Quic(QuicCarrier),
    /// Queues that a task moves to something else.
    Queues(Queues),
}

impl Carrier {
    /// Where the client is, as of now.
    pub(crate) fn remote(&self) -> IpAddr {
        match self {
            Self::Quic(quic) => quic.remote(),
            Self::Queues(queues) => queues.remote(),
        }
    }

    /// Whether it carries datagrams at all.
    pub(crate) fn has_datagrams(&self) -> bool {
        match self {
            Self::Quic(quic) => quic.has_datagrams(),
            Self::Queues(_) => true,
        }
    }

    /// From now on the client may send as fast as a session may; before, it was kept to what a login needs.
    pub(crate) fn logged_in(&self) {
        match self {
            Self::Quic(quic) => quic.logged_in(),
            Self::Queues(_) => {}
        }
    }

    /// Sends the chunks of a batch, unless the client is behind: it must not get late what it can get fresh.
    pub(crate) fn send_batch(&self, batch: &Batch) -> Sent {
        match self {
            Self::Quic(quic) => quic.send_batch(batch),
            Self::Queues(queues) => queues.send_batch(batch),
        }
    }

    /// Opens a stream for messages of a lane; waits until the client allows it. `None` when the connection has ended.
    pub(crate) async fn open_stream(&self, lane: Lane) -> Option<ByteSink> {
        match self {
            Self::Quic(quic) => quic.open_stream(lane).await.map(ByteSink::Quic),
            Self::Queues(queues) => Some(ByteSink::Queue(queues.sink(lane))),
        }
    }

    /// How the connection ended, once it has.
    pub(crate) fn ended(&self) -> Option<End> {
        match self {
            Self::Quic(quic) => quic.ended(),
            Self::Queues(queues) => queues.ended(),
        }
    }

    /// What the client did against the rules of what carries it, and with what the session ends for it.
    pub(super) fn violation(&self) -> Option<Ending> {
        match self {
            Self::Quic(_) => None,
            Self::Queues(queues) => queues.violation(),
        }
    }

    /// Until when nothing of the client was read because it has sent more than it may; now, if that is so now.
    pub(super) fn held_up(&self) -> Option<Instant> {
        match self {
            // Its streams do not hold each other up.
            Self::Quic(_) => None,
            Self::Queues(queues) => queues.held_up(),
        }
    }

    /// Tells the client why, and returns when it knows or is unlikely to hear.
    pub(crate) async fn close(&self, code: CloseCode, reason: &str) {
        match self {
            Self::Quic(quic) => quic.close(code, reason).await,
            Self::Queues(queues) => queues.close(code, reason).await,
        }
    }
}
