//! The oracle: the island rules read off the originals as directly as Rust allows, comparing every island with every other.
//! It knows all rule sets, aborted flushes and stale circles included, and replays every recorded trace. The engine must
//! agree with it on any world.

mod flush;
mod merge;
mod transports;

use std::collections::{BTreeMap, HashMap, HashSet};

use atoll_core::archipelago::{Change, DesiredRoom, IslandId, PeerId, Position, Receipt, Rules, Settings, Transport};
use transports::Transports;

pub(crate) struct Oracle {
    settings: Settings,
    last_id: u64,
    last_sequence: u64,
    /// Never reused: a 2022-09 record may be in two islands, or in one and pending.
    records: Vec<Record>,
    peers: HashMap<PeerId, usize>,
    /// In the order of the first heartbeat; a later heartbeat changes the record but not the place.
    pending: Vec<usize>,
    islands: BTreeMap<u64, Island>,
    refused: HashSet<String>,
    transports: Transports,
    /// One for each peer, in the order of each peer's first change.
    changes: Vec<Change>,
    change_places: HashMap<PeerId, usize>,
}

struct Record {
    id: PeerId,
    position: Position,
    desired_room: Option<IslandId>,
    island: Option<(u64, IslandId)>,
}

struct Island {
    id: IslandId,
    transport: u32,
    max_peers: usize,
    members: Vec<usize>,
    dirty: bool,
    /// As last read: centre and radius.
    circle: Option<(Position, f64)>,
}

/// What the tests compare.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) id: IslandId,
    pub(crate) sequence: u64,
    pub(crate) transport: u32,
    pub(crate) max_peers: usize,
    pub(crate) centre: Position,
    pub(crate) radius: f64,
    pub(crate) members: Vec<PeerId>,
}

impl Oracle {
    pub(crate) fn new(mut settings: Settings) -> Self {
        if settings.rules == Rules::Product {
            settings.leave_distance = settings.leave_distance.max(settings.join_distance);
        }
        Self {
            last_id: 0,
            last_sequence: 0,
            records: Vec::new(),
            peers: HashMap::new(),
            pending: Vec::new(),
            islands: BTreeMap::new(),
            refused: HashSet::new(),
            transports: Transports::new(settings.rules, settings.max_peers),
            changes: Vec::new(),
            change_places: HashMap::new(),
            settings,
        }
    }

    pub(crate) fn heartbeat(&mut self, peer: &str, position: Position, desired_room: DesiredRoom<'_>) -> Receipt {
        let sane = Position::checked(position.x, position.y, position.z).is_ok();
        if self.settings.rules == Rules::Product && (!sane || self.refused.contains(peer)) {
            return Receipt::Refused;
        }
        let Some(&slot) = self.peers.get(peer) else {
            let desired_room = wish(desired_room).flatten();
            let record = Record { id: peer.into(), position, desired_room, island: None };
            self.records.push(record);
            let slot = self.records.len() - 1;
            match self.pending_place(peer) {
                Some(place) => self.pending[place] = slot,
                None => self.pending.push(slot),
            }
            return Receipt::Accepted;
        };
        let record = &mut self.records[slot];
        record.position = position;
        if let Some(desired_room) = wish(desired_room) {
            record.desired_room = desired_room;
        }
        let Some((sequence, _)) = record.island else {
            return Receipt::Accepted;
        };
        let Some(island) = self.islands.get_mut(&sequence) else {
            return Receipt::Raised;
        };
        island.dirty = true;
        Receipt::Accepted
    }

    pub(crate) fn disconnect(&mut self, peer: &str) -> Receipt {
        if !self.is_old()
            && let Some(place) = self.pending_place(peer)
        {
            self.pending.remove(place);
        }
        let Some((id, slot)) = self.peers.remove_entry(peer) else {
            return Receipt::Accepted;
        };
        let Some((sequence, island_id)) = self.records[slot].island.clone() else {
            return Receipt::Accepted;
        };
        let Some(island) = self.islands.get_mut(&sequence) else {
            return Receipt::Raised;
        };
        if let Some(place) = island.members.iter().position(|&member| self.records[member].id == id) {
            island.members.remove(place);
        }
        island.dirty = true;
        if island.members.is_empty() {
            self.islands.remove(&sequence);
        }
        self.announce(&id.clone(), Change::Left { peer: id, island: island_id });
        Receipt::Accepted
    }

