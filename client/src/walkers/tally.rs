//! What walkers count: each its own outcome, all together latencies and failures.

use crate::event::Stats;
use crate::target::Way;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest latency told apart; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(60);

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

/// What the walkers count together while they walk.
#[derive(Debug)]
pub(super) struct Tally {
    /// Microseconds.
    latency: Mutex<Histogram<u64>>,
    failures: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3)
            .unwrap_or_else(|_| unreachable!("the bounds and the digits are constants that fit"));
        Self { latency: Mutex::new(latency), failures: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn delivered(&self, age: Duration) {
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.saturating_record(age.as_micros() as u64);
    }

    pub(super) fn failed(&self, why: &str, count: u64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures.entry(why.to_owned()).or_default() += count;
    }

    pub(super) fn failures(&self) -> BTreeMap<String, u64> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn latency(&self) -> Option<Latency> {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |quantile| Duration::from_micros(latency.value_at_quantile(quantile));
        (!latency.is_empty()).then(|| Latency {
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_micros(latency.max()),
        })
    }
}

/// How it went.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The way in, when it was put into an island at all.
    pub(super) joined: Option<Way>,
    /// The island it was in when it was stopped.
    pub(super) island: Option<String>,
    pub(super) stats: Stats,
    /// Why it ended before it was stopped.
    pub(super) failure: Option<String>,
}

impl Outcome {
    pub(super) fn failed(why: &str) -> Self {
        Self { failure: Some(why.to_owned()), ..Self::default() }
    }
}
