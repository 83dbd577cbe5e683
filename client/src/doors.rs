//! The ways into one edge, and the race between them.

use crate::discovery::Discovery;
use crate::error::ConnectError;
use crate::options::Options;
use crate::target::{Target, Way};
use std::time::Duration;
use tokio::time::timeout;

/// The known ways into one edge: one of them (from a [`Target`]), or those that the edge tells (from a
/// [`Discovery`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doors {
    /// WebTransport.
    pub webtransport: Option<Target>,
    /// Raw QUIC.
    pub quic: Option<Target>,
    /// WebSocket.
    pub websocket: Option<Target>,
}

impl Doors {
    /// The QUIC way to use: the one that `options` prefer, else the other.
    pub(crate) fn by_quic(&self, options: &Options) -> Option<&Target> {
        let (preferred, other) = match options.quic_way {
            Way::WebTransport => (&self.webtransport, &self.quic),
            _ => (&self.quic, &self.webtransport),
        };
        preferred.as_ref().or(other.as_ref())
    }
}

impl From<&Target> for Doors {
    fn from(target: &Target) -> Self {
        let mut doors = Self::default();
        let door = match target.way {
            Way::WebTransport => &mut doors.webtransport,
            Way::Quic => &mut doors.quic,
            Way::WebSocket => &mut doors.websocket,
        };
        *door = Some(target.clone());
        doors
    }
}

impl From<&Doors> for Doors {
    fn from(doors: &Doors) -> Self {
        doors.clone()
    }
}

impl From<&Discovery> for Doors {
    /// Addresses that are none were refused when the edge was asked.
    fn from(found: &Discovery) -> Self {
        Self {
            webtransport: Target::webtransport(&found.webtransport).ok(),
            quic: Target::quic(&found.quic).ok(),
            websocket: found.websocket.as_ref().and_then(|url| Target::websocket(url).ok()),
        }
    }
}

/// The first of two attempts that succeeds. `second` starts when `first` failed, or is not ready after `head_start`;
/// the one that loses is given up.
pub(crate) async fn race<T>(
    first: impl Future<Output = Result<T, ConnectError>>,
    second: impl Future<Output = Result<T, ConnectError>>,
    head_start: Duration,
) -> Result<T, ConnectError> {
    let mut first = std::pin::pin!(first);
    match timeout(head_start, &mut first).await {
        Ok(Ok(ready)) => return Ok(ready),
        Ok(Err(error)) => return second.await.map_err(|other| telling(error, other)),
        Err(_) => {}
    }
    let mut second = std::pin::pin!(second);
    tokio::select! {
        ready = &mut first => match ready {
            Ok(ready) => Ok(ready),
            Err(error) => second.await.map_err(|other| telling(error, other)),
        },
        ready = &mut second => match ready {
            Ok(ready) => Ok(ready),
            Err(other) => first.await.map_err(|error| telling(error, other)),
        },
    }
}

/// Of two errors the one in which the edge says something, else the first.
fn telling(first: ConnectError, second: ConnectError) -> ConnectError {
    if first.code().is_none() && second.code().is_some() { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed::Closed;
    use crate::trust::{CertificateDigest, Trust};
    use atoll_proto::close::CloseCode;
    use tokio::time::{Instant, sleep};

    const HEAD_START: Duration = Duration::from_millis(500);

    async fn after(milliseconds: u64, result: Result<u8, ConnectError>) -> Result<u8, ConnectError> {
        sleep(Duration::from_millis(milliseconds)).await;
        result
    }

    /// Who won, and after how many milliseconds.
    async fn raced(
        first: impl Future<Output = Result<u8, ConnectError>>,
        second: impl Future<Output = Result<u8, ConnectError>>,
    ) -> (Result<u8, ConnectError>, u128) {
        let started = Instant::now();
        let result = race(first, second, HEAD_START).await;
        (result, started.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_starts_late_and_the_first_that_is_ready_wins() {
        let blocked = || std::future::pending();
        assert!(matches!(raced(after(400, Ok(1)), after(0, Ok(2))).await, (Ok(1), 400)));
        assert!(matches!(raced(after(700, Ok(1)), after(300, Ok(2))).await, (Ok(1), 700)));
        assert!(matches!(raced(after(900, Ok(1)), after(300, Ok(2))).await, (Ok(2), 800)));
        assert!(matches!(raced(blocked(), after(100, Ok(2))).await, (Ok(2), 600)));
        assert!(matches!(raced(after(900, Ok(1)), blocked()).await, (Ok(1), 900)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_leaves_it_to_the_other() {
        let failed = || Err(ConnectError::TimedOut);
        assert!(matches!(raced(after(100, failed()), after(50, Ok(2))).await, (Ok(2), 150)));
        assert!(matches!(raced(after(900, Ok(1)), after(50, failed())).await, (Ok(1), 900)));
        assert!(matches!(raced(after(600, failed()), after(400, Ok(2))).await, (Ok(2), 900)));
        let full = || Err(Closed::from_code(CloseCode::Overloaded, "").into());
        for (first, second) in [(failed(), full()), (full(), failed())] {
            let (error, _) = raced(after(600, first), after(50, second)).await;
            assert_eq!(error.unwrap_err().code(), Some(CloseCode::Overloaded));
        }
    }

    #[test]
    fn the_quic_way_is_a_choice() {
        let (webtransport, quic) = (Target::webtransport("a:1").unwrap(), Target::quic("a:1").unwrap());
        let mut options = Options::new(Trust::CertificateSha256(CertificateDigest([0; 32])));
        let doors = Doors { webtransport: Some(webtransport.clone()), ..Doors::from(&quic) };
        assert_eq!(doors.by_quic(&options), Some(&quic));
        options.quic_way = Way::WebTransport;
        assert_eq!(doors.by_quic(&options), Some(&webtransport));
        assert_eq!(Doors::from(&quic).by_quic(&options), Some(&quic));
        assert_eq!(Doors::from(&Target::websocket("ws://a").unwrap()).by_quic(&options), None);
    }
}
