//! How long packets were under way.

use std::time::Duration;

/// Delivery latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Half of the packets were faster.
    pub p50: Duration,
    /// 99 of 100 packets were faster.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}
