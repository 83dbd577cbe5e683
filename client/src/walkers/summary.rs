//! What a run of walkers came to.

use super::latency::Latency;
use super::tally::{Outcome, Tally};
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
    /// How many of those came by each way in.
    pub doors: BTreeMap<String, usize>,
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
    /// Lines of chat sent.
    pub chat_sent: u64,
    /// Lines of chat of others heard.
    pub chat_received: u64,
    /// From sending to taking, of chat within this run; `None` when none was heard.
    pub chat_latency: Option<Latency>,
    /// Times a session went on over another connection.
    pub resumed: u64,
    /// Times a session was lost and another one began.
    pub restarted: u64,
    /// How often what went wrong: names of close codes, kinds of failure, names of refusals.
    pub failures: BTreeMap<String, u64>,
    /// How long it took, connecting and leaving included.
    pub elapsed: Duration,
}

impl Summary {
    pub(super) fn of(walkers: usize, outcomes: &[Outcome], tally: &Tally, elapsed: Duration) -> Self {
        let islands: BTreeSet<_> = outcomes.iter().filter_map(|outcome| outcome.island.as_ref()).collect();
        let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum();
        let mut doors = BTreeMap::<_, usize>::new();
        for way in outcomes.iter().filter_map(|outcome| outcome.joined) {
            *doors.entry(way.to_string()).or_default() += 1;
        }
        let (latency, chat_latency) = tally.latencies();
        Self {
            walkers,
            joined: doors.values().sum(),
            doors,
            islands: islands.len(),
            sent: sum(|outcome| outcome.stats.updates_sent),
            received: sum(|outcome| outcome.stats.received),
            stale: sum(|outcome| outcome.stats.stale),
            dropped: sum(|outcome| outcome.stats.queue_dropped),
            latency,
            chat_sent: sum(|outcome| outcome.stats.messages_sent),
            chat_received: sum(|outcome| outcome.chat_heard),
            chat_latency,
            resumed: sum(|outcome| outcome.stats.resumed),
            restarted: sum(|outcome| outcome.stats.restarted),
            failures: tally.failures(),
            elapsed,
        }
    }

    /// The same as JSON: names as of the fields, latencies in milliseconds (`p50Ms`, `p99Ms`, `maxMs`), or `null`.
    pub fn to_json(&self) -> Value {
        let latency = |latency: Option<Latency>| {
            latency.map(|Latency { p50, p99, max }| {
                json!({"p50Ms": milliseconds(p50), "p99Ms": milliseconds(p99), "maxMs": milliseconds(max)})
            })
        };
        json!({
            "walkers": self.walkers,
            "joined": self.joined,
            "doors": self.doors,
            "islands": self.islands,
            "sent": self.sent,
            "received": self.received,
            "stale": self.stale,
            "dropped": self.dropped,
            "latency": latency(self.latency),
            "chatSent": self.chat_sent,
            "chatReceived": self.chat_received,
            "chatLatency": latency(self.chat_latency),
            "resumed": self.resumed,
            "restarted": self.restarted,
            "failures": self.failures,
            "elapsedMs": milliseconds(self.elapsed),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let doors = listed(self.doors.iter().map(|(way, count)| format!("{count} {way}")).collect());
        writeln!(f, "joined    {} of {} ({doors})", self.joined, self.walkers)?;
        writeln!(f, "islands   {}", self.islands)?;
        writeln!(f, "sent      {} updates in {:.1} s", self.sent, self.elapsed.as_secs_f64())?;
        writeln!(f, "received  {} ({} stale, {} dropped here)", self.received, self.stale, self.dropped)?;
        writeln!(f, "latency   {}", Told(self.latency))?;
        if self.chat_sent + self.chat_received > 0 {
            writeln!(
                f,
                "chat      {} sent, {} heard, {}",
                self.chat_sent,
                self.chat_received,
                Told(self.chat_latency)
            )?;
        }
        if self.resumed + self.restarted > 0 {
            writeln!(f, "lost      {} sessions resumed, {} begun anew", self.resumed, self.restarted)?;
        }
        let failures = self.failures.iter().map(|(why, count)| format!("{why} {count}"));
        write!(f, "failures  {}", listed(failures.collect()))
    }
}

struct Told(Option<Latency>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Latency { p50, p99, max }) = self.0 else {
            return f.write_str("nothing was delivered");
        };
        let [p50, p99, max] = [p50, p99, max].map(milliseconds);
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stats, Way};

    fn summary() -> Summary {
        let tally = Tally::new();
        for age in 1..=100 {
            tally.delivered(age as usize, Duration::from_millis(age));
        }
        tally.chat_delivered(Duration::from_millis(3));
        tally.failed("ERROR_CODE_TOO_FAST", 7);
        tally.failed("overloaded", 1);
        let stats = Stats { updates_sent: 10, received: 30, stale: 1, queue_dropped: 2, ..Stats::default() };
        let walking = |way, island: &str| Outcome {
            joined: Some(way),
            island: Some(island.to_owned()),
            stats: Stats { messages_sent: 1, resumed: 1, ..stats },
            chat_heard: 2,
            failure: None,
        };
        let outcomes = [
            walking(Way::WebTransport, "I1"),
            walking(Way::Quic, "I2"),
            walking(Way::Quic, "I2"),
            Outcome::failed("overloaded"),
        ];
        Summary::of(4, &outcomes, &tally, Duration::from_millis(2500))
    }

    #[test]
    fn outcomes_are_summed_up() {
        let summary = summary();
        assert_eq!((summary.joined, summary.doors["webtransport"], summary.islands), (3, 1, 2));
        assert_eq!((summary.sent, summary.received, summary.stale, summary.dropped), (30, 90, 3, 6));
        assert_eq!((summary.chat_sent, summary.chat_received, summary.resumed), (3, 6, 3));
        let json = summary.to_json();
        // The histogram keeps three digits.
        let p50 = json["latency"]["p50Ms"].as_f64().unwrap();
        let p99 = json["latency"]["p99Ms"].as_f64().unwrap();
        assert!((p50 - 50.0).abs() < 0.1 && (p99 - 99.0).abs() < 0.1, "{p50} {p99}");
        assert_eq!(json["doors"], json!({"webtransport": 1, "quic": 2}));
        assert_eq!(json["failures"], json!({"ERROR_CODE_TOO_FAST": 7, "overloaded": 1}));
        assert_eq!(json["elapsedMs"], 2500.0);
    }

    #[test]
    fn a_person_reads_a_few_lines() {
        let text = summary().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[0], "joined    3 of 4 (2 quic, 1 webtransport)");
        assert_eq!(lines[2], "sent      30 updates in 2.5 s");
        assert_eq!(lines[5], "chat      3 sent, 6 heard, p50 3.0 ms, p99 3.0 ms, max 3.0 ms");
        assert_eq!(lines[6], "lost      3 sessions resumed, 0 begun anew");
        assert_eq!(lines[7], "failures  ERROR_CODE_TOO_FAST 7, overloaded 1");
        let nothing = Summary::of(1, &[], &Tally::new(), Duration::ZERO);
        let text = nothing.to_string();
        assert!(text.contains("nothing was delivered") && text.lines().count() == 6, "{text}");
        assert_eq!(nothing.to_json()["latency"], Value::Null);
    }
}
