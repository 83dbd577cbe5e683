//! What the native door counts.

use atoll_core::Counter;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::close::CloseCode;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts by name, as `/status` shows them. Names with a count of 0 are left out.
pub type ByName = BTreeMap<&'static str, u64>;

/// Why a session ended or did not begin, and what was refused.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections open now, from the first packet on.
    pub(super) connections: Counter,
    /// Connections whose handshake failed: a wrong ALPN, no common version, silence.
    pub(super) handshakes_failed: Counter,
    /// HTTP/3 connections that asked for no WebTransport session.
    pub(super) requests_failed: Counter,
    /// Connections that ended without a word: lost, reset, timed out.
    pub(super) lost: Counter,
    /// Datagrams of a WebTransport session that is not the connection's own.
    pub(super) foreign_datagrams: Counter,
    /// Datagrams with a tag that is not the sender's current one.
    pub(super) wrong_tag: Counter,
    /// Chunks dropped because their receiver fell behind within a tick.
    pub(super) chunks_behind: Counter,
    /// Chunks that did not fit the path of their receiver.
    pub(super) chunks_too_large: Counter,
    closed: [Counter; CloseCode::ALL.len()],
    refused: [Counter; REFUSALS.len()],
}

/// Every code an `Error` message may carry.
pub(super) const REFUSALS: [ErrorCode; 10] = [
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
];

/// What the native door holds and has done.
#[derive(Debug, Serialize)]
pub struct QuicStatus {
    /// Connections open now.
    pub connections: u64,
    /// Connections whose handshake failed.
    pub handshakes_failed: u64,
    /// HTTP/3 connections that asked for no WebTransport session.
    pub requests_failed: u64,
    /// Connections that ended without a word: lost, reset, timed out.
    pub lost: u64,
    /// Datagrams with a foreign session prefix.
    pub foreign_datagrams: u64,
    /// Datagrams with a tag that is not the sender's current one.
    pub wrong_tag: u64,
    /// Chunks dropped because their receiver fell behind within a tick.
    pub chunks_behind: u64,
    /// Chunks that did not fit the path of their receiver.
    pub chunks_too_large: u64,
    /// Ended sessions, by the name of the close code.
    pub closed: ByName,
    /// Refused items, by the name of the error code.
    pub refused: ByName,
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

    pub(crate) fn status(&self) -> QuicStatus {
        let closed = CloseCode::ALL.iter().map(|code| code.name()).zip(&self.closed);
        let refused = REFUSALS.iter().map(|code| code.as_str_name()).zip(&self.refused);
        QuicStatus {
            connections: self.connections.value(),
            handshakes_failed: self.handshakes_failed.value(),
            requests_failed: self.requests_failed.value(),
            lost: self.lost.value(),
            foreign_datagrams: self.foreign_datagrams.value(),
            wrong_tag: self.wrong_tag.value(),
            chunks_behind: self.chunks_behind.value(),
            chunks_too_large: self.chunks_too_large.value(),
            closed: closed.filter(|(_, counter)| counter.value() > 0).map(|(name, c)| (name, c.value())).collect(),
            refused: refused.filter(|(_, counter)| counter.value() > 0).map(|(name, c)| (name, c.value())).collect(),
        }
    }
}
