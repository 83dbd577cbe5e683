//! What the HTTP door counts.

use atoll_core::Counter;
use serde::Serialize;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) refused: Counter,
    pub(super) arrivals_failed: Counter,
    pub(super) upgrades_refused: Counter,
    pub(super) limited: Counter,
}

/// What the HTTP door holds and has done.
#[derive(Debug, Serialize)]
pub(super) struct HttpStatus {
    /// Connections that speak HTTP now.
    pub(super) connections: u64,
    /// Connections closed at once, because too many of their place speak HTTP.
    pub(super) refused: u64,
    /// Connections that had to go for others, because too many speak HTTP.
    pub(super) evicted: u64,
    /// Connections that said nothing, or whose TLS handshake failed.
    pub(super) arrivals_failed: u64,
    /// Upgrades refused because there were too many already.
    pub(super) upgrades_refused: u64,
    /// Requests answered with 429, because their address made too many.
    pub(super) limited: u64,
}

impl Counters {
    pub(super) fn status(&self, evicted: u64) -> HttpStatus {
        HttpStatus {
            connections: self.connections.value(),
            refused: self.refused.value(),
            evicted,
            arrivals_failed: self.arrivals_failed.value(),
            upgrades_refused: self.upgrades_refused.value(),
            limited: self.limited.value(),
        }
    }
}
