//! Merging by the product's rules: islands take turns, their members look around.
//!
//! Each island with news has a turn, the oldest first. Its members, one after the other, look around them as far as the join
//! distance. The islands they see are tried in the order of size (as it was when merging began), of equals the oldest first.
//! Two islands that fit together become one: the smaller moves to the larger, or to another one that it touches and that most of
//! its members ask for. Who moved looks around from the new island too, in this turn or in a later one. It ends when nobody is left to
//! look around: then no two islands that touch fit together.

use std::collections::{HashMap, VecDeque};

use super::Engine;
use super::neighbours::now;
use super::peers::Place;
use crate::archipelago::change::IslandId;

/// So many useless items passed in one look around make it worth removing them.
const USELESS: u32 = 512;

/// More peers in sight than this are a crowd.
const FEW: usize = 64;

/// Islands are small when they have fewer members than this on average.
const SMALL: usize = 8;

struct Turns {
    queue: VecDeque<u32>,
    /// By island slot: whether it is in the queue.
    waits: Vec<bool>,
    /// By island slot: how many members, from the first, need not look around (again).
    looked: Vec<u32>,
    /// By peer slot: whether there was anybody of another island in sight when merging began. If not, there never will be.
    sees_others: Vec<bool>,
    by_id: HashMap<IslandId, u32>,
    /// Memory to use again.
    sights: Vec<(u32, u32)>,
}

/// Reads one bucket by rank.
struct Reader {
    bucket: u32,
    next: usize,
    /// The rank and island of the item before `next`, which was in sight.
    head: Option<(u32, u32)>,
    useless: u32,
}

impl Engine {
    pub(super) fn take_turns(&mut self, affected: Vec<u32>, newcomers: usize) {
        self.neighbours.fill(&self.islands, &self.peers, false);
        let mut waits = vec![false; self.islands.slots()];
        // Between two islands without news nothing changed: their members need not look.
        let mut looked = vec![u32::MAX; self.islands.slots()];
        for &island in &affected {
            waits[island as usize] = true;
            looked[island as usize] = 0;
        }
        let sees_others = self.who_sees_others(newcomers);
        let by_id = self.islands_by_id();
        let mut turns = Turns { queue: affected.into(), waits, looked, sees_others, by_id, sights: Vec::new() };
        while let Some(island) = turns.queue.pop_front() {
            turns.waits[island as usize] = false;
            if self.islands.is_alive(island) {
                self.take_turn(island, &mut turns);
            }
        }
        self.islands.clean_all();
    }

    /// Where islands are small and settled, most peers have only their own in sight, and it pays to find that out for all
    /// at once. Elsewhere everybody looks.
    fn who_sees_others(&self, newcomers: usize) -> Vec<bool> {
        let grid = &self.neighbours.grid;
        let worthwhile = self.islands.len() * SMALL > grid.len() && newcomers * 2 < grid.len();
        let mut sees_others = vec![!worthwhile; self.peers.slots()];
        if worthwhile {
            grid.each_in_sight(self.squared_join(), |item| sees_others[item.member as usize] = true);
        }
        sees_others
    }

    fn take_turn(&mut self, island: u32, turns: &mut Turns) {
        loop {
            let state = self.islands.at(island);
            let looked = turns.looked[island as usize];
            let Some(&member) = state.members.get(looked as usize).filter(|_| !state.is_full()) else {
                return;
            };
            turns.looked[island as usize] += 1;
            if turns.sees_others[member as usize] && !self.look_around(island, member, turns) {
                return;
            }
        }
    }

    /// Merges the island with what one of its members sees. Says whether the island is still there.
    fn look_around(&mut self, island: u32, member: u32, turns: &mut Turns) -> bool {
        let place = self.peers.places()[member as usize];
        let buckets = self.neighbours.grid.around(place);
        let mut sights = std::mem::take(&mut turns.sights);
        let are_all = self.few_sights(island, place, &buckets, &mut sights);
        let is_there = if are_all {
            sights.sort_unstable();
            self.try_all(island, &sights, turns)
        } else {
            self.try_in_order(island, member, &buckets, turns)
        };
        turns.sights = sights;
        is_there
    }