    pub(crate) fn refuse<'a>(&mut self, peers: impl IntoIterator<Item = &'a str>) {
        self.refused = peers.into_iter().map(str::to_owned).collect();
        if self.settings.rules != Rules::Product {
            return;
        }
        let mut refused: Vec<String> = self.refused.iter().cloned().collect();
        refused.sort();
        for peer in refused {
            self.disconnect(&peer);
        }
    }

    pub(crate) fn transport(&mut self, transport: Transport) {
        self.transports.register(transport);
    }

    pub(crate) fn transport_gone(&mut self, id: u32) {
        self.transports.remove(id);
        for island in self.islands.values_mut().filter(|island| island.transport == id) {
            island.max_peers = 0;
        }
    }

    pub(crate) fn transport_fails(&mut self, id: u32, fails: bool) {
        self.transports.set_failing(id, fails);
    }

    pub(crate) fn report(&mut self) {
        if self.settings.rules == Rules::Product {
            return;
        }
        let sequences: Vec<u64> = self.islands.keys().copied().collect();
        for sequence in sequences {
            self.read_circle(sequence);
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        let see = |(&sequence, island): (&u64, &Island)| {
            let (centre, radius) = self.known_circle(island).unwrap_or_else(|| self.circle(&island.members));
            Seen {
                id: island.id.clone(),
                sequence,
                transport: island.transport,
                max_peers: island.max_peers,
                centre,
                radius,
                members: island.members.iter().map(|&slot| self.records[slot].id.clone()).collect(),
            }
        };
        self.islands.iter().map(see).collect()
    }

    /// The two generations that run on registered transports, raise, and keep ghosts.
    fn is_old(&self) -> bool {
        matches!(self.settings.rules, Rules::V2023_02 | Rules::V2022_09)
    }

    fn pending_place(&self, peer: &str) -> Option<usize> {
        self.pending.iter().position(|&slot| &*self.records[slot].id == peer)
    }

    fn announce(&mut self, peer: &PeerId, change: Change) {
        if let Some(&place) = self.change_places.get(peer) {
            self.changes[place] = change;
            return;
        }
        self.change_places.insert(peer.clone(), self.changes.len());
        self.changes.push(change);
    }

    fn circle(&self, members: &[usize]) -> (Position, f64) {
        let positions = || members.iter().map(|&slot| self.records[slot].position);
        let (mut x, mut z) = (0.0, 0.0);
        for position in positions() {
            x += position.x;
            z += position.z;
        }
        let count = members.len() as f64;
        let centre = Position { x: x / count, y: 0.0, z: z / count };
        let mut furthest = positions().next().map_or(0.0, |position| position.squared_distance(centre));
        for position in positions() {
            let distance = position.squared_distance(centre);
            if distance > furthest {
                furthest = distance;
            }
        }
        (centre, furthest.sqrt())
    }

    /// The circle as last read, unless it is out of date. The older engines also distrusted a radius of 0 or NaN.
    fn known_circle(&self, island: &Island) -> Option<(Position, f64)> {
        let (centre, radius) = island.circle.filter(|_| !island.dirty)?;
        (!self.is_old() || radius > 0.0).then_some((centre, radius))
    }

    fn read_circle(&mut self, sequence: u64) -> (Position, f64) {
        let island = &self.islands[&sequence];
        let circle = self.known_circle(island).unwrap_or_else(|| self.circle(&island.members));
        let island = self.islands.get_mut(&sequence).unwrap();
        island.circle = Some(circle);
        island.dirty = false;
        circle
    }
}

/// `None`: stays as it is.
fn wish(desired_room: DesiredRoom<'_>) -> Option<Option<IslandId>> {
    match desired_room {
        DesiredRoom::Keep => None,
        DesiredRoom::Clear | DesiredRoom::Set("") => Some(None),
        DesiredRoom::Set(room) => Some(Some(room.into())),
    }
}
