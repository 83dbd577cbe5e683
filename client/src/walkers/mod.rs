//! Many clients that walk about and tell each other where they are: what `atoll bots` runs.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use atoll_client::Discovery;
//! use atoll_client::walkers::Walkers;
//! use std::time::Duration;
//!
//! let found = Discovery::of("http://127.0.0.1:7480").await?;
//! let walkers = Walkers { count: 50, ..Walkers::default() };
//! let until = tokio::time::sleep(Duration::from_secs(10));
//! let summary = walkers.run(&(&found).into(), &found.options(), until, |progress| println!("{progress}")).await;
//! println!("{summary}");
//! # Ok(())
//! # }
//! ```

mod door;
mod latency;
mod progress;
mod stamp;
mod summary;
mod tally;
mod walk;
mod walker;

pub use door::Door;
pub use latency::Latency;
pub use progress::Progress;
pub use stamp::Clock;
pub use summary::Summary;
pub use walk::Area;

use crate::{Doors, Options};
use door::Sockets;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tally::{Outcome, Tally};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use walker::Walker;

/// A number of walkers, and how they walk.
#[derive(Debug, Clone)]
pub struct Walkers {
    /// How many there are.
    pub count: usize,
    /// Which way in they take.
    pub door: Door,
    /// Where they walk: the first in the first area, the second in the second, and so on in turn.
    pub areas: Vec<Area>,
    /// How fast they walk, in metres per second; each has a speed of its own.
    pub speed: RangeInclusive<f32>,
    /// How often each tells the others where it is, in hertz.
    pub rate: f64,
    /// How many bytes a packet has; where that is too few, what it takes (about 60).
    pub payload: usize,
    /// How many lines of chat each sends in a minute, as ordered messages.
    pub chat_per_minute: f64,
    /// Decides their keys and their ways. Two runs with one seed at one edge kick each other out.
    pub seed: u64,
    /// How many connect in a second.
    pub joins_per_second: f64,
    /// How many UDP sockets they share for each way in.
    pub sockets: usize,
    /// How often the run's progress is told.
    pub progress_every: Duration,
}

impl Default for Walkers {
    /// 50 walkers by all doors, in a square of 48 m, at 1 to 3 m/s and 10 Hz, without chat; 100 connect in a second.
    fn default() -> Self {
        Self {
            count: 50,
            door: Door::default(),
            areas: vec![Area::square(48.0)],
            speed: 1.0..=3.0,
            rate: 10.0,
            payload: 0,
            chat_per_minute: 0.0,
            seed: 1,
            joins_per_second: 100.0,
            sockets: 2,
            progress_every: Duration::from_secs(1),
        }
    }
}

impl Walkers {
    /// Lets them walk at the edge with these doors until `until` is over or none is left, and sums up. Meanwhile `show`
    /// is told how it goes.
    ///
    /// Failures to connect are counted in the summary, not returned. Pass `tokio::time::sleep` for a duration.
    pub async fn run(
        &self,
        doors: &Doors,
        options: &Options,
        until: impl Future<Output = ()>,
        mut show: impl FnMut(&Progress),
    ) -> Summary {
        let started = Instant::now();
        let tally = Arc::new(Tally::new());
        let settings = Arc::new(self.clone());
        let clock = Clock::start(self.seed);
        let (stop, stopped) = watch::channel(false);
        let sockets = Sockets::open(self.door, doors, options, self.sockets).await;
        let mut walkers = JoinSet::new();
        for index in 0..self.count {
            let (way, socket) = sockets.of(index);
            let (settings, tally) = (settings.clone(), tally.clone());
            let connect_at = started + self.connect_delay(index);
            let walker = Walker { way, settings, index, connect_at, clock, tally };
            walkers.spawn(walker.run(socket, stopped.clone()));
        }
        drop(stopped);
        let show = || show(&tally.progress(self.count, started.elapsed()));
        let outcomes = collect(walkers, stop, until, self.progress_every, show).await;
        sockets.close().await;
        Summary::of(self.count, &outcomes, &tally, started.elapsed())
    }

    fn connect_delay(&self, index: usize) -> Duration {
        Duration::try_from_secs_f64(index as f64 / self.joins_per_second).unwrap_or_default()
    }
}

/// Waits for `until` or the last walker, then stops those who still walk.
async fn collect(
    mut walkers: JoinSet<Outcome>,
    stop: watch::Sender<bool>,
    until: impl Future<Output = ()>,
    progress_every: Duration,
    mut show: impl FnMut(),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let every = progress_every.max(Duration::from_millis(10));
    let mut progress = interval_at(Instant::now() + every, every);
    progress.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            () = &mut until, if !*stop.borrow() => {
                stop.send_replace(true);
            }
            outcome = walkers.join_next() => match outcome {
                Some(outcome) => outcomes.push(outcome.unwrap_or_else(|_| Outcome::failed("panic"))),
                None => return outcomes,
            },
            _ = progress.tick(), if !*stop.borrow() => show(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CertificateDigest, Target};

    /// Nobody answers on that port: the walkers fail, and the run tells so instead of waiting for `until`.
    #[tokio::test]
    async fn an_edge_that_is_not_there_is_a_counted_failure() {
        let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let edge = format!("https://{}", unused.local_addr().unwrap());
        let mut options = Options::pinned(CertificateDigest([0; 32]));
        options.connect_timeout = Duration::from_millis(200);
        let every = Duration::from_millis(50);
        let walkers = Walkers { count: 4, door: Door::Quic, progress_every: every, ..Walkers::default() };
        let doors = Doors::from(&Target::quic(&edge).unwrap());
        let mut told = Vec::new();
        let summary = walkers.run(&doors, &options, std::future::pending(), |progress| told.push(*progress)).await;
        assert_eq!((summary.walkers, summary.joined, summary.islands), (4, 0, 0));
        assert_eq!(summary.failures.iter().collect::<Vec<_>>(), [(&"connect_timeout".to_owned(), &4)]);
        assert!(!told.is_empty() && told.iter().all(|progress| progress.joined == 0 && progress.walkers == 4));
    }

    #[tokio::test]
    async fn a_door_that_the_edge_does_not_have_is_a_counted_failure() {
        let options = Options::pinned(CertificateDigest([0; 32]));
        let walkers = Walkers { count: 3, door: Door::WebSocket, ..Walkers::default() };
        let summary = walkers.run(&Doors::default(), &options, std::future::pending(), |_| {}).await;
        assert_eq!(summary.failures.iter().collect::<Vec<_>>(), [(&"no_door".to_owned(), &3)]);
    }
}
