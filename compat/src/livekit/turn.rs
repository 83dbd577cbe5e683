//! When a participant has its turn of news: with every other tick.
//!
//! What a turn costs is its wake-up, its datagram, and the acknowledgement that comes back: nearly as much for four messages as for eight.

use atoll_core::room::{Batch, tick_interval};
use atoll_proto::datagram::Kind;
use std::time::{Duration, Instant};

/// Ticks as long as this carry much, and two of them would be late.
const LONG: Duration = Duration::from_millis(40);

/// Until when news waits for more of it.
#[derive(Debug, Default)]
pub(super) struct Turn {
    until: Option<Instant>,
}

impl Turn {
    /// When what waits is to go out, whatever it waits for.
    pub(super) fn due(&self) -> Option<Instant> {
        self.until
    }

    /// Whether nothing is to wait any more.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }

    /// News has gone out, in a room of so many members: whether what comes is to wait for more.
    pub(super) fn begin(&mut self, tick: Option<Duration>, members: usize) -> bool {
        let tick = tick.unwrap_or_else(|| tick_interval(members));
        // The second tick comes before that, or not at all.
        self.until = (!tick.is_zero() && tick < LONG).then(|| Instant::now() + tick * 9 / 4);
        self.until.is_some()
    }
}

/// Whether a batch is one tick's: voice, and what is for some, come in between and do not wait.
pub(super) fn can_wait(batch: &Batch) -> bool {
    batch.to().is_none() && batch.entries().first().is_none_or(|entry| entry.kind != Kind::Voice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_waits_in_rooms_whose_ticks_are_short() {
        for (tick, members, waits) in [
            (None, 2, false),
            (None, 40, true),
            (None, 100, true),
            (None, 500, false),
            (Some(Duration::ZERO), 40, false),
            (Some(Duration::from_millis(10)), 500, true),
        ] {
            let mut turn = Turn::default();
            assert_eq!(turn.begin(tick, members), waits, "{tick:?}, {members}");
            let Some(due) = turn.due() else { continue };
            assert!(!turn.is_over(due - Duration::from_millis(1)) && turn.is_over(due));
            assert_eq!(turn.due(), None);
        }
    }
}
