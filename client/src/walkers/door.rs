//! Which way in each walker takes, and the sockets they share.

use crate::{ConnectError, Doors, Endpoint, Options, Target, Way};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the edge is given to hear that the walkers left.
const FAREWELL: Duration = Duration::from_secs(5);

/// Which way in walkers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// All by WebTransport.
    WebTransport,
    /// All by raw QUIC.
    Quic,
    /// All by WebSocket.
    WebSocket,
    /// One after the other by each way that is known.
    #[default]
    Mixed,
}

/// A socket, or the label of why there is none: the walkers that should use it fail by it.
pub(super) type Socket = Result<Endpoint, Arc<str>>;

/// The sockets that walkers share.
#[derive(Debug)]
pub(super) struct Sockets(Vec<(Way, Vec<Socket>)>);

impl Door {
    fn targets(self, doors: &Doors) -> Vec<(Way, Option<Target>)> {
        let Doors { webtransport, quic, websocket } = doors.clone();
        let all = [(Way::WebTransport, webtransport), (Way::Quic, quic), (Way::WebSocket, websocket)];
        let wanted = |way| match self {
            Self::WebTransport => way == Way::WebTransport,
            Self::Quic => way == Way::Quic,
            Self::WebSocket => way == Way::WebSocket,
            Self::Mixed => true,
        };
        all.into_iter().filter(|(way, target)| wanted(*way) && (self != Self::Mixed || target.is_some())).collect()
    }
}

impl Sockets {
    /// Opens `count` sockets for each way that `door` takes.
    pub(super) async fn open(door: Door, doors: &Doors, options: &Options, count: usize) -> Self {
        let mut ways = Vec::new();
        for (way, target) in door.targets(doors) {
            let mut sockets = Vec::new();
            for _ in 0..count.max(1) {
                sockets.push(open(target.as_ref(), options).await);
            }
            ways.push((way, sockets));
        }
        Self(ways)
    }

    /// The socket of a walker.
    pub(super) fn of(&self, index: usize) -> (Way, Socket) {
        let Some((way, sockets)) = index.checked_rem(self.0.len()).and_then(|at| self.0.get(at)) else {
            return (Way::WebTransport, Err("no_door".into()));
        };
        (*way, sockets[index / self.0.len() % sockets.len()].clone())
    }

    pub(super) async fn close(self) {
        // All at once: while QUIC waits for stray packets, WebSockets still have their close to write.
        let sockets = self.0.into_iter().flat_map(|(_, sockets)| sockets).flatten();
        let closing: JoinSet<()> = sockets.map(|socket| async move { socket.close().await }).collect();
        // An edge that is gone does not answer; nobody waits longer for it.
        let _ = timeout(FAREWELL, closing.join_all()).await;
    }
}

async fn open(target: Option<&Target>, options: &Options) -> Socket {
    let target = target.ok_or("no_door")?;
    Endpoint::open(target, options).await.map_err(|error: ConnectError| error.label().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CertificateDigest;

    async fn ways(door: Door, doors: &Doors) -> Vec<(Way, bool)> {
        let options = Options::pinned(CertificateDigest([0; 32]));
        let sockets = Sockets::open(door, doors, &options, 2).await;
        (0..4).map(|index| sockets.of(index)).map(|(way, socket)| (way, socket.is_ok())).collect()
    }

    #[tokio::test]
    async fn walkers_take_the_ways_in_turn() {
        use Way::{Quic, WebSocket, WebTransport};
        let mut doors = Doors {
            webtransport: Target::webtransport("https://127.0.0.1:1").ok(),
            quic: Target::quic("127.0.0.1:1").ok(),
            websocket: None,
        };
        let two = [(WebTransport, true), (Quic, true), (WebTransport, true), (Quic, true)];
        assert_eq!(ways(Door::Mixed, &doors).await, two);
        assert_eq!(ways(Door::Quic, &doors).await, [(Quic, true); 4]);
        assert_eq!(ways(Door::WebSocket, &doors).await, [(WebSocket, false); 4]);
        doors.websocket = Target::websocket("ws://127.0.0.1:1").ok();
        let three = [(WebTransport, true), (Quic, true), (WebSocket, true), (WebTransport, true)];
        assert_eq!(ways(Door::Mixed, &doors).await, three);
        assert_eq!(ways(Door::Mixed, &Doors::default()).await, [(WebTransport, false); 4]);
    }
}
