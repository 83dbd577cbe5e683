//! The archipelago service: the engine between subjects of the bus, on the beat of the flush interval.

use super::{Change, DesiredRoom, Engine, Position, Settings};
use crate::Host;
use crate::bus::{Bus, Message, Pattern, Subject, Subscription};
use crate::counter::Counter;
use atoll_proto::archipelago as wire;
use atoll_proto::archipelago::island_changed_message::PeersEntry;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The header of island changes that this service publishes. Edges write connection strings into those that carry it.
pub const ATOLL_HEADER: &str = "Atoll-Archipelago";

/// Messages that may wait for the service: several seconds of heartbeats of ten thousand peers.
const CAPACITY: usize = 65_536;

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// How peers are grouped.
    pub engine: Settings,
    /// Time between two flushes when no newcomer waits.
    pub flush_interval: Duration,
    /// Time between two flushes while newcomers wait for an island.
    pub newcomer_interval: Duration,
    /// A peer silent for longer leaves its island.
    pub peer_timeout: Duration,
}

/// What the service counts, readable from outside.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    peers: Counter,
    islands: Counter,
    changes: Counter,
    refused: Counter,
    dropped: Counter,
    lost: Counter,
}

/// What the archipelago service holds and has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchipelagoStatus {
    /// Peers it knows.
    pub peers: u64,
    /// Islands there are.
    pub islands: u64,
    /// Island changes announced, departures included.
    pub changes: u64,
    /// Heartbeats without a position, or with one that is no place.
    pub refused: u64,
    /// Messages dropped because the service was slow.
    pub dropped: u64,
    /// Announcements the bus did not take.
    pub lost: u64,
}

impl Watch {
    /// The counts now.
    pub fn status(&self) -> ArchipelagoStatus {
        ArchipelagoStatus {
            peers: self.0.peers.value(),
            islands: self.0.islands.value(),
            changes: self.0.changes.value(),
            refused: self.0.refused.value(),
            dropped: self.0.dropped.value(),
            lost: self.0.lost.value(),
        }
    }
}

/// What the service listens to, as one queue, so that a login, its heartbeats and its end keep their order.
fn subscribe(bus: &dyn Bus) -> Subscription {
    let subjects = ["client-proto.peer.*.heartbeat", "peer.*.connect", "peer.*.disconnect"];
    let patterns: Vec<Pattern> = subjects.into_iter().flat_map(Pattern::new).collect();
    bus.subscribe(&patterns, CAPACITY)
}

/// A service that has subscribed: whatever is published from now on will be heard.
pub struct Service {
    engine: Engine,
    bus: Arc<dyn Bus>,
    host: Arc<dyn Host>,
    messages: Subscription,
    settings: ServiceSettings,
    last_heard: HashMap<Arc<str>, Duration>,
    last_flush: Duration,
    watch: Watch,
}

impl Service {
    /// Subscribes.
    pub fn new(settings: ServiceSettings, host: Arc<dyn Host>, bus: Arc<dyn Bus>, watch: Watch) -> Self {
        let messages = subscribe(&*bus);
        let engine = Engine::new(settings.engine.clone());
        let last_flush = host.monotonic();
        Self { engine, bus, host, messages, settings, last_heard: HashMap::new(), last_flush, watch }
    }

