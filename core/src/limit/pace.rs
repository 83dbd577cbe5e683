//! How fast one client may say what none of may be lost.

use super::Bucket;
use crate::Host;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes a second of one client.
const RATE: u32 = 128 * 1024;

/// Bytes that may come at once after a pause.
const BURST: u32 = 2 << 20;

/// What a message counts beside its bytes: the smallest ones cost as much as others to pass on.
const OVERHEAD: usize = 64;

/// How fast one client may say what none of may be lost, by whatever connections it has: 128 KiB a second after a burst of
/// 2 MiB, where each message counts 64 bytes more than it has. Who is faster waits: a door that does not read on meanwhile
/// makes its client wait, and nothing is dropped.
#[derive(Clone)]
pub struct Pace {
    host: Arc<dyn Host>,
    bucket: Arc<Mutex<Bucket>>,
}

impl Pace {
    /// That of one client, by the clock of `host`.
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host, bucket: Arc::new(Mutex::new(Bucket::new(RATE, BURST))) }
    }

    /// Waits until so many more bytes may be read. More than a burst count as one.
    pub async fn wait(&self, bytes: usize) {
        let amount = u32::try_from(bytes).unwrap_or(BURST).min(BURST);
        loop {
            let now = self.host.monotonic();
            let taken = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now, amount);
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Waits until a message of so many bytes may be passed on.
    pub async fn wait_for_message(&self, bytes: usize) {
        self.wait(bytes.saturating_add(OVERHEAD)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::Instant;

    struct TestHost(Instant);

    impl Host for TestHost {
        fn monotonic(&self) -> Duration {
            self.0.elapsed()
        }

        fn unix_millis(&self) -> u64 {
            0
        }

        fn random(&self, _: &mut [u8]) {}
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_it_goes_by_the_rate() {
        let begun = Instant::now();
        let pace = Pace::new(Arc::new(TestHost(begun)));
        pace.wait(BURST as usize).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        pace.wait(RATE as usize).await;
        let second = begun.elapsed();
        assert!((0.99..1.01).contains(&second.as_secs_f64()), "{second:?}");
        for _ in 0..2048 {
            pace.wait_for_message(0).await;
        }
        let small = (begun.elapsed() - second).as_secs_f64();
        assert!((0.99..1.01).contains(&small), "2,048 empty messages took {small} s");
        pace.wait(usize::MAX).await;
    }
}
