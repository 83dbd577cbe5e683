//! Time and randomness of the machine.

use atoll_core::Host;
use std::time::{Duration, Instant, SystemTime};

/// The real clock and the operating system's random numbers.
#[derive(Debug)]
pub(crate) struct SystemHost {
    started: Instant,
}

impl SystemHost {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Host for SystemHost {
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self, out: &mut [u8]) {
        // Predictable challenges would be worse than no service.
        #[expect(clippy::expect_used, reason = "nothing from the network leads here")]
        getrandom::fill(out).expect("the operating system gives random numbers");
    }
}
