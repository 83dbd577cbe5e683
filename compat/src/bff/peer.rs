//! A logged-in port: the session, and who of its client listens to island changes.

use crate::Coordinates;
use crate::ended::Ended;
use atoll_core::Address;
use atoll_core::archipelago;
use atoll_core::region::{IslandChanges, Session, SessionEvent, Topics};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage, Position};
use atoll_proto::archipelago_2022::island_changed_message::PeersEntry;
use atoll_proto::archipelago_2022::{self, Position3DMessage};
use bytes::Bytes;
use prost::Message as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Heartbeats that may wait for the session's task.
const HEARTBEATS: usize = 16;

/// Largest heartbeat that is read, in bytes: a position, and many times the longest name of an island.
const MAX_HEARTBEAT: usize = 1024;

/// How long a client whose address has logged in elsewhere may stay to hear of it.
const FAREWELL: Duration = Duration::from_secs(10);

/// Listeners beyond which those that have gone are looked for: as many subscriptions as a session may have, twice.
const MAX_LISTENERS: usize = 512;

/// A logged-in port. The last clone's end logs the peer out.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) topics: Topics,
    heartbeats: mpsc::Sender<Heartbeat>,
    listeners: Arc<Mutex<Vec<IslandChanges>>>,
    over: watch::Receiver<Option<Over>>,
    connection_string: watch::Receiver<Option<String>>,
}

impl Peer {
    /// Serves `session` on a task of its own for as long as the peer is there.
    pub(super) fn start(session: Session, coordinates: Coordinates) -> Self {
        let (heartbeats, queue) = mpsc::channel(HEARTBEATS);
        let (end, over) = watch::channel(None);
        let (strings, connection_string) = watch::channel(None);
        let listeners = Arc::<Mutex<Vec<IslandChanges>>>::default();
        let (address, topics) = (session.address(), session.topics());
        let news = News { address, coordinates, listeners: Arc::clone(&listeners), end, strings };
        tokio::spawn(serve(session, queue, news));
        Self { topics, heartbeats, listeners, over, connection_string }
    }

    /// Passes a heartbeat on. Whether it says a place or comes too often is not told: kernels leave the realm when a
    /// heartbeat fails.
    pub(super) fn heartbeat(&self, payload: &[u8]) {
        if payload.len() > MAX_HEARTBEAT {
            return;
        }
        if let Ok(heartbeat) = atoll_proto::decode::<Heartbeat>(payload) {
            // A full queue is that of a client far above the limit.
            let _ = self.heartbeats.try_send(heartbeat);
        }
    }

    /// Tells a subscriber of this peer's island changes from now on.
    pub(super) fn listen(&self, listener: IslandChanges) {
        let mut listeners = lock(&self.listeners);
        // Those that have gone are found at the next island change; until then there are not many.
        if listeners.len() >= MAX_LISTENERS {
            listeners.retain(|listener| !listener.is_over());
        }
        listeners.push(listener);
    }

    /// Resolves when the address has logged in elsewhere; never, when the session ends otherwise.
    pub(super) fn kicked(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut over = self.over.clone();
        async move {
            if wait(&mut over).await.ended != Ended::Replaced {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves when the session has ended by itself, and the client has had its time to hear of it.
    pub(super) fn over(&self) -> impl Future<Output = Ended> + Send + use<> {
        let mut over = self.over.clone();
        async move {
            let Over { ended, close_at } = wait(&mut over).await;
            sleep_until(close_at).await;
            ended
        }
    }

    /// The connection string of the peer's island, as it changes.
    pub(super) fn connection_strings(&self) -> watch::Receiver<Option<String>> {
        let mut strings = self.connection_string.clone();
        strings.mark_changed();
        strings
    }
}

/// How a session ended, without its client.
#[derive(Debug, Clone)]
struct Over {
    ended: Ended,
    /// When its connection is to be closed.
    close_at: Instant,
}

async fn wait(over: &mut watch::Receiver<Option<Over>>) -> Over {
    let told = over.wait_for(Option::is_some).await.ok().and_then(|over| over.clone());
    match told {
        Some(over) => over,
        // The client itself has ended it.
        None => std::future::pending().await,
    }
}

struct News {
    address: Address,
    coordinates: Coordinates,
    listeners: Arc<Mutex<Vec<IslandChanges>>>,
    end: watch::Sender<Option<Over>>,
    strings: watch::Sender<Option<String>>,
}

async fn serve(mut session: Session, mut heartbeats: mpsc::Receiver<Heartbeat>, news: News) {
    loop {
        tokio::select! {
            heartbeat = heartbeats.recv() => match heartbeat {
                Some(heartbeat) => pass_on(&mut session, &heartbeat),
                None => return,
            },
            event = session.next_event() => match event {
                Some(SessionEvent::IslandChanged(island)) => news.island_changed(island),
                Some(SessionEvent::Kicked) => return news.end(Ended::Replaced, FAREWELL),
                Some(SessionEvent::Evicted) => return news.end(Ended::Evicted, Duration::ZERO),
                None => return news.end(Ended::Clogged, Duration::ZERO),
            },
        }
    }
}

fn pass_on(session: &mut Session, heartbeat: &Heartbeat) {
    let Some(position) = &heartbeat.position else { return };
    let position = archipelago::Position { x: position.x.into(), y: position.y.into(), z: position.z.into() };
    if let Err(error) = session.heartbeat(position, heartbeat.desired_room.as_deref()) {
        tracing::debug!(address = %session.address(), "a heartbeat had no effect: {error}");
    }
}

impl News {
    fn end(&self, ended: Ended, patience: Duration) {
        self.end.send_replace(Some(Over { ended, close_at: Instant::now() + patience }));
    }

    fn island_changed(&self, island: IslandChangedMessage) {
        self.strings.send_replace(Some(island.conn_str.clone()));
        let payload = match self.coordinates {
            Coordinates::Double => with_doubles(island),
            Coordinates::Float => island.encode_to_vec().into(),
        };
        lock(&self.listeners).retain(|listener| listener.offer(self.address, payload.clone()));
    }
}

/// The coordinates of an island change as doubles.
fn with_doubles(island: IslandChangedMessage) -> Bytes {
    let IslandChangedMessage { island_id, conn_str, from_island_id, peers } = island;
    let wide =
        |position: Position| Position3DMessage { x: position.x.into(), y: position.y.into(), z: position.z.into() };
    let peers = peers.into_iter().map(|peer| PeersEntry { key: peer.key, value: peer.value.map(wide) });
    let peers = peers.collect();
    archipelago_2022::IslandChangedMessage { island_id, conn_str, from_island_id, peers }.encode_to_vec().into()
}

fn lock(listeners: &Mutex<Vec<IslandChanges>>) -> std::sync::MutexGuard<'_, Vec<IslandChanges>> {
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}
