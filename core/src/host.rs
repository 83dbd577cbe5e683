//! What a region needs from the machine it runs on.

use std::time::Duration;

/// Time and randomness, given from outside so that a test can hold both in its hand.
pub trait Host: Send + Sync + 'static {
    /// Time since some fixed moment before the region started. Never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970, UTC: what expiry dates are compared with.
    fn unix_millis(&self) -> u64;

    /// Fills `out` with bytes nobody can predict.
    fn random(&self, out: &mut [u8]);
}
