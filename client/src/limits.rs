//! What an edge accepts from a client.

use atoll_proto::atoll::Welcome;
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;
use atoll_proto::lanes::{MAX_LARGE, MAX_ORDERED};
use std::time::Duration;

/// What the edge accepts from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest control message, in bytes: a topic with its payload and a few bytes more.
    pub message: usize,
    /// Largest payload of a packet, in bytes.
    pub payload: usize,
    /// Largest payload of an ordered message, in bytes.
    pub ordered: usize,
    /// Largest payload of a large message, in bytes.
    pub large: usize,
    /// How often a heartbeat is expected.
    pub heartbeat_interval: Duration,
}

impl Limits {
    /// What a welcome says; the protocol's own figures for what it does not say.
    pub(crate) fn of(welcome: &Welcome) -> Self {
        let limits = welcome.limits.unwrap_or_default();
        let said = |value: u32, otherwise: usize| if value == 0 { otherwise } else { value as usize };
        Self {
            message: said(limits.max_message_bytes, MAX_MESSAGE).min(MAX_MESSAGE),
            payload: said(limits.max_payload_bytes, MAX_PAYLOAD),
            // What the protocol frames is bounded, too, whatever an edge says.
            ordered: said(limits.max_ordered_bytes, MAX_ORDERED).min(MAX_ORDERED),
            large: said(limits.max_large_bytes, MAX_LARGE).min(MAX_LARGE),
            heartbeat_interval: Duration::from_millis(said(limits.heartbeat_interval_ms, 1000) as u64),
        }
    }
}
