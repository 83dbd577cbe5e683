//! What the native doors count.

use super::streams::Lane;
use super::uploads::News;
use atoll_core::Counter;
use atoll_core::limit::Budget;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::close::CloseCode;
use atoll_proto::lanes::MAX_ORDERED;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes kept for all clients, beside what is kept for each in any case.
const KEPT_FOR_ALL: usize = 512 << 20;

/// What a message that is kept takes beside its payload, in bytes: its number, its sender, its places in a lane.
pub(super) const OVERHEAD: usize = 256;

/// Bytes kept for a client in any case: one ordered message of any size, or many small ones.
pub(super) const KEPT_ALWAYS: usize = MAX_ORDERED + OVERHEAD;

/// Counts by name, as `/status` shows them. Names with a count of 0 are left out.
pub type ByName = BTreeMap<&'static str, u64>;

/// Why a session ended or did not begin, and what was refused.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections open now, from the first packet on.
    pub(crate) connections: Counter,
    /// Those of them that came as a WebSocket.
    pub(crate) websockets: Counter,
    /// Connections refused because too many of their place had not logged in.
    pub(super) pre_auth_refused: Counter,
    /// Connections whose handshake failed: a wrong ALPN, no common version, silence.
    pub(crate) handshakes_failed: Counter,
    /// HTTP/3 connections that asked for no WebTransport session.
    pub(crate) requests_failed: Counter,
    /// Connections that ended without a word: lost, reset, timed out.
    pub(super) lost: Counter,
    /// Sessions without a connection now.
    pub(super) parked: Gauge,
    /// Sessions that went on over another connection.
    pub(super) resumed: Counter,
    /// Datagrams of a WebTransport session that is not the connection's own.
    pub(super) foreign_datagrams: Counter,
    /// Datagrams with a tag that is not the sender's current one.
    pub(super) wrong_tag: Counter,
    /// Datagrams that found too many of their sender waiting for its session.
    pub(crate) datagrams_behind: Counter,
    /// Chunks dropped because their receiver fell behind within a tick.
    pub(super) chunks_behind: Counter,
    /// Chunks that did not fit the path of their receiver.
    pub(super) chunks_too_large: Counter,
    /// Messages of topics that do not fit the control stream.
    pub(super) topics_too_large: Counter,
    pub(super) lanes: LaneCounters,
    closed: [Counter; CloseCode::ALL.len()],
    refused: [Counter; REFUSALS.len()],
}

/// Numbered messages.
#[derive(Debug)]
pub(super) struct LaneCounters {
    pub(super) ordered_in: Counter,
    pub(super) ordered_out: Counter,
    pub(super) large_in: Counter,
    pub(super) large_out: Counter,
    pub(super) gaps_in: Counter,
    pub(super) lost_out: Counter,
    pub(super) shed: Counter,
    /// What is kept for all clients of the process until they acknowledge it.
    pub(super) budget: Arc<Budget>,
}

impl Default for LaneCounters {
    fn default() -> Self {
        Self {
            ordered_in: Counter::default(),
            ordered_out: Counter::default(),
            large_in: Counter::default(),
            large_out: Counter::default(),
            gaps_in: Counter::default(),
            lost_out: Counter::default(),
            shed: Counter::default(),
            budget: Arc::new(Budget::new(KEPT_FOR_ALL, KEPT_ALWAYS)),
        }
    }
}

/// A number that follows how many there are.
#[derive(Debug, Default)]
pub(super) struct Gauge(Counter);

/// One of those that a [`Gauge`] counts.
pub(super) struct Counted<'a>(&'a Counter);

impl Gauge {
    /// Counts one more until the guard is dropped.
    pub(super) fn guard(&self) -> Counted<'_> {
        self.0.add(1);
        Counted(&self.0)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.subtract(1);
    }
}

/// Every code an `Error` message may carry.
pub(super) const REFUSALS: [ErrorCode; 16] = [
    ErrorCode::InvalidPosition,
    ErrorCode::PayloadTooLarge,
    ErrorCode::MalformedDatagram,
    ErrorCode::NoSeat,
    ErrorCode::TooFast,
    ErrorCode::Unsupported,
    ErrorCode::RoomFull,
    ErrorCode::InvalidRoom,
    ErrorCode::LeftRoom,
    ErrorCode::ResumeRefused,
    ErrorCode::InvalidTopic,
    ErrorCode::TooManySubscriptions,
    ErrorCode::InvalidConnectionString,
    ErrorCode::RoomRefused,
    ErrorCode::RoomLost,
    ErrorCode::NotForAll,
];

