//! The archipelago service: the engine between subjects of the bus, on the beat of the flush interval.

use super::bulletin;
use super::{Change, DesiredRoom, Engine, Position, Settings};
use crate::Host;
use crate::bus::{Bus, Message, Pattern, Subject, Subscription};
use crate::counter::Counter;
use atoll_proto::archipelago as wire;
use atoll_proto::archipelago::island_changed_message::PeersEntry;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The header of island changes that this service publishes. Edges write connection strings into those that carry it.
pub const ATOLL_HEADER: &str = "Atoll-Archipelago";

/// The header of logins that an edge of Atoll announces: it writes the session's connection strings itself.
pub const EDGE_HEADER: &str = "Atoll-Edge";

/// Writes the connection string of an island (first) for a peer (second) whose login no edge of Atoll announced.
pub type ForeignStrings = Box<dyn Fn(&str, &str) -> String + Send + Sync>;

/// The connection string of an island whose room the client cannot reach: it is there, and hears nobody.
pub const OFFLINE: &str = "offline:offline";

/// Messages that may wait for the service: several seconds of heartbeats of ten thousand peers.
const CAPACITY: usize = 65_536;

/// Time between two messages that tell that the service is there.
const PRESENCE: Duration = Duration::from_secs(10);

/// How far the first heartbeat may have passed its login, where another process says both: they come by different
/// subscriptions.
const REORDERED: Duration = Duration::from_millis(250);

/// Asks for what the service tells out of turn: a process that comes to the bus does not know what it missed.
pub(crate) const ASK: &str = "atoll.archipelago.ask";

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
    /// Time between two messages that tell all islands.
    pub islands_interval: Duration,
    /// Peers beyond which heartbeats of others are refused: on a bus that is shared, anybody may make some up.
    pub max_peers: usize,
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
    let subjects = ["client-proto.peer.*.heartbeat", "peer.*.connect", "peer.*.disconnect", ASK];
    let patterns: Vec<Pattern> = subjects.into_iter().flat_map(Pattern::new).collect();
    bus.subscribe(&patterns, CAPACITY)
}

/// The last heartbeat of a peer.
#[derive(Clone, Copy)]
struct Heard {
    at: Duration,
    position: Position,
}

/// A service that has subscribed: whatever is published from now on will be heard.
pub struct Service {
    engine: Engine,
    bus: Arc<dyn Bus>,
    host: Arc<dyn Host>,
    messages: Subscription,
    settings: ServiceSettings,
    last_heard: HashMap<Arc<str>, Heard>,
    /// Peers whose connection strings an edge of Atoll writes. Not more than `max_peers`.
    of_edges: HashSet<Arc<str>>,
    strings: ForeignStrings,
    last_flush: Duration,
    last_presence: Option<Duration>,
    last_islands: Duration,
    is_asked: bool,
    watch: Watch,
}

