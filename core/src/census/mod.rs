//! Who is where: peers, parcels and islands, as the region's bus tells them.
//!
//! This is a view, for pages and lists. Nothing that decides looks at it. It hears what the original statistics service
//! heard, so it shows the peers of every edge on the bus, whoever runs archipelago.

mod service;

pub use service::run;

use crate::archipelago::Position;
use atoll_proto::Address;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Metres along the side of a parcel.
const PARCEL: f64 = 16.0;

/// Peers that are kept. More are not shown.
const MAX_PEERS: usize = 100_000;

/// A parcel of land, counted from the origin: east, north.
pub type Parcel = (i32, i32);

/// A peer that has told where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Who it is.
    pub address: Address,
    /// Where it stood last.
    pub position: Position,
    /// When it said so, in milliseconds since 1970.
    pub last_heartbeat: u64,
}

/// An island with the members that have told where they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Island {
    /// Its name.
    pub id: String,
    /// The mean of its members' places, at height 0.
    pub center: Position,
    /// The largest distance of a member from there, in metres.
    pub radius: f64,
    /// By address.
    pub peers: Vec<Peer>,
}

/// What was heard so far. Bounded by [`Census::new`]'s timeout and by 100,000 peers.
#[derive(Debug)]
pub struct Census {
    timeout_ms: u64,
    peers: HashMap<Address, Entry>,
}

#[derive(Debug)]
struct Entry {
    position: Option<Position>,
    heard: u64,
    island: Option<Arc<str>>,
}

impl Peer {
    /// The parcel it stands on.
    pub fn parcel(&self) -> Parcel {
        let along = |coordinate: f64| (coordinate / PARCEL).floor() as i32;
        (along(self.position.x), along(self.position.z))
    }
}

impl Census {
    /// Nobody yet. A peer that is silent for `timeout_ms` milliseconds is forgotten.
    pub fn new(timeout_ms: u64) -> Self {
        Self { timeout_ms, peers: HashMap::new() }
    }

    /// A peer told at `now` (milliseconds since 1970) where it stands.
    pub fn heartbeat(&mut self, address: Address, position: Position, now: u64) {
        if let Some(entry) = self.entry(address, now) {
            entry.position = Some(position);
            entry.heard = now;
        }
    }

    /// A peer was put into an island.
    pub fn island_changed(&mut self, address: Address, island: &str, now: u64) {
        if let Some(entry) = self.entry(address, now) {
            entry.island = Some(island.into());
        }
    }

    /// A peer left the region.
    pub fn left(&mut self, address: Address) {
        self.peers.remove(&address);
    }

    /// Forgets who has been silent for too long.
    pub fn expire(&mut self, now: u64) {
        self.peers.retain(|_, entry| now.saturating_sub(entry.heard) <= self.timeout_ms);
    }

    /// A peer, if it is there and has said where.
    pub fn peer(&self, address: Address) -> Option<Peer> {
        self.peers.get(&address).and_then(|entry| entry.peer(address))
    }

    /// How many there may be to list.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// All peers, by address.
    pub fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<Peer> = self.peers.iter().filter_map(|(address, entry)| entry.peer(*address)).collect();
        peers.sort_unstable_by_key(|peer| peer.address);
        peers
    }

    /// How many peers stand on each parcel, by parcel.
    pub fn parcels(&self) -> BTreeMap<Parcel, usize> {
        let mut parcels = BTreeMap::new();
        for (address, entry) in &self.peers {
            if let Some(peer) = entry.peer(*address) {
                *parcels.entry(peer.parcel()).or_default() += 1;
            }
        }
        parcels
    }

    /// All islands, by name. One whose members have not said where they stand is not among them.
    pub fn islands(&self) -> Vec<Island> {
        let mut islands = BTreeMap::<&str, Vec<Peer>>::new();
        for (address, entry) in &self.peers {
            if let (Some(island), Some(peer)) = (&entry.island, entry.peer(*address)) {
                islands.entry(island).or_default().push(peer);
            }
        }
        islands.into_iter().map(|(id, peers)| Island::new(id, peers)).collect()
    }

    fn entry(&mut self, address: Address, now: u64) -> Option<&mut Entry> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&address) {
            return None;
        }
        Some(self.peers.entry(address).or_insert(Entry { position: None, heard: now, island: None }))
    }
}

impl Entry {
    fn peer(&self, address: Address) -> Option<Peer> {
        self.position.map(|position| Peer { address, position, last_heartbeat: self.heard })
    }
}

impl Island {
    fn new(id: &str, mut peers: Vec<Peer>) -> Self {
        peers.sort_unstable_by_key(|peer| peer.address);
        let count = peers.len() as f64;
        let mean = |along: fn(&Position) -> f64| peers.iter().map(|peer| along(&peer.position)).sum::<f64>() / count;
        let center = Position { x: mean(|position| position.x), y: 0.0, z: mean(|position| position.z) };
        let distance = |peer: &Peer| (peer.position.x - center.x).hypot(peer.position.z - center.z);
        let radius = peers.iter().map(distance).fold(0.0, f64::max);
        Self { id: id.to_owned(), center, radius, peers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> Address {
        format!("0x{number:040x}").parse().unwrap()
    }

    fn at(x: f64, z: f64) -> Position {
        Position { x, y: 1.0, z }
    }

    #[test]
    fn islands_are_made_of_those_who_said_where_they_stand() {
        let mut census = Census::new(1000);
        for (number, x) in [(1, 0.0), (2, 6.0)] {
            census.heartbeat(address(number), at(x, -8.0), 10);
            census.island_changed(address(number), "I1", 10);
        }
        census.island_changed(address(3), "I2", 10);
        census.heartbeat(address(4), at(-0.5, 31.0), 20);
        let islands = census.islands();
        assert_eq!(islands.len(), 1);
        let Island { id, center, radius, peers } = &islands[0];
        assert_eq!((id.as_str(), *center, *radius, peers.len()), ("I1", Position { x: 3.0, y: 0.0, z: -8.0 }, 3.0, 2));
        assert_eq!(census.parcels().into_iter().collect::<Vec<_>>(), [((-1, 1), 1), ((0, -1), 2)]);
        assert_eq!(census.peer(address(4)).unwrap().last_heartbeat, 20);
        assert_eq!(census.peers().len(), 3);
    }

    #[test]
    fn the_silent_and_those_who_left_are_forgotten() {
        let mut census = Census::new(1000);
        for number in 1..=3 {
            census.heartbeat(address(number), at(0.0, 0.0), 10);
        }
        census.heartbeat(address(2), at(0.0, 0.0), 900);
        census.left(address(3));
        census.expire(1011);
        assert_eq!(census.peers().iter().map(|peer| peer.address).collect::<Vec<_>>(), [address(2)]);
    }
}
