//! How a run of walkers goes at the moment.

use super::latency::Latency;
use std::fmt;
use std::time::Duration;

/// How a run of walkers goes. `Display` writes one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many walkers there are to be.
    pub walkers: usize,
    /// How many are seated in an island now.
    pub joined: usize,
    /// How many different islands they are seated in now.
    pub islands: usize,
    /// Updates sent so far; counted about once a second.
    pub sent: u64,
    /// Packets of others received so far; counted about once a second.
    pub received: u64,
    /// From sending to taking, since the last progress; `None` when nothing was delivered.
    pub latency: Option<Latency>,
    /// How often something went wrong so far.
    pub failures: u64,
    /// Since the beginning.
    pub elapsed: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walkers, joined, islands, sent, received, failures, .. } = self;
        write!(f, "{:6.1} s  joined {joined}/{walkers}  islands {islands}", self.elapsed.as_secs_f64())?;
        write!(f, "  sent {sent}  received {received}")?;
        match self.latency {
            Some(Latency { p50, p99, .. }) => {
                let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
                write!(f, "  p50 {:.1} ms  p99 {:.1} ms", milliseconds(p50), milliseconds(p99))?;
            }
            None => write!(f, "  p50 -  p99 -")?,
        }
        write!(f, "  failures {failures}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line() {
        let latency = Latency {
            p50: Duration::from_micros(21_340),
            p99: Duration::from_millis(43),
            max: Duration::from_millis(50),
        };
        let progress = Progress {
            walkers: 2000,
            joined: 1800,
            islands: 20,
            sent: 5,
            received: 495,
            latency: Some(latency),
            failures: 0,
            elapsed: Duration::from_millis(12_340),
        };
        let line = "  12.3 s  joined 1800/2000  islands 20  sent 5  received 495  p50 21.3 ms  p99 43.0 ms  failures 0";
        assert_eq!(progress.to_string(), line);
        assert!(Progress { latency: None, ..progress }.to_string().contains("p50 -  p99 -"));
    }
}
