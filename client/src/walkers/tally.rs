//! What walkers count together while they walk, and each for itself.

use super::latency::Latency;
use super::progress::Progress;
use crate::target::Way;
use crate::{Closed, Stats};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest latency told apart; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(60);

/// Histograms of packets, so that walkers on several threads do not wait for one another.
const PARTS: usize = 8;

/// What the walkers count together while they walk.
#[derive(Debug)]
pub(super) struct Tally {
    /// Microseconds, since they were last taken.
    recent: Vec<Mutex<Histogram<u64>>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Microseconds, up to the last taking.
    packets: Histogram<u64>,
    chat: Histogram<u64>,
    failures: BTreeMap<String, u64>,
    /// How many walkers are seated in each.
    islands: BTreeMap<String, usize>,
    sent: u64,
    received: u64,
}

/// How it went for one walker.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The way in, when it was put into an island at all.
    pub(super) joined: Option<Way>,
    /// The island it was in when it was stopped.
    pub(super) island: Option<String>,
    pub(super) stats: Stats,
    /// Lines of chat heard.
    pub(super) chat_heard: u64,
    /// Why it ended before it was stopped.
    pub(super) failure: Option<String>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let state = State {
            packets: histogram(),
            chat: histogram(),
            failures: BTreeMap::new(),
            islands: BTreeMap::new(),
            sent: 0,
            received: 0,
        };
        Self { recent: (0..PARTS).map(|_| Mutex::new(histogram())).collect(), state: Mutex::new(state) }
    }

    /// A walker heard a packet of this age.
    pub(super) fn delivered(&self, walker: usize, age: Duration) {
        lock(&self.recent[walker % PARTS]).saturating_record(age.as_micros() as u64);
    }

    /// A walker heard a line of chat of this age.
    pub(super) fn chat_delivered(&self, age: Duration) {
        self.state().chat.saturating_record(age.as_micros() as u64);
    }

    pub(super) fn failed(&self, why: &str, count: u64) {
        *self.state().failures.entry(why.to_owned()).or_default() += count;
    }

    /// A walker's connection was lost or its session ended.
    pub(super) fn lost(&self, why: &Closed) {
        self.failed(&why.label(), 1);
    }

    /// A walker left one island and was put into another.
    pub(super) fn moved(&self, from: Option<&str>, to: Option<&str>) {
        let mut state = self.state();
        if let Some(from) = from
            && let Some(count) = state.islands.get_mut(from)
        {
            *count -= 1;
            if *count == 0 {
                state.islands.remove(from);
            }
        }
        if let Some(to) = to {
            *state.islands.entry(to.to_owned()).or_default() += 1;
        }
    }

    /// A walker's counts, which were `before` when it last told.
    pub(super) fn counted(&self, before: &Stats, now: &Stats) {
        let mut state = self.state();
        state.sent += now.updates_sent - before.updates_sent;
        state.received += now.received - before.received;
    }

    pub(super) fn failures(&self) -> BTreeMap<String, u64> {
        self.state().failures.clone()
    }

    /// Latencies of packets and of chat since the beginning.
    pub(super) fn latencies(&self) -> (Option<Latency>, Option<Latency>) {
        self.take_recent();
        let state = self.state();
        (Latency::of(&state.packets), Latency::of(&state.chat))
    }

    /// How it goes; the latency is that since the last call.
    pub(super) fn progress(&self, walkers: usize, elapsed: Duration) -> Progress {
        let latency = self.take_recent();
        let state = self.state();
        Progress {
            walkers,
            joined: state.islands.values().sum(),
            islands: state.islands.len(),
            sent: state.sent,
            received: state.received,
            latency,
            failures: state.failures.values().sum(),
            elapsed,
        }
    }

    fn take_recent(&self) -> Option<Latency> {
        let mut recent = histogram();
        for part in &self.recent {
            let mut part = lock(part);
            recent += &*part;
            part.reset();
        }
        self.state().packets += &recent;
        Latency::of(&recent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_micros(histogram.max()),
        })
    }
}

impl Outcome {
    pub(super) fn failed(why: &str) -> Self {
        Self { failure: Some(why.to_owned()), ..Self::default() }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3)
        .unwrap_or_else(|_| unreachable!("the bounds and the digits are constants that fit"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_the_recent_and_the_end_tells_all() {
        let tally = Tally::new();
        let walked = |millis| Duration::from_millis(millis);
        for walker in 0..10 {
            tally.delivered(walker, walked(10));
        }
        tally.moved(None, Some("I1"));
        tally.moved(None, Some("I1"));
        tally.moved(None, Some("I2"));
        tally.failed("lost", 2);
        let before = Stats { updates_sent: 5, received: 7, ..Stats::default() };
        tally.counted(&Stats::default(), &before);
        tally.counted(&before, &Stats { updates_sent: 6, received: 9, ..before });
        let progress = tally.progress(4, walked(1000));
        assert_eq!((progress.joined, progress.islands, progress.failures), (3, 2, 2));
        assert_eq!((progress.sent, progress.received), (6, 9));
        assert_eq!(progress.latency.map(|latency| latency.p50.as_millis()), Some(10));
        tally.moved(Some("I2"), Some("I1"));
        tally.moved(Some("I1"), None);
        let progress = tally.progress(4, walked(2000));
        assert_eq!((progress.joined, progress.islands, progress.latency), (2, 1, None));
        tally.delivered(3, walked(90));
        let (packets, chat) = tally.latencies();
        let packets = packets.unwrap();
        assert_eq!((packets.p50.as_millis(), packets.max.as_millis(), chat), (10, 90, None));
    }
}
