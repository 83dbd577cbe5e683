//! The islands, by slot and in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU64;

use super::bounds::Bounds;
use super::peers::{IslandRef, Slot};
use crate::archipelago::change::IslandId;
use crate::archipelago::ids::IslandIds;

/// All islands. A slot is used again when its island is gone; the sequence number never is.
pub(super) struct Islands {
    list: Vec<IslandState>,
    /// Slots to use again, the lowest first: so the list stays short after a rush.
    free: BinaryHeap<Reverse<u32>>,
    /// In the order of their making, which is the order of the original's map. May name islands that are gone.
    order: Vec<IslandRef>,
    last_sequence: u64,
    alive: usize,
    /// An island is dirty when its mark equals this: so one addition cleans them all.
    epoch: u64,
    /// The id of islands that have none yet.
    no_id: IslandId,
    /// Where in `order` those begin that may have none yet.
    first_unnamed: usize,
}

pub(super) struct IslandState {
    /// Its number among the ids drawn.
    pub(super) number: u64,
    /// Empty until somebody needs it: most islands of newcomers end in the flush that made them.
    pub(super) id: IslandId,
    /// `None` once it is gone.
    sequence: Option<NonZeroU64>,
    pub(super) transport: u32,
    pub(super) max_peers: usize,
    /// In the order in which they came.
    pub(super) members: Vec<Slot>,
    /// As of the last flush in which it was dirty: until then nobody in it moved.
    pub(super) bounds: Bounds,
    dirty_epoch: u64,
}

impl Islands {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            free: BinaryHeap::new(),
            order: Vec::new(),
            last_sequence: 0,
            alive: 0,
            epoch: 1,
            no_id: "".into(),
            first_unnamed: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.alive
    }

    /// Makes room for that many more.
    pub(super) fn reserve(&mut self, islands: usize) {
        self.list.reserve(islands.saturating_sub(self.free.len()));
        self.order.reserve(islands);
    }

    /// How many slots there are, for tables by slot.
    pub(super) fn slots(&self) -> usize {
        self.list.len()
    }

    /// A new island, dirty. `bounds` are those of the members.
    pub(super) fn make(
        &mut self,
        number: u64,
        (transport, max_peers): (u32, usize),
        members: Vec<Slot>,
        bounds: Bounds,
    ) -> IslandRef {
        self.last_sequence += 1;
        // The counter starts at 1 and would take ages to come around.
        let sequence = NonZeroU64::new(self.last_sequence).unwrap_or(NonZeroU64::MAX);
        let state = IslandState {
            number,
            id: self.no_id.clone(),
            sequence: Some(sequence),
            transport,
            max_peers,
            members,
            bounds,
            dirty_epoch: self.epoch,
        };
        let slot = match self.free.pop() {
            Some(Reverse(slot)) => {
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
        self.free.push(Reverse(slot));
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
        let state = self.list.get(island.slot as usize)?;
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
        self.list[slot as usize].dirty_epoch = self.epoch;
    }

    /// From now on none is dirty.
    pub(super) fn clean_all(&mut self) {
        self.epoch += 1;
    }

    /// The dirty islands in order. They stay dirty.
    pub(super) fn dirty_in_order(&self) -> Vec<u32> {
        let dirty = self.in_order().filter(|(_, state)| state.dirty_epoch == self.epoch);
        dirty.map(|(island, _)| island.slot).collect()
    }

    /// All islands in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (IslandRef, &IslandState)> {
        self.order.iter().filter_map(|&island| Some((island, self.find(island)?)))
    }

    /// Names the islands that have no id yet.
    pub(super) fn name(&mut self, ids: &IslandIds) {
        for island in &self.order[self.first_unnamed..] {
            let state = &mut self.list[island.slot as usize];
            if state.sequence == Some(island.sequence) && state.id.is_empty() {
                state.id = ids.text(state.number);
            }
        }
        self.first_unnamed = self.order.len();
    }

    /// Drops what is gone from the order, and slots nobody needs any more.
    pub(super) fn tidy(&mut self) {
        let list = &self.list;
        self.order.retain(|island| list[island.slot as usize].sequence == Some(island.sequence));
        self.first_unnamed = self.order.len();
        if self.list.len() <= 2 * self.alive + 64 {
            return;
        }
        let used = self.list.iter().rposition(|state| state.sequence.is_some()).map_or(0, |last| last + 1);
        self.list.truncate(used);
        self.list.shrink_to(2 * used);
        self.free.retain(|&Reverse(slot)| (slot as usize) < used);
        self.free.shrink_to(used);
        self.order.shrink_to(2 * self.alive);
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