impl Service {
    /// Subscribes. `strings` are for those whom no edge of Atoll tells of their islands.
    pub fn new(
        settings: ServiceSettings,
        host: Arc<dyn Host>,
        bus: Arc<dyn Bus>,
        watch: Watch,
        strings: ForeignStrings,
    ) -> Self {
        let messages = subscribe(&*bus);
        let engine = Engine::new(settings.engine.clone());
        let last_flush = host.monotonic();
        Self {
            engine,
            bus,
            host,
            messages,
            settings,
            last_heard: HashMap::new(),
            of_edges: HashSet::new(),
            strings,
            last_flush,
            last_presence: None,
            last_islands: last_flush,
            is_asked: false,
            watch,
        }
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
            ["peer", peer, "connect"] => {
                if message.is_from_elsewhere {
                    self.come_again(peer);
                } else {
                    self.forget(peer);
                }
                self.note_edge(peer, message.header(EDGE_HEADER).is_some());
            }
            ["peer", peer, "disconnect"] => {
                self.forget(peer);
                self.of_edges.remove(peer);
            }
            // Told behind the next flush, so that it is not older than the changes that were.
            _ => self.is_asked |= message.subject.as_str() == ASK,
        }
    }

    fn heartbeat(&mut self, peer: &str, payload: &[u8]) {
        let decoded = atoll_proto::decode::<wire::Heartbeat>(payload).ok();
        let position = decoded.as_ref().and_then(|heartbeat| place(heartbeat.position.as_ref()?));
        let (Some(heartbeat), Some(position)) = (decoded, position) else {
            self.watch.0.refused.add(1);
            return;
        };
        let now = self.host.monotonic();
        if !self.last_heard.contains_key(peer) && self.last_heard.len() >= self.settings.max_peers {
            self.watch.0.refused.add(1);
            return;
        }
        let room = heartbeat.desired_room.as_deref().filter(|room| !room.is_empty());
        self.engine.heartbeat(peer, position, room.map_or(DesiredRoom::Clear, DesiredRoom::Set));
        self.last_heard.insert(peer.into(), Heard { at: now, position });
    }

    fn forget(&mut self, peer: &str) {
        self.engine.disconnect(peer);
        self.last_heard.remove(peer);
    }

    /// Notes who writes the peer's connection strings. Who finds no place among them is written one that nobody reads.
    fn note_edge(&mut self, peer: &str, is_of_edge: bool) {
        if !is_of_edge {
            self.of_edges.remove(peer);
        } else if self.of_edges.len() < self.settings.max_peers {
            self.of_edges.insert(peer.into());
        }
    }

    /// Forgets the peer but for a heartbeat that may have come behind this and passed it.
    fn come_again(&mut self, peer: &str) {
        let now = self.host.monotonic();
        let heard = self.last_heard.get(peer).copied().filter(|heard| now.saturating_sub(heard.at) < REORDERED);
        self.forget(peer);
        if let Some(heard) = heard {
            self.engine.heartbeat(peer, heard.position, DesiredRoom::Clear);
            self.last_heard.insert(peer.into(), heard);
        }
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
        self.tell();
        self.watch.0.peers.set(self.engine.peers() as u64);
        self.watch.0.islands.set(self.engine.islands().count() as u64);
        self.watch.0.dropped.set(self.messages.dropped());
    }

    /// Tells everybody what is due.
    fn tell(&mut self) {
        let now = self.last_flush;
        let is_asked = std::mem::take(&mut self.is_asked);
        let mut bulletins = Vec::new();
        if is_asked || self.last_presence.is_none_or(|last| now >= last + PRESENCE) {
            self.last_presence = Some(now);
            bulletins.extend(bulletin::presence(self.host.unix_millis(), self.engine.peers()));
        }
        if is_asked || now >= self.last_islands + self.settings.islands_interval {
            self.last_islands = now;
            bulletins.extend(bulletin::islands(&self.engine));
        }
        for bulletin in bulletins {
            self.hand_over(bulletin);
        }
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
            // An edge of Atoll writes its own over it.
            conn_str: if self.of_edges.contains(peer) { OFFLINE.to_owned() } else { (self.strings)(island, peer) },
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
        self.hand_over(Message::new(subject, message.encode_to_vec()));
    }

    fn hand_over(&self, mut message: Message) {
        message.headers.push((ATOLL_HEADER.to_owned(), "1".to_owned()));
        if self.bus.publish(message).is_err() {
            self.watch.0.lost.add(1);
        }
    }

    fn forget_silent(&mut self) {
        let now = self.host.monotonic();
        let timeout = self.settings.peer_timeout;
        let silent = self.last_heard.extract_if(|_, heard| now.saturating_sub(heard.at) > timeout);
        for (peer, _) in silent {
            self.engine.disconnect(&peer);
        }
    }
}

fn place(position: &wire::Position) -> Option<Position> {
    Position::checked(position.x.into(), position.y.into(), position.z.into()).ok()
}
