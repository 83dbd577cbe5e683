//! What load counts, and the difference between two moments.

use crate::process::{Server, own_cpu};
use hdrhistogram::Histogram;
use std::iter::Sum;
use std::ops::Sub;
use std::time::{Duration, Instant};

/// Counts of some clients together, since each is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Updates sent.
    pub sent: u64,
    /// Updates due to be heard by others: each sent one, times those who sit beside its sender.
    pub offered: u64,
    /// Updates of others heard.
    pub delivered: u64,
}

/// Counts over a time, and what that cost.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// What was counted meanwhile.
    pub counts: Counts,
    /// How long it took.
    pub time: Duration,
    /// The server's processor time.
    pub server: Duration,
    /// This process' processor time.
    pub load: Duration,
}

/// Ages of updates when they were heard, in microseconds.
#[derive(Debug, Clone)]
pub struct Ages(Histogram<u64>);

impl Sample {
    /// Updates delivered for each second of the server's processor time.
    pub fn per_cpu_second(&self) -> f64 {
        self.counts.delivered as f64 / self.server.as_secs_f64()
    }

    /// Which part of the offered updates was delivered.
    pub fn share(&self) -> f64 {
        self.counts.delivered as f64 / self.counts.offered as f64
    }

    /// Which part of its core the server used.
    pub fn server_share(&self) -> f64 {
        self.server.as_secs_f64() / self.time.as_secs_f64()
    }

    /// Which part of its core this process used. Near 1, the load is what was measured.
    pub fn load_share(&self) -> f64 {
        self.load.as_secs_f64() / self.time.as_secs_f64()
    }

    /// A word on what may be wrong with the figure, or nothing.
    pub fn remark(&self) -> &'static str {
        if self.load_share() > 0.93 {
            return "load-bound";
        }
        if self.share() < 0.99 && self.server_share() > 0.9 {
            return "server saturated";
        }
        if self.share() < 0.99 { "incomplete" } else { "" }
    }
}

impl Default for Ages {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 2);
        Self(histogram.unwrap_or_else(|_| unreachable!("the bounds and the digits are constants that fit")))
    }
}

impl Ages {
    pub(super) fn record(&mut self, age: Duration) {
        self.0.saturating_record(age.as_micros() as u64);
    }

    /// Both together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.add(&other.0).unwrap_or_else(|_| unreachable!("both have the same bounds"));
        self
    }

    /// The age that this part of the updates stayed below, in milliseconds.
    pub fn at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |one, other| Self {
            sent: one.sent + other.sent,
            offered: one.offered + other.offered,
            delivered: one.delivered + other.delivered,
        })
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            offered: self.offered - earlier.offered,
            delivered: self.delivered - earlier.delivered,
        }
    }
}

pub(super) async fn measure(server: &Server, time: Duration, counts: impl Fn() -> Counts) -> anyhow::Result<Sample> {
    let (before, cpu, own, started) = (counts(), server.cpu()?, own_cpu()?, Instant::now());
    tokio::time::sleep(time).await;
    Ok(Sample {
        counts: counts() - before,
        time: started.elapsed(),
        server: server.cpu()? - cpu,
        load: own_cpu()? - own,
    })
}