    /// Collects what is in sight and fits: rank and island. Says whether that is all; in a crowd it gives up.
    fn few_sights(&mut self, island: u32, place: Place, buckets: &[u32; 9], sights: &mut Vec<(u32, u32)>) -> bool {
        let (reach, room) = (self.squared_join(), self.room(island));
        let first_rank = self.neighbours.first_rank_of_size(room);
        let max_peers = self.settings.max_peers;
        sights.clear();
        for (index, &bucket) in buckets.iter().enumerate() {
            let mut useless = 0;
            let (grid, merged_into, sizes) = self.neighbours.parts();
            let items = grid.items(bucket);
            if items.is_empty() || buckets[..index].contains(&bucket) {
                continue;
            }
            // Small islands come last.
            for item in items.iter().rev().take_while(|item| item.rank >= first_rank) {
                if item.island == island || !place.is_within(item.place, reach) {
                    continue;
                }
                let other = now(merged_into, item.island);
                let size = sizes[other as usize] as usize;
                useless += u32::from(size >= max_peers);
                if other != island && size <= room {
                    if sights.len() == FEW {
                        return false;
                    }
                    sights.push((item.rank, item.island));
                }
            }
            if useless > USELESS {
                self.neighbours.drop_full(bucket, max_peers);
            }
        }
        true
    }

    fn try_all(&mut self, island: u32, sights: &[(u32, u32)], turns: &mut Turns) -> bool {
        for &(_, seen) in sights {
            let other = self.neighbours.now(seen);
            if other != island && self.neighbours.size(other) <= self.room(island) && !self.merge(island, other, turns)
            {
                return false;
            }
        }
        true
    }

    /// Goes through a crowd by rank, no further than needed.
    fn try_in_order(&mut self, island: u32, member: u32, buckets: &[u32; 9], turns: &mut Turns) -> bool {
        let first_rank = self.neighbours.first_rank_of_size(self.room(island));
        let mut readers: [Option<Reader>; 9] = std::array::from_fn(|index| {
            let bucket = buckets[index];
            if buckets[..index].contains(&bucket) {
                return None;
            }
            let items = self.neighbours.grid.items(bucket);
            let next = items.partition_point(|item| item.rank < first_rank);
            (next < items.len()).then_some(Reader { bucket, next, head: None, useless: 0 })
        });
        for reader in readers.iter_mut().flatten() {
            self.read_on(reader, island, member);
        }
        let mut is_there = true;
        while is_there {
            let heads = readers.iter_mut().flatten().filter(|reader| reader.head.is_some());
            let Some(reader) = heads.min_by_key(|reader| reader.head) else {
                break;
            };
            if let Some((_, seen)) = reader.head {
                let other = self.neighbours.now(seen);
                if other != island && self.neighbours.size(other) <= self.room(island) {
                    is_there = self.merge(island, other, turns);
                }
            }
            if self.room(island) == 0 {
                break;
            }
            if is_there {
                self.read_on(reader, island, member);
            }
        }
        for reader in readers.iter().flatten().filter(|reader| reader.useless > USELESS) {
            self.neighbours.drop_full(reader.bucket, self.settings.max_peers);
        }
        is_there
    }

    /// Moves on to the next item in sight whose island fits.
    fn read_on(&mut self, reader: &mut Reader, island: u32, member: u32) {
        let place = self.peers.places()[member as usize];
        let (reach, room) = (self.squared_join(), self.room(island));
        reader.head = None;
        let items = self.neighbours.grid.items(reader.bucket).len();
        while reader.next < items {
            let item = self.neighbours.grid.items(reader.bucket)[reader.next];
            reader.next += 1;
            if !place.is_within(item.place, reach) || item.island == island {
                continue;
            }
            let other = self.neighbours.now(item.island);
            let size = self.neighbours.size(other);
            reader.useless += u32::from(size >= self.settings.max_peers);
            if other != island && size <= room {
                reader.head = Some((item.rank, item.island));
                return;
            }
        }
    }

    /// Makes one island of two that fit together. Says whether `island`, whose turn it is, is the one that remains.
    fn merge(&mut self, island: u32, other: u32, turns: &mut Turns) -> bool {
        let (host, source) = if self.outranks(island, other) { (island, other) } else { (other, island) };
        let host = self.preferred(source, &turns.by_id).unwrap_or(host);
        let looked = &mut turns.looked[host as usize];
        *looked = (*looked).min(self.islands.at(host).len() as u32);
        self.absorb(host, source);
        if host != island && !turns.waits[host as usize] {
            turns.waits[host as usize] = true;
            turns.queue.push_back(host);
        }
        source != island
    }

    /// The island that most members ask for, if they could move there now.
    fn preferred(&self, source: u32, by_id: &HashMap<IslandId, u32>) -> Option<u32> {
        if by_id.is_empty() {
            return None;
        }
        let state = self.islands.at(source);
        let host = *by_id.get(self.peers.vote(&state.members)?)?;
        let fits = self.islands.is_alive(host) && state.len() <= self.room(host);
        (fits && host != source && self.outranks(host, source) && self.touch(host, source)).then_some(host)
    }

    /// How many members an island can win.
    fn room(&self, island: u32) -> usize {
        self.settings.max_peers.saturating_sub(self.neighbours.size(island))
    }
}
