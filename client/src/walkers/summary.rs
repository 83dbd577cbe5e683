//! What a run of walkers came to.

use super::tally::{Latency, Outcome, Tally};
use crate::target::Way;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What a run of walkers came to. `Display` writes a few aligned lines, [`Summary::to_json`] one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How many there were.
    pub walkers: usize,
    /// How many were put into an island.
    pub joined: usize,
    /// How many of those came by WebTransport.
    pub joined_by_webtransport: usize,
    /// How many different islands they were in at the end.
    pub islands: usize,
    /// Updates sent.
    pub sent: u64,
    /// Packets of others received and accepted.
    pub received: u64,
    /// Updates received too late, behind a newer one.
    pub stale: u64,
    /// Packets accepted, but dropped because this process was too slow to take them.
    pub dropped: u64,
    /// From sending to taking, of packets within this run; `None` when none was delivered.
    pub latency: Option<Latency>,
    /// How often what went wrong: names of close codes, kinds of failure, names of refusals.
    pub failures: BTreeMap<String, u64>,
    /// How long it took, connecting and leaving included.
    pub elapsed: Duration,
}

impl Summary {
    pub(super) fn of(walkers: usize, outcomes: Vec<Outcome>, tally: &Tally, elapsed: Duration) -> Self {
        let joined = outcomes.iter().filter_map(|outcome| outcome.joined);
        let islands: BTreeSet<_> = outcomes.iter().filter_map(|outcome| outcome.island.as_ref()).collect();
        let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum();
        for why in outcomes.iter().filter_map(|outcome| outcome.failure.as_ref()) {
            tally.failed(why, 1);
        }
        Self {
            walkers,
            joined: joined.clone().count(),
            joined_by_webtransport: joined.filter(|way| *way == Way::WebTransport).count(),
            islands: islands.len(),
            sent: sum(|outcome| outcome.stats.updates_sent),
            received: sum(|outcome| outcome.stats.received),
            stale: sum(|outcome| outcome.stats.stale),
            dropped: sum(|outcome| outcome.stats.queue_dropped),
            latency: tally.latency(),
            failures: tally.failures(),
            elapsed,
        }
    }

    /// The same as JSON: names as of the fields, latencies in milliseconds (`p50Ms`, `p99Ms`, `maxMs`), or `null`.
    pub fn to_json(&self) -> Value {
        let latency = self.latency.map(|latency| {
            json!({"p50Ms": milliseconds(latency.p50), "p99Ms": milliseconds(latency.p99), "maxMs": milliseconds(latency.max)})
        });
        json!({
            "walkers": self.walkers,
            "joined": self.joined,
            "joinedByWebtransport": self.joined_by_webtransport,
            "islands": self.islands,
            "sent": self.sent,
            "received": self.received,
            "stale": self.stale,
            "dropped": self.dropped,
            "latency": latency,
            "failures": self.failures,
            "elapsedMs": milliseconds(self.elapsed),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_quic = self.joined - self.joined_by_webtransport;
        writeln!(
            f,
            "joined    {} of {} ({} webtransport, {by_quic} quic)",
            self.joined, self.walkers, self.joined_by_webtransport
        )?;
        writeln!(f, "islands   {}", self.islands)?;
        writeln!(f, "sent      {} updates in {:.1} s", self.sent, self.elapsed.as_secs_f64())?;
        writeln!(f, "received  {} ({} stale, {} dropped here)", self.received, self.stale, self.dropped)?;
        match self.latency {
            Some(Latency { p50, p99, max }) => writeln!(
                f,
                "latency   p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
                milliseconds(p50),
                milliseconds(p99),
                milliseconds(max)
            )?,
            None => writeln!(f, "latency   nothing was delivered")?,
        }
        if self.failures.is_empty() {
            return write!(f, "failures  none");
        }
        let failures = self.failures.iter().map(|(why, count)| format!("{why} {count}"));
        write!(f, "failures  {}", failures.collect::<Vec<_>>().join(", "))
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stats;

    fn summary() -> Summary {
        let tally = Tally::new();
        for age in 1..=100 {
            tally.delivered(Duration::from_millis(age));
        }
        tally.failed("ERROR_CODE_TOO_FAST", 7);
        let walking = |way, island: &str| Outcome {
            joined: Some(way),
            island: Some(island.to_owned()),
            stats: Stats { updates_sent: 10, received: 30, stale: 1, queue_dropped: 2, ..Stats::default() },
            failure: None,
        };
        let outcomes = vec![
            walking(Way::WebTransport, "I1"),
            walking(Way::Quic, "I2"),
            walking(Way::Quic, "I2"),
            Outcome::failed("overloaded"),
        ];
        Summary::of(4, outcomes, &tally, Duration::from_millis(2500))
    }

    #[test]
    fn outcomes_are_summed_up() {
        let summary = summary();
        assert_eq!((summary.joined, summary.joined_by_webtransport, summary.islands), (3, 1, 2));
        assert_eq!((summary.sent, summary.received, summary.stale, summary.dropped), (30, 90, 3, 6));
        let json = summary.to_json();
        // The histogram keeps three digits.
        let p50 = json["latency"]["p50Ms"].as_f64().unwrap();
        let p99 = json["latency"]["p99Ms"].as_f64().unwrap();
        assert!((p50 - 50.0).abs() < 0.1 && (p99 - 99.0).abs() < 0.1, "{p50} {p99}");
        assert_eq!(json["failures"], json!({"ERROR_CODE_TOO_FAST": 7, "overloaded": 1}));
        assert_eq!(json["elapsedMs"], 2500.0);
    }

    #[test]
    fn a_person_reads_six_lines() {
        let text = summary().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], "joined    3 of 4 (1 webtransport, 2 quic)");
        assert_eq!(lines[2], "sent      30 updates in 2.5 s");
        assert_eq!(lines[5], "failures  ERROR_CODE_TOO_FAST 7, overloaded 1");
        let nothing = Summary::of(1, Vec::new(), &Tally::new(), Duration::ZERO);
        assert!(nothing.to_string().contains("nothing was delivered"));
        assert_eq!(nothing.to_json()["latency"], Value::Null);
    }
}
