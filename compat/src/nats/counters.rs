//! What is counted about a cluster.

use atoll_core::Counter;
use serde::Serialize;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) dropped: Counter,
    pub(super) too_large: Counter,
    pub(super) refused: Counter,
    pub(super) stale: Counter,
    pub(super) malformed: Counter,
    pub(super) repeated: Counter,
    pub(super) slow: Counter,
    pub(super) connections: Counter,
    pub(super) pending_bytes: Counter,
}

/// What a cluster has been for this process so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NatsStatus {
    /// Whether a server answers now.
    pub connected: bool,
    /// Connections made.
    pub connections: u64,
    /// Messages of others that were taken.
    pub received: u64,
    /// Messages handed to the connection, copies in other spellings included.
    pub sent: u64,
    /// Messages that were not sent because too much waited.
    pub dropped: u64,
    /// Messages that were not sent because they are larger than the server takes.
    pub too_large: u64,
    /// Complaints of the server: above all, that this process may not publish or hear something.
    pub refused: u64,
    /// Heartbeats that were not sent because no server answered.
    pub stale: u64,
    /// Messages of others that are not what their subject says.
    pub malformed: u64,
    /// Island changes that came again within 2 s, in another spelling or in the same.
    pub repeated: u64,
    /// Times that messages of others were lost because this process was slow.
    pub slow: u64,
    /// Bytes that wait to be sent.
    pub pending_bytes: u64,
}

impl Counters {
    pub(super) fn status(&self, connected: bool) -> NatsStatus {
        NatsStatus {
            connected,
            connections: self.connections.value(),
            received: self.received.value(),
            sent: self.sent.value(),
            dropped: self.dropped.value(),
            too_large: self.too_large.value(),
            refused: self.refused.value(),
            stale: self.stale.value(),
            malformed: self.malformed.value(),
            repeated: self.repeated.value(),
            slow: self.slow.value(),
            pending_bytes: self.pending_bytes.value(),
        }
    }
}
