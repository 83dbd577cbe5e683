//! Everything known of peers, by slot.

use std::collections::HashMap;
use std::num::NonZeroU64;

use crate::archipelago::change::{DesiredRoom, IslandId, PeerId};
use crate::archipelago::position::Position;

/// Where a peer's data is.
pub(super) type Slot = u32;

/// No place: what [`Record::change`] and [`Record::pending`] say when there is nothing to announce, and nothing to wait for.
pub(super) const NO_PLACE: u32 = u32::MAX;

/// The peers. What the inner loops read (the place) is kept apart from the rest.
#[derive(Default)]
pub(super) struct Peers {
    /// All peers, those too that wait for their first flush.
    known: HashMap<PeerId, Slot>,
    places: Vec<Place>,
    records: Vec<Record>,
    free: Vec<Slot>,
    wishes: usize,
}

/// A place on the ground, in metres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) z: f64,
}

pub(super) struct Record {
    pub(super) id: PeerId,
    height: f64,
    desired_room: Option<IslandId>,
    /// Its island. Under the older rules that one may be gone.
    pub(super) island: Option<IslandRef>,
    /// The place of its change in the outbox, or [`NO_PLACE`].
    pub(super) change: u32,
    /// Its place among those who wait for their first flush, or [`NO_PLACE`].
    pub(super) pending: u32,
}

/// An island that may be gone: its place in memory can hold a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IslandRef {
    pub(super) slot: u32,
    pub(super) sequence: NonZeroU64,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many slots there are, for tables by slot.
    pub(super) fn slots(&self) -> usize {
        self.records.len()
    }

    pub(super) fn slot(&self, peer: &str) -> Option<Slot> {
        self.known.get(peer).copied()
    }

    /// The data of a newcomer, who is not known yet.
    pub(super) fn store(&mut self, peer: &str, position: Position, desired_room: DesiredRoom<'_>) -> Slot {
        let id: PeerId = peer.into();
        let known = id.clone();
        let record =
            Record { id, height: position.y, desired_room: None, island: None, change: NO_PLACE, pending: NO_PLACE };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.records[slot as usize] = record;
                slot
            }
            None => {
                self.records.push(record);
                self.places.push(Place::default());
                (self.records.len() - 1) as Slot
            }
        };
        self.known.insert(known, slot);
        self.update(slot, position, desired_room);
        slot
    }

    pub(super) fn update(&mut self, slot: Slot, position: Position, desired_room: DesiredRoom<'_>) {
        self.places[slot as usize] = Place { x: position.x, z: position.z };
        self.records[slot as usize].height = position.y;
        match desired_room {
            DesiredRoom::Keep => {}
            DesiredRoom::Clear | DesiredRoom::Set("") => self.wish(slot, None),
            DesiredRoom::Set(room) => self.wish(slot, Some(room)),
        }
    }

    fn wish(&mut self, slot: Slot, room: Option<&str>) {
        let desired_room = &mut self.records[slot as usize].desired_room;
        if desired_room.as_deref() == room {
            return;
        }
        self.wishes -= usize::from(desired_room.is_some());
        self.wishes += usize::from(room.is_some());
        *desired_room = room.map(Into::into);
    }

    /// The peer is no longer known. Its data stays until [`Peers::release`].
    pub(super) fn forget(&mut self, slot: Slot) {
        self.known.remove(&self.records[slot as usize].id);
    }

    /// Gives the slot back.
    pub(super) fn release(&mut self, slot: Slot) {
        self.wish(slot, None);
        self.free.push(slot);
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn record(&self, slot: Slot) -> &Record {
        &self.records[slot as usize]
    }

    pub(super) fn record_mut(&mut self, slot: Slot) -> &mut Record {
        &mut self.records[slot as usize]
    }

    pub(super) fn position(&self, slot: Slot) -> Position {
        let Place { x, z } = self.places[slot as usize];
        Position { x, y: self.records[slot as usize].height, z }
    }

    /// Whether anybody asks for an island.
    pub(super) fn has_wishes(&self) -> bool {
        self.wishes > 0
    }

    /// The island that most of these peers ask for; of equals, the one that reached that count first.
    pub(super) fn vote(&self, members: &[Slot]) -> Option<&IslandId> {
        let wishes = members.iter().filter_map(|&slot| self.records[slot as usize].desired_room.as_ref());
        let mut votes: HashMap<&IslandId, usize> = HashMap::new();
        let mut winner: Option<(&IslandId, usize)> = None;
        for room in wishes {
            let count = votes.entry(room).or_default();
            *count += 1;
            if winner.is_none_or(|(_, most)| *count > most) {
                winner = Some((room, *count));
            }
        }
        winner.map(|(room, _)| room)
    }
}

impl Place {
    /// The square of the distance, in square metres; NaN when a coordinate is. The order of the operands is the original's.
    pub(super) fn squared_distance(self, other: Self) -> f64 {
        let x = other.x - self.x;
        let z = other.z - self.z;
        x * x + z * z
    }

    /// Whether the distance is at most the reach, given as its square. NaN is near nothing.
    pub(super) fn is_within(self, other: Self, squared_reach: f64) -> bool {
        self.squared_distance(other) <= squared_reach
    }
}
