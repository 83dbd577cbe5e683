//! What a caller sees of an island.

use super::islands::IslandState;
use super::peers::{Peers, Place};
use crate::archipelago::change::{IslandId, PeerId};
use crate::archipelago::position::Position;

/// An island as it stands after the last flush.
#[derive(Clone, Copy)]
pub struct Island<'a> {
    pub(super) state: &'a IslandState,
    pub(super) peers: &'a Peers,
}

/// The circle around an island, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// The mean of the members' positions; `y` is 0.
    pub centre: Position,
    /// The distance from the centre to the furthest member.
    pub radius: f64,
}

impl<'a> Island<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &'a IslandId {
        &self.state.id
    }

    /// Its place among all islands: they are kept in the order in which they were made, counted from 1.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.state.sequence()
    }

    /// The transport it was made on; 0 where there is only one.
    #[must_use]
    pub fn transport(&self) -> u32 {
        self.state.transport
    }

    /// How many members it may have. 0 once its transport is lost.
    #[must_use]
    pub fn max_peers(&self) -> usize {
        self.state.max_peers
    }

    /// The circle around the members as they stand now. Worked out at each call.
    #[must_use]
    pub fn circle(&self) -> Circle {
        Circle::around(self.state.members.iter().map(|&slot| self.peers.places()[slot as usize]))
    }

    /// How many members it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.state.len()
    }

    /// The members, in the order in which they came, with their last known positions.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&'a PeerId, Position)> + use<'a> {
        let peers = self.peers;
        self.state.members.iter().map(move |&slot| (&peers.record(slot).id, peers.position(slot)))
    }
}

impl Circle {
    /// The circle around some places. Sums in their order, because sums of doubles depend on it.
    pub(super) fn around(places: impl Iterator<Item = Place> + Clone) -> Self {
        let (mut x, mut z, mut count) = (0.0, 0.0, 0.0);
        for place in places.clone() {
            x += place.x;
            z += place.z;
            count += 1.0;
        }
        let centre = Place { x: x / count, z: z / count };
        let mut distances = places.map(|place| place.squared_distance(centre));
        let mut furthest = distances.next().unwrap_or(0.0);
        for distance in distances {
            // Not `max`: with NaN among them the original keeps what it has.
            if distance > furthest {
                furthest = distance;
            }
        }
        Self { centre: Position { x: centre.x, y: 0.0, z: centre.z }, radius: furthest.sqrt() }
    }
}
