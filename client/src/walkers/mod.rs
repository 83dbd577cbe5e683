//! Many clients that walk about and tell each other where they are: what `atoll bots` runs.
//!
//! ```no_run
//! # async fn example(options: atoll_client::Options) -> Result<(), atoll_client::TargetError> {
//! use atoll_client::walkers::Walkers;
//! use std::time::Duration;
//!
//! let walkers = Walkers { count: 50, ..Walkers::default() };
//! let summary = walkers.run("https://127.0.0.1:7443", &options, tokio::time::sleep(Duration::from_secs(10))).await?;
//! println!("{summary}");
//! # Ok(())
//! # }
//! ```

mod stamp;
mod summary;
mod tally;
mod walk;
mod walker;

pub use summary::Summary;
pub use tally::Latency;
pub use walk::Area;

use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::target::{Options, Target, TargetError, Way};
use stamp::Clock;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tally::{Outcome, Tally};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use walker::Walker;

/// How long the edge is given to hear that the walkers left.
const FAREWELL: Duration = Duration::from_secs(1);

/// A number of walkers, and how they walk.
#[derive(Debug, Clone)]
pub struct Walkers {
    /// How many there are.
    pub count: usize,
    /// Which part of them comes by WebTransport, from 0 to 1; the others by raw QUIC.
    pub webtransport: f64,
    /// Where they walk.
    pub area: Area,
    /// How fast they walk, in metres per second; each has a speed of its own.
    pub speed: RangeInclusive<f32>,
    /// How often each tells the others where it is, in hertz.
    pub rate: f64,
    /// Decides their keys and their ways. Two runs with one seed at one edge kick each other out.
    pub seed: u64,
    /// How many connect in a second.
    pub connects_per_second: f64,
    /// How many UDP sockets they share for each way in.
    pub sockets: usize,
}

impl Default for Walkers {
    /// 50 walkers, half of them by WebTransport, in a square of 48 m, at 1 to 3 m/s and 10 Hz; 50 connect in a second.
    fn default() -> Self {
        Self {
            count: 50,
            webtransport: 0.5,
            area: Area::square(48.0),
            speed: 1.0..=3.0,
            rate: 10.0,
            seed: 1,
            connects_per_second: 50.0,
            sockets: 2,
        }
    }
}

impl Walkers {
    /// Lets them walk at `edge` (`https://<host>:<port>`) until `until` is over or none is left, and sums up.
    ///
    /// Failures to connect are counted in the summary, not returned. Pass `tokio::time::sleep` for a duration.
    ///
    /// # Errors
    /// A [`TargetError`] when `edge` is no such URL.
    pub async fn run(
        &self,
        edge: &str,
        options: &Options,
        until: impl Future<Output = ()>,
    ) -> Result<Summary, TargetError> {
        let started = Instant::now();
        let tally = Arc::new(Tally::new());
        let clock = Clock::start(self.seed);
        let (stop, stopped) = watch::channel(false);
        let sockets = self.open_sockets(edge, options).await?;
        let mut walkers = JoinSet::new();
        for index in 0..self.count {
            let (way, socket) = sockets.of(self.way_of(index), index);
            let walker = Walker {
                way,
                settings: self.clone(),
                index,
                connect_at: started + self.connect_delay(index),
                clock,
                tally: tally.clone(),
            };
            walkers.spawn(walker.run(socket, stopped.clone()));
        }
        drop(stopped);
        let outcomes = collect(walkers, stop, until).await;
        sockets.close().await;
        Ok(Summary::of(self.count, outcomes, &tally, started.elapsed()))
    }

    /// Spreads the WebTransport walkers evenly over the order of connecting.
    fn way_of(&self, index: usize) -> Way {
        let before = |walkers: usize| (walkers as f64 * self.webtransport.clamp(0.0, 1.0)).round() as usize;
        if before(index + 1) > before(index) { Way::WebTransport } else { Way::Quic }
    }

    fn connect_delay(&self, index: usize) -> Duration {
        Duration::try_from_secs_f64(index as f64 / self.connects_per_second).unwrap_or_default()
    }

    async fn open_sockets(&self, edge: &str, options: &Options) -> Result<Sockets, TargetError> {
        let mut sockets = Sockets { webtransport: Vec::new(), quic: Vec::new() };
        for _ in 0..self.sockets.max(1) {
            sockets.webtransport.push(open(&Target::webtransport(edge)?, options).await);
            sockets.quic.push(open(&Target::quic(edge)?, options).await);
        }
        Ok(sockets)
    }
}

/// A socket, or why there is none: the walkers that should use it fail by that reason.
type Socket = Result<Endpoint, Arc<ConnectError>>;

struct Sockets {
    webtransport: Vec<Socket>,
    quic: Vec<Socket>,
}

impl Sockets {
    fn of(&self, way: Way, index: usize) -> (Way, Socket) {
        let sockets = match way {
            Way::WebTransport => &self.webtransport,
            Way::Quic => &self.quic,
        };
        (way, sockets[index % sockets.len()].clone())
    }

    async fn close(self) {
        let farewell = Instant::now() + FAREWELL;
        for socket in self.webtransport.into_iter().chain(self.quic).flatten() {
            // An edge that is gone does not answer; nobody waits longer for it.
            let _ = timeout_at(farewell, socket.close()).await;
        }
    }
}

async fn open(target: &Target, options: &Options) -> Socket {
    Endpoint::open(target, options).await.map_err(Arc::new)
}

/// Waits for `until` or the last walker, then stops those who still walk.
async fn collect(
    mut walkers: JoinSet<Outcome>,
    stop: watch::Sender<bool>,
    until: impl Future<Output = ()>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::CertificateDigest;

    #[test]
    fn the_ways_are_mixed_as_asked() {
        for (share, expected) in [(0.0, 0), (0.3, 3), (0.5, 5), (1.0, 10), (7.0, 10)] {
            let walkers = Walkers { webtransport: share, ..Walkers::default() };
            let by_webtransport = (0..10).filter(|index| walkers.way_of(*index) == Way::WebTransport);
            assert_eq!(by_webtransport.count(), expected, "{share}");
        }
    }

    /// Nobody answers on that port: the walkers fail, and the run tells so instead of waiting for `until`.
    #[tokio::test]
    async fn an_edge_that_is_not_there_is_a_counted_failure() {
        let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let edge = format!("https://{}", unused.local_addr().unwrap());
        let mut options = Options::pinned(CertificateDigest([0; 32]));
        options.connect_timeout = Duration::from_millis(200);
        let walkers = Walkers { count: 4, ..Walkers::default() };
        let summary = walkers.run(&edge, &options, std::future::pending()).await.unwrap();
        assert_eq!((summary.walkers, summary.joined, summary.islands), (4, 0, 0));
        assert_eq!(summary.failures.iter().collect::<Vec<_>>(), [(&"connect_timeout".to_owned(), &4)]);
    }
}
