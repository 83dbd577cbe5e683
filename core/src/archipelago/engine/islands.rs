//! The islands, by slot and in order.

use std::num::NonZeroU64;

use super::bounds::Bounds;
use super::peers::{IslandRef, Slot};
use super::view::Circle;
use crate::archipelago::change::IslandId;

/// All islands. A slot is used again when its island is gone; the sequence number never is.
#[derive(Default)]
pub(super) struct Islands {
    list: Vec<IslandState>,
    free: Vec<u32>,
    /// In the order of their making, which is the order of the original's map. May name islands that are gone.
    order: Vec<IslandRef>,
    last_sequence: u64,
    alive: usize,
    /// Islands marked since everything was clean last; may name some twice, or one that is gone.
    dirty: Vec<u32>,
    /// An island is dirty when its mark equals this: so one addition cleans them all.
    epoch: u64,
}

pub(super) struct IslandState {
    pub(super) id: IslandId,
    /// `None` once it is gone.
    sequence: Option<NonZeroU64>,
    pub(super) transport: u32,
    pub(super) max_peers: usize,
    /// In the order in which they came.
    pub(super) members: Vec<Slot>,
    /// As of the last flush in which it was dirty: until then nobody in it moved.
    pub(super) bounds: Bounds,
    /// `None` when it has to be worked out again.
    pub(super) circle: Option<Circle>,
    dirty_epoch: u64,
}

impl Islands {
    pub(super) fn len(&self) -> usize {
        self.alive
    }

    /// How many slots there are, for tables by slot.
    pub(super) fn slots(&self) -> usize {
        self.list.len()
    }

    /// A new island, dirty. `bounds` are those of the members.
    pub(super) fn make(
        &mut self,
        id: IslandId,
        transport: u32,
        max_peers: usize,
        members: Vec<Slot>,
        bounds: Bounds,
    ) -> IslandRef {
        self.last_sequence += 1;
        // The counter starts at 1 and would take ages to come around.
        let sequence = NonZeroU64::new(self.last_sequence).unwrap_or(NonZeroU64::MAX);
        let state = IslandState {
            id,
            sequence: Some(sequence),
            transport,
            max_peers,
            members,
            bounds,
            circle: None,
            dirty_epoch: self.epoch,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.list[slot as usize] = state;
                slot
            }
            None => {
                self.list.push(state);
                (self.list.len() - 1) as u32
            }
        };
        let made = IslandRef { slot, sequence };
        self.order.push(made);
        self.dirty.push(slot);
        self.alive += 1;
        made
    }

    /// Ends an island and returns its members.
    pub(super) fn end(&mut self, slot: u32) -> Vec<Slot> {
        let state = &mut self.list[slot as usize];
        if state.sequence.take().is_none() {
            return Vec::new();
        }
        self.alive -= 1;
        self.free.push(slot);
        std::mem::take(&mut state.members)
    }

    pub(super) fn at(&self, slot: u32) -> &IslandState {
        &self.list[slot as usize]
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> &mut IslandState {
        &mut self.list[slot as usize]
    }

    /// The island meant, unless it is gone.
    pub(super) fn find(&self, island: IslandRef) -> Option<&IslandState> {
        let state = &self.list[island.slot as usize];
        (state.sequence == Some(island.sequence)).then_some(state)
    }

    /// The island in that slot; `None` when it is gone.
    pub(super) fn reference(&self, slot: u32) -> Option<IslandRef> {
        self.list[slot as usize].sequence.map(|sequence| IslandRef { slot, sequence })
    }

    pub(super) fn is_alive(&self, slot: u32) -> bool {
        self.list[slot as usize].sequence.is_some()
    }

    /// Something about its members changed.
    pub(super) fn mark_dirty(&mut self, slot: u32) {
        let state = &mut self.list[slot as usize];
        state.circle = None;
        if state.dirty_epoch != self.epoch {
            state.dirty_epoch = self.epoch;
            self.dirty.push(slot);
        }
    }

    /// From now on none is dirty.
    pub(super) fn clean_all(&mut self) {
        self.epoch += 1;
        self.dirty.clear();
    }

    /// The dirty islands in order. They stay dirty.
    pub(super) fn dirty_in_order(&mut self) -> Vec<u32> {
        let list = &self.list;
        self.dirty.retain(|&slot| list[slot as usize].sequence.is_some());
        self.dirty.sort_unstable_by_key(|&slot| list[slot as usize].sequence);
        self.dirty.dedup();
        self.dirty.clone()
    }

    /// All islands in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (IslandRef, &IslandState)> {
        self.order.iter().filter_map(|&island| Some((island, self.find(island)?)))
    }

    /// Drops what is gone from the order.
    pub(super) fn tidy(&mut self) {
        let list = &self.list;
        self.order.retain(|island| list[island.slot as usize].sequence == Some(island.sequence));
    }
}

impl IslandState {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Its place in the order; 0 once it is gone.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.map_or(0, NonZeroU64::get)
    }

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= self.max_peers
    }
}