/// What the native doors hold and have done.
#[derive(Debug, Serialize)]
pub struct NativeStatus {
    /// Connections open now.
    pub connections: u64,
    /// Those of them that came as a WebSocket.
    pub websockets: u64,
    /// Connections refused because too many of their place had not logged in.
    pub pre_auth_refused: u64,
    /// Connections that had not logged in and had to go for others, because too many had not.
    pub pre_auth_evicted: u64,
    /// Connections whose handshake failed.
    pub handshakes_failed: u64,
    /// HTTP/3 connections that asked for no WebTransport session.
    pub requests_failed: u64,
    /// Connections that ended without a word: lost, reset, timed out.
    pub lost: u64,
    /// Sessions without a connection now, which can be resumed.
    pub parked: u64,
    /// Sessions that went on over another connection.
    pub resumed: u64,
    /// Datagrams with a foreign session prefix.
    pub foreign_datagrams: u64,
    /// Datagrams with a tag that is not the sender's current one.
    pub wrong_tag: u64,
    /// Datagrams that found too many of their sender waiting for its session.
    pub datagrams_behind: u64,
    /// Chunks dropped because their receiver fell behind within a tick.
    pub chunks_behind: u64,
    /// Chunks that did not fit the path of their receiver.
    pub chunks_too_large: u64,
    /// Messages of topics that do not fit the control stream.
    pub topics_too_large: u64,
    /// Numbered messages.
    pub lanes: LaneStatus,
    /// Ended connections, by the name of the close code.
    pub closed: ByName,
    /// Refused items, by the name of the error code.
    pub refused: ByName,
}

/// Numbered messages, repetitions included.
#[derive(Debug, Serialize)]
pub struct LaneStatus {
    /// Ordered messages from clients.
    pub ordered_in: u64,
    /// Ordered messages to clients.
    pub ordered_out: u64,
    /// Large messages from clients.
    pub large_in: u64,
    /// Large messages to clients.
    pub large_out: u64,
    /// Announcements of clients that messages were dropped.
    pub gaps_in: u64,
    /// Messages that were dropped before their client had them, and announced to it.
    pub lost_out: u64,
    /// Bytes of messages that are kept for clients now, until they are acknowledged, with what each message takes beside.
    pub kept_bytes: u64,
    /// Messages that were dropped because too much was kept for all clients together.
    pub shed: u64,
}

impl Counters {
    pub(super) fn closed(&self, code: CloseCode) {
        let at = CloseCode::ALL.iter().position(|known| *known == code);
        if let Some(counter) = at.and_then(|at| self.closed.get(at)) {
            counter.add(1);
        }
    }

    pub(super) fn refused(&self, code: ErrorCode, count: u64) {
        let at = REFUSALS.iter().position(|known| *known == code);
        if let Some(counter) = at.and_then(|at| self.refused.get(at)) {
            counter.add(count);
        }
    }

    pub(super) fn arrived(&self, lane: Lane, news: &News) {
        match (lane, news) {
            (Lane::Ordered, News::Message { .. }) => self.lanes.ordered_in.add(1),
            (Lane::Large, News::Message { .. }) => self.lanes.large_in.add(1),
            (_, News::Gap { .. }) => self.lanes.gaps_in.add(1),
        }
    }

    pub(super) fn status(&self, pre_auth_evicted: u64) -> NativeStatus {
        let closed = CloseCode::ALL.iter().map(|code| code.name()).zip(&self.closed);
        let refused = REFUSALS.iter().map(|code| code.as_str_name()).zip(&self.refused);
        NativeStatus {
            connections: self.connections.value(),
            websockets: self.websockets.value(),
            pre_auth_refused: self.pre_auth_refused.value(),
            pre_auth_evicted,
            handshakes_failed: self.handshakes_failed.value(),
            requests_failed: self.requests_failed.value(),
            lost: self.lost.value(),
            parked: self.parked.0.value(),
            resumed: self.resumed.value(),
            foreign_datagrams: self.foreign_datagrams.value(),
            wrong_tag: self.wrong_tag.value(),
            datagrams_behind: self.datagrams_behind.value(),
            chunks_behind: self.chunks_behind.value(),
            chunks_too_large: self.chunks_too_large.value(),
            topics_too_large: self.topics_too_large.value(),
            lanes: LaneStatus {
                ordered_in: self.lanes.ordered_in.value(),
                ordered_out: self.lanes.ordered_out.value(),
                large_in: self.lanes.large_in.value(),
                large_out: self.lanes.large_out.value(),
                gaps_in: self.lanes.gaps_in.value(),
                lost_out: self.lanes.lost_out.value(),
                kept_bytes: self.lanes.budget.kept() as u64,
                shed: self.lanes.shed.value(),
            },
            closed: closed.filter(|(_, counter)| counter.value() > 0).map(|(name, c)| (name, c.value())).collect(),
            refused: refused.filter(|(_, counter)| counter.value() > 0).map(|(name, c)| (name, c.value())).collect(),
        }
    }
}
