//! How long to wait before the next attempt to connect. No I/O.

use std::time::Duration;

/// The first pause behind an attempt that failed is at most this long; each further one twice as much.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(15);

/// What an edge without room is spared at least.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// A connection that held for so long has made up for the attempts before it.
const PROVEN: Duration = LONGEST;

/// Pauses that grow with each attempt, each drawn evenly from none to the most ("full jitter"), so that the clients of
/// an edge that failed do not come back as one wave. The first attempt after a loss is made at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempts: u32,
    /// When the connection that stands was welcomed.
    welcomed: Option<Duration>,
    random: u64,
}

impl Backoff {
    /// Pauses drawn from the numbers that follow `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { attempts: 0, welcomed: None, random: seed }
    }

    /// Notes a login. The next loss is followed by an attempt at once if it comes late enough.
    pub(crate) fn welcomed(&mut self, now: Duration) {
        self.welcomed = Some(now);
    }

    /// Notes that the connection was lost at `now`, if there was one; an attempt that failed changes nothing here.
    pub(crate) fn lost(&mut self, now: Duration) {
        if self.welcomed.take().is_some_and(|welcomed| now.saturating_sub(welcomed) >= PROVEN) {
            self.attempts = 0;
        }
    }

    /// How long to wait before the next attempt.
    pub(crate) fn pause(&mut self) -> Duration {
        let most = match self.attempts {
            0 => Duration::ZERO,
            attempts => LONGEST.min(FIRST.saturating_mul(1 << (attempts - 1).min(16))),
        };
        self.attempts = self.attempts.saturating_add(1);
        self.between_none_and(most)
    }

    /// How long to wait when the edge has no room: the first attempt is not made at once, either.
    pub(crate) fn pause_elsewhere(&mut self) -> Duration {
        self.attempts = self.attempts.max(1);
        let pause = self.pause();
        ELSEWHERE + self.between_none_and(ELSEWHERE) + pause
    }

    fn between_none_and(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.draw())
    }

    /// From 0 to 1: Steele, Lea and Flood's SplitMix64.
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_none_to_the_longest() {
        let most = [0, 500, 1000, 2000, 4000, 8000, 15_000, 15_000].map(Duration::from_millis);
        let mut highest = [Duration::ZERO; 8];
        for seed in 0..1000 {
            let mut backoff = Backoff::new(seed);
            for (highest, most) in highest.iter_mut().zip(most) {
                let pause = backoff.pause();
                assert!(pause <= most);
                *highest = pause.max(*highest);
            }
        }
        // Full jitter: the whole range is used, and half of the pauses are below half of it.
        assert!(highest.iter().zip(most).all(|(highest, most)| *highest >= most.mul_f64(0.99)), "{highest:?}");
        let short = (0..1000).filter(|seed| {
            let mut backoff = Backoff::new(*seed);
            backoff.pause();
            backoff.pause() < FIRST / 2
        });
        assert!((450..550).contains(&short.count()));
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses() {
        let (mut first, mut second) = (Backoff::new(7), Backoff::new(7));
        for _ in 0..20 {
            assert_eq!(first.pause(), second.pause());
        }
    }

    #[test]
    fn only_a_connection_that_held_makes_up_for_failures() {
        let mut backoff = Backoff::new(3);
        let at_once = |backoff: &mut Backoff, now| {
            backoff.lost(Duration::from_secs(now));
            backoff.pause() == Duration::ZERO
        };
        backoff.welcomed(Duration::from_secs(1));
        assert!(at_once(&mut backoff, 2), "the first one");
        backoff.welcomed(Duration::from_secs(3));
        assert!(!at_once(&mut backoff, 4), "an edge that welcomes and closes is not hammered");
        backoff.welcomed(Duration::from_secs(5));
        assert!(at_once(&mut backoff, 20));
        assert!(!at_once(&mut backoff, 60), "there was no connection meanwhile");
    }

    #[test]
    fn an_edge_without_room_is_spared_longer() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(seed);
            let pauses = [backoff.pause_elsewhere(), backoff.pause_elsewhere()];
            assert!(pauses.iter().all(|pause| (ELSEWHERE..ELSEWHERE * 3).contains(pause)), "{pauses:?}");
        }
        let mut long = Backoff::new(1);
        assert!((0..100).all(|_| long.pause_elsewhere() <= 2 * ELSEWHERE + LONGEST));
    }
}
