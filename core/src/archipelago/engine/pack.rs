//! Merging by the recorded rules: an island and everything it touches are packed together.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Engine;
use super::view::Circle;
use crate::archipelago::change::IslandId;

impl Engine {
    pub(super) fn pack_neighbourhoods(&mut self, affected: &[u32]) {
        if self.islands.len() < 2 || affected.is_empty() {
            return;
        }
        if self.nothing_fits() {
            self.islands.clean_all();
            return;
        }
        let with_full_ones = self.settings.rules.has_transports();
        self.neighbours.fill(&self.islands, &self.peers, with_full_ones);
        let by_id = self.islands_by_id();
        let mut seen = vec![u32::MAX; self.islands.slots()];
        let mut circles = vec![None; self.islands.slots()];
        for &island in affected {
            if !self.islands.is_alive(island) || self.islands.len() < 2 {
                continue;
            }
            if self.neighbours.is_stale() {
                self.neighbours.fill(&self.islands, &self.peers, with_full_ones);
            }
            // The original compares this island's circle with every other, which cleans them all.
            self.islands.clean_all();
            let mut group = self.touched_by(island, &mut seen);
            // True of all but what rounding (or a coordinate that is no number) makes of a circle.
            group.retain(|&other| self.circles_meet(island, other, &mut circles));
            if !group.is_empty() {
                group.push(island);
                self.pack(group, &by_id, &mut circles);
            }
        }
    }

    /// Whether even the two smallest islands are too large together. With several transports nobody knows.
    fn nothing_fits(&self) -> bool {
        if self.settings.rules.has_transports() {
            return false;
        }
        let (mut smallest, mut second) = (usize::MAX, usize::MAX);
        for (_, state) in self.islands.in_order() {
            if state.len() < second {
                second = state.len().max(smallest);
                smallest = state.len().min(smallest);
            }
        }
        smallest.saturating_add(second) > self.settings.max_peers
    }

    /// The islands of which a member is within the join distance of a member of this one.
    fn touched_by(&mut self, island: u32, seen: &mut [u32]) -> Vec<u32> {
        let reach = self.squared_join();
        let mut found = Vec::new();
        seen[island as usize] = island;
        for &member in &self.islands.at(island).members {
            let place = self.peers.places()[member as usize];
            for bucket in self.neighbours.grid.around(place) {
                for index in 0..self.neighbours.grid.items(bucket).len() {
                    let item = self.neighbours.grid.items(bucket)[index];
                    if !place.is_within(item.place, reach) {
                        continue;
                    }
                    let other = self.neighbours.now(item.island);
                    if seen[other as usize] != island {
                        seen[other as usize] = island;
                        found.push(other);
                    }
                }
            }
        }
        found
    }

    fn circles_meet(&self, one: u32, other: u32, circles: &mut [Option<Circle>]) -> bool {
        let mut circle = |island: u32| {
            let members = &self.islands.at(island).members;
            let around = || Circle::around(members.iter().map(|&slot| self.peers.places()[slot as usize]));
            *circles[island as usize].get_or_insert_with(around)
        };
        let (one, other) = (circle(one), circle(other));
        let reach = one.radius + other.radius + self.settings.join_distance;
        one.centre.squared_distance(other.centre) <= reach * reach
    }

    /// First fit, the largest first: each island joins the one most of its members ask for, if that one came before it, or the first
    /// that takes it.
    fn pack(&mut self, mut group: Vec<u32>, by_id: &HashMap<IslandId, u32>, circles: &mut [Option<Circle>]) {
        group.sort_unstable_by_key(|&island| {
            let state = self.islands.at(island);
            (Reverse(state.len()), state.sequence())
        });
        let smallest = group.last().map_or(0, |&island| self.islands.at(island).len());
        let mut hosts: Vec<u32> = Vec::with_capacity(group.len());
        // Hosts before this one cannot take even the smallest island.
        let mut open = 0;
        for island in group {
            while hosts.get(open).is_some_and(|&host| !self.has_room(host, smallest)) {
                open += 1;
            }
            let size = self.islands.at(island).len();
            let preferred = self.voted(island, by_id).filter(|preferred| hosts.contains(preferred));
            let mut candidates = preferred.into_iter().chain(hosts[open..].iter().copied());
            match candidates.find(|&host| self.has_room(host, size) && self.host_works(host)) {
                Some(host) => {
                    self.absorb(host, island);
                    circles[host as usize] = None;
                }
                None => hosts.push(island),
            }
        }
    }

    fn voted(&self, island: u32, by_id: &HashMap<IslandId, u32>) -> Option<u32> {
        if by_id.is_empty() {
            return None;
        }
        by_id.get(self.peers.vote(&self.islands.at(island).members)?).copied()
    }

    fn has_room(&self, host: u32, size: usize) -> bool {
        let state = self.islands.at(host);
        state.len() + size <= state.max_peers
    }

    fn host_works(&self, host: u32) -> bool {
        self.transports.works(self.islands.at(host).transport)
    }
}
