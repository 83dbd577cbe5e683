//! Who is near whom while islands merge.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Engine;
use super::grid::{Grid, Item};
use super::islands::Islands;
use super::peers::Peers;
use crate::archipelago::change::IslandId;

/// The members of islands, findable by place, as they were when merging began; and where they are by now.
pub(super) struct Neighbours {
    pub(super) grid: Grid,
    /// By island slot: the island it was merged into, or itself.
    merged_into: Vec<u32>,
    /// By island slot: how many members it has by now. Kept beside the islands because it is read all the time.
    sizes: Vec<u32>,
    /// By size: the first rank of islands of at most that size.
    first_rank: Vec<u32>,
    /// Somebody in the grid was dropped from all islands.
    is_stale: bool,
}

impl Neighbours {
    pub(super) fn new(reach: f64, key: u64) -> Self {
        let grid = Grid::new(reach, key);
        Self { grid, merged_into: Vec::new(), sizes: Vec::new(), first_rank: Vec::new(), is_stale: false }
    }

    /// Fills the grid with the members of all islands, or only of those that are not full. Islands are ranked by size, the largest
    /// first, of equals the oldest.
    pub(super) fn fill(&mut self, islands: &Islands, peers: &Peers, full_ones_too: bool) {
        self.is_stale = false;
        self.merged_into.clear();
        self.merged_into.extend(0..islands.slots() as u32);
        self.sizes.clear();
        self.sizes.resize(islands.slots(), 0);
        for (island, state) in islands.in_order() {
            self.sizes[island.slot as usize] = state.len() as u32;
        }
        let wanted = islands.in_order().filter(|(_, state)| full_ones_too || !state.is_full());
        let mut ranked: Vec<(u32, u32)> = wanted.map(|(island, state)| (state.len() as u32, island.slot)).collect();
        ranked.sort_by_key(|&(size, _)| Reverse(size));
        self.rank(&ranked);
        self.grid.clear();
        for (rank, &(_, island)) in (0..).zip(&ranked) {
            for &member in &islands.at(island).members {
                self.grid.add(Item { place: peers.places()[member as usize], island, rank, member });
            }
        }
        self.grid.arrange();
    }

    fn rank(&mut self, ranked: &[(u32, u32)]) {
        let largest = ranked.first().map_or(0, |&(size, _)| size as usize);
        self.first_rank.clear();
        self.first_rank.resize(largest + 1, ranked.len() as u32);
        for (rank, &(size, _)) in ranked.iter().enumerate().rev() {
            self.first_rank[size as usize] = rank as u32;
        }
        // Sizes that no island has begin where the next smaller one begins.
        for size in 1..=largest {
            self.first_rank[size] = self.first_rank[size].min(self.first_rank[size - 1]);
        }
    }

    /// The first rank of islands that had at most this size.
    pub(super) fn first_rank_of_size(&self, size: usize) -> u32 {
        let last = self.first_rank.len() - 1;
        self.first_rank[size.min(last)]
    }

    /// The island in which the members of that one are by now.
    pub(super) fn now(&mut self, island: u32) -> u32 {
        now(&mut self.merged_into, island)
    }

    /// How many members an island has by now.
    pub(super) fn size(&self, island: u32) -> usize {
        self.sizes[island as usize] as usize
    }

    /// The grid, and what [`now`] needs while it is read, and the sizes by island slot.
    pub(super) fn parts(&mut self) -> (&Grid, &mut [u32], &[u32]) {
        (&self.grid, &mut self.merged_into, &self.sizes)
    }

    /// Drops the members of full islands from a bucket.
    pub(super) fn drop_full(&mut self, bucket: u32, max_peers: usize) {
        let (merged_into, sizes) = (&mut self.merged_into, &self.sizes);
        self.grid.retain(bucket, |item| (sizes[now(merged_into, item.island) as usize] as usize) < max_peers);
    }

    pub(super) fn merged(&mut self, host: u32, source: u32, somebody_dropped: bool) {
        self.merged_into[source as usize] = host;
        self.sizes[host as usize] += self.sizes[source as usize];
        self.is_stale |= somebody_dropped;
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }
}

/// Follows the mergers, and shortens the way for the next time. The way is short: at each step the size at least doubles.
pub(super) fn now(merged_into: &mut [u32], island: u32) -> u32 {
    let next = merged_into[island as usize];
    if next == island {
        return island;
    }
    let last = now(merged_into, next);
    merged_into[island as usize] = last;
    last
}

impl Engine {
    /// The square of the join distance.
    pub(super) fn squared_join(&self) -> f64 {
        self.settings.join_distance * self.settings.join_distance
    }

    /// Whether a member of one island is within the join distance of one of the other.
    pub(super) fn touch(&self, one: u32, other: u32) -> bool {
        let (one, other, places) = (self.islands.at(one), self.islands.at(other), self.peers.places());
        if one.bounds.out_of_reach(&other.bounds, self.squared_join()) {
            return false;
        }
        let reach = self.squared_join();
        one.members.iter().any(|&here| {
            let here = places[here as usize];
            other.members.iter().any(|&there| here.is_within(places[there as usize], reach))
        })
    }

    /// Whether `one` is the host when the two merge: it is larger, or as large and older.
    pub(super) fn outranks(&self, one: u32, other: u32) -> bool {
        let key = |slot: u32| {
            let state = self.islands.at(slot);
            (Reverse(state.len()), state.sequence())
        };
        key(one) < key(other)
    }

    /// The islands by id, if anybody asks for one.
    pub(super) fn islands_by_id(&self) -> HashMap<IslandId, u32> {
        if !self.peers.has_wishes() {
            return HashMap::new();
        }
        self.islands.in_order().map(|(island, state)| (state.id.clone(), island.slot)).collect()
    }
}