    /// Serves until the bus ends.
    pub async fn run(mut self) {
        loop {
            let wait = self.until_flush();
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => self.flush(),
                message = self.messages.next() => match message {
                    Some(message) => self.hear(&message),
                    None => return,
                },
            }
        }
    }

    /// Who has just come should not wait for the beat; a storm of them must not make every moment a flush.
    fn until_flush(&self) -> Duration {
        let newcomers = self.engine.newcomers() > 0;
        let interval = if newcomers { self.settings.newcomer_interval } else { self.settings.flush_interval };
        (self.last_flush + interval.min(self.settings.flush_interval)).saturating_sub(self.host.monotonic())
    }

    fn hear(&mut self, message: &Message) {
        let levels: Vec<&str> = message.subject.levels().collect();
        match levels[..] {
            ["client-proto", "peer", peer, "heartbeat"] => self.heartbeat(peer, &message.payload),
            // A peer that logs in again must hear of its island afresh.
            ["peer", peer, "connect" | "disconnect"] => self.forget(peer),
            _ => {}
        }
    }

    fn heartbeat(&mut self, peer: &str, payload: &[u8]) {
        let decoded = atoll_proto::decode::<wire::Heartbeat>(payload).ok();
        let position = decoded.as_ref().and_then(|heartbeat| place(heartbeat.position.as_ref()?));
        let (Some(heartbeat), Some(position)) = (decoded, position) else {
            self.watch.0.refused.add(1);
            return;
        };
        let room = heartbeat.desired_room.as_deref().filter(|room| !room.is_empty());
        self.engine.heartbeat(peer, position, room.map_or(DesiredRoom::Clear, DesiredRoom::Set));
        self.last_heard.insert(peer.into(), self.host.monotonic());
    }

    fn forget(&mut self, peer: &str) {
        self.engine.disconnect(peer);
        self.last_heard.remove(peer);
    }

    fn flush(&mut self) {
        self.last_flush = self.host.monotonic();
        self.forget_silent();
        let changes = self.engine.flush();
        self.watch.0.changes.add(changes.len() as u64);
        for change in &changes {
            match change {
                Change::Moved { peer, island, from } => self.announce(peer, island, from.as_deref()),
                Change::Left { peer, island } => {
                    let left = wire::LeftIslandMessage { island_id: island.to_string(), peer_id: peer.to_string() };
                    self.publish(&format!("client-proto.island.{island}.peer_left"), &left);
                }
            }
        }
        self.watch.0.peers.set(self.engine.peers() as u64);
        self.watch.0.islands.set(self.engine.islands().count() as u64);
        self.watch.0.dropped.set(self.messages.dropped());
    }

    /// First the peer itself hears, then the island it comes to: the order of the original.
    fn announce(&mut self, peer: &str, island: &str, from: Option<&str>) {
        let members = self.engine.island_of(peer);
        let peers = members.iter().flat_map(|island| island.members()).map(|(member, position)| {
            let value = wire::Position { x: position.x as f32, y: position.y as f32, z: position.z as f32 };
            PeersEntry { key: member.to_string(), value: Some(value) }
        });
        let changed = wire::IslandChangedMessage {
            island_id: island.to_owned(),
            // Written by the edge that holds the session.
            conn_str: String::new(),
            from_island_id: from.map(str::to_owned),
            peers: peers.collect(),
        };
        self.publish(&format!("client-proto.{peer}.island_changed"), &changed);
        let join = wire::JoinIslandMessage { island_id: island.to_owned(), peer_id: peer.to_owned() };
        self.publish(&format!("client-proto.island.{island}.peer_join"), &join);
    }

    /// A message the bus does not take is lost: who waits for it hears of the next change.
    fn publish(&self, subject: &str, message: &impl prost::Message) {
        let Ok(subject) = Subject::new(subject) else { return };
        let mut message = Message::new(subject, message.encode_to_vec());
        message.headers.push((ATOLL_HEADER.to_owned(), "1".to_owned()));
        if self.bus.publish(message).is_err() {
            self.watch.0.lost.add(1);
        }
    }

    fn forget_silent(&mut self) {
        let now = self.host.monotonic();
        let timeout = self.settings.peer_timeout;
        let silent = self.last_heard.extract_if(|_, heard| now.saturating_sub(*heard) > timeout);
        for (peer, _) in silent {
            self.engine.disconnect(&peer);
        }
    }
}

fn place(position: &wire::Position) -> Option<Position> {
    Position::checked(position.x.into(), position.y.into(), position.z.into()).ok()
}
