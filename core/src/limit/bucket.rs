//! How often something may happen.

use std::time::Duration;

/// A token bucket: so much at once after a pause, so much a second from then on. It has no clock; times are durations
/// since any fixed moment.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: u32,
    burst: Duration,
    /// When what was taken so far will have been paid for.
    paid: Duration,
}

impl Bucket {
    /// A full bucket of `burst` tokens into which `rate_per_second` flow. Both count as 1 when they are 0.
    pub fn new(rate_per_second: u32, burst: u32) -> Self {
        let rate = rate_per_second.max(1);
        Self { rate, burst: time_for(burst.max(1), rate), paid: Duration::ZERO }
    }

    /// Takes `amount` tokens at the time `now`, or none.
    ///
    /// # Errors
    /// How long it will be until there are enough, if nothing else is taken meanwhile; [`Duration::MAX`] for an amount
    /// above the burst, which there never will be.
    pub fn take(&mut self, now: Duration, amount: u32) -> Result<(), Duration> {
        let cost = time_for(amount, self.rate);
        if cost > self.burst {
            return Err(Duration::MAX);
        }
        let paid = self.paid.max(now).saturating_add(cost);
        let allowed = now.saturating_add(self.burst);
        if paid > allowed {
            return Err(paid - allowed);
        }
        self.paid = paid;
        Ok(())
    }

    /// Whether it is as good as a new one at the time `now`.
    pub fn is_full(&self, now: Duration) -> bool {
        self.paid <= now
    }
}

/// How long `amount` tokens take to flow in. Rounded down, so that a burst taken one by one fits.
fn time_for(amount: u32, rate: u32) -> Duration {
    // 2^32 tokens of 10^9 nanoseconds fit 64 bits.
    Duration::from_nanos(u64::from(amount) * 1_000_000_000 / u64::from(rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn a_burst_at_once_and_then_the_rate() {
        let mut bucket = Bucket::new(3, 5);
        assert_eq!((0..100).filter(|_| bucket.take(NOW, 1).is_ok()).count(), 5);
        let seconds = (1..=4).map(|second| {
            let now = NOW + Duration::from_secs(second);
            (0..100).filter(|_| bucket.take(now, 1).is_ok()).count()
        });
        assert_eq!(seconds.collect::<Vec<_>>(), [3, 3, 3, 3]);
        let later = NOW + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| bucket.take(later, 1).is_ok()).count(), 5, "a pause fills it, and no more");
    }

    #[test]
    fn what_is_refused_is_not_charged_and_comes_in_time() {
        let mut bucket = Bucket::new(1000, 2000);
        bucket.take(NOW, 2000).unwrap();
        assert_eq!(bucket.take(NOW, 500), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(NOW, 500), Err(Duration::from_millis(500)));
        bucket.take(NOW + Duration::from_millis(500), 500).unwrap();
        assert_eq!(bucket.take(NOW, 2001), Err(Duration::MAX));
        assert_eq!(Bucket::new(0, 0).take(NOW, 1), Ok(()));
    }

    #[test]
    fn it_is_full_before_it_is_used_and_after_its_pause() {
        let mut bucket = Bucket::new(2, 10);
        assert!(bucket.is_full(Duration::ZERO) && bucket.is_full(NOW));
        bucket.take(NOW, 4).unwrap();
        assert!(!bucket.is_full(NOW) && !bucket.is_full(NOW + Duration::from_millis(1999)));
        assert!(bucket.is_full(NOW + Duration::from_secs(2)));
    }

    proptest! {
        /// Over any time from a full bucket on, no more comes out than the burst and what has flowed in, but for a
        /// nanosecond of rounding each time.
        #[test]
        fn no_more_comes_out_than_went_in(
            rate in 1..200_000u32,
            burst in 1..200_000u32,
            takes in prop::collection::vec((0..2_000_000_000u64, 1..100_000u32), 1..60),
        ) {
            let mut bucket = Bucket::new(rate, burst);
            let (mut now, mut taken) = (NOW, 0.0);
            for (pause, amount) in takes {
                now += Duration::from_nanos(pause);
                match bucket.take(now, amount) {
                    Ok(()) => taken += f64::from(amount),
                    Err(wait) if wait != Duration::MAX => {
                        prop_assert!(bucket.clone().take(now + wait - Duration::from_nanos(1), amount).is_err());
                        prop_assert_eq!(bucket.clone().take(now + wait, amount), Ok(()));
                    }
                    Err(_) => prop_assert!(amount > burst || time_for(amount, rate) > time_for(burst, rate)),
                }
                let allowed = f64::from(burst) + f64::from(rate) * (now - NOW).as_secs_f64();
                let rounding = 61e-9 * f64::from(rate) + 1e-3;
                prop_assert!(taken <= allowed + rounding, "{} of {}", taken, allowed);
            }
        }
    }
}
