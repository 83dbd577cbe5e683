//! Merging islands.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Engine;
use crate::archipelago::change::IslandId;
use crate::archipelago::settings::Rules;

impl Engine {
    /// As recorded: each affected island and all its neighbours are packed together.
    pub(super) fn merge_neighbourhoods(&mut self, affected: &[u64]) {
        for &sequence in affected {
            if !self.islands.contains_key(&sequence) {
                continue;
            }
            let others: Vec<u64> = self.islands.keys().copied().filter(|&other| other != sequence).collect();
            let mut group: Vec<u64> =
                others.into_iter().filter(|&other| self.are_neighbours(sequence, other)).collect();
            if group.is_empty() {
                continue;
            }
            group.insert(0, sequence);
            self.pack(group);
        }
    }

    /// Atoll's: islands merge with what they touch themselves, until nothing more fits.
    pub(super) fn merge_what_touches(&mut self, affected: Vec<u64>) {
        let mut waiting: HashSet<u64> = affected.iter().copied().collect();
        let mut queue = VecDeque::from(affected);
        while let Some(sequence) = queue.pop_front() {
            waiting.remove(&sequence);
            let Some(island) = self.islands.get_mut(&sequence) else {
                continue;
            };
            island.dirty = false;
            if !self.has_room(sequence) {
                continue;
            }
            let others: Vec<u64> = self.islands.keys().copied().filter(|&other| other != sequence).collect();
            let mut group: Vec<u64> =
                others.into_iter().filter(|&other| self.has_room(other) && self.touch(sequence, other)).collect();
            if group.is_empty() {
                continue;
            }
            group.insert(0, sequence);
            // Whoever won members may touch, through them, what it did not touch before.
            for grown in self.pack(group) {
                if waiting.insert(grown) {
                    queue.push_back(grown);
                }
            }
        }
    }

    /// First fit, the largest islands first: each island joins its preferred one of those before it, or the first that
    /// takes it. Returns the islands that won members, in the order of the packing.
    fn pack(&mut self, mut group: Vec<u64>) -> Vec<u64> {
        group.sort_by_key(|&sequence| (std::cmp::Reverse(self.islands[&sequence].members.len()), sequence));
        let mut hosts: Vec<u64> = Vec::new();
        let mut grown: HashSet<u64> = HashSet::new();
        for sequence in group {
            let preferred = self.preferred_among(&hosts, sequence);
            match preferred.into_iter().chain(hosts.iter().copied()).find(|&host| self.try_merge(host, sequence)) {
                Some(host) => {
                    grown.insert(host);
                }
                None => hosts.push(sequence),
            }
        }
        hosts.retain(|host| grown.contains(host));
        hosts
    }

    /// Moves the members of `sequence` into `host` if its limit, its transport and the rules allow it.
    fn try_merge(&mut self, host: u64, sequence: u64) -> bool {
        let (target, source) = (&self.islands[&host], &self.islands[&sequence]);
        if target.members.len() + source.members.len() > target.max_peers || !self.transports.works(target.transport) {
            return false;
        }
        if self.settings.rules == Rules::Product && !self.touch(host, sequence) {
            return false;
        }
        let id = target.id.clone();
        let Some(source) = self.islands.remove(&sequence) else {
            return false;
        };
        let mut members = source.members;
        self.drop_refused(&mut members);
        if members.is_empty() {
            return true;
        }
        self.seat(&members, host, &id);
        if let Some(target) = self.islands.get_mut(&host) {
            target.members.extend(members);
            target.dirty = true;
        }
        true
    }

    /// The island that most members ask for, if it is among `hosts`; of equals, the one that reached the count first.
    fn preferred_among(&self, hosts: &[u64], sequence: u64) -> Option<u64> {
        let mut votes: HashMap<&IslandId, usize> = HashMap::new();
        let mut winner: Option<(&IslandId, usize)> = None;
        for &slot in &self.islands[&sequence].members {
            let Some(room) = &self.records[slot].desired_room else {
                continue;
            };
            let count = votes.entry(room).or_default();
            *count += 1;
            if winner.is_none_or(|(_, most)| *count > most) {
                winner = Some((room, *count));
            }
        }
        let (room, _) = winner?;
        hosts.iter().copied().find(|host| self.islands[host].id == *room)
    }

    fn has_room(&self, sequence: u64) -> bool {
        let island = &self.islands[&sequence];
        island.members.len() < island.max_peers
    }

    /// Whether the circles are within reach and so are two members. Looking at a circle makes an island clean.
    fn are_neighbours(&mut self, a: u64, b: u64) -> bool {
        let (Some(circle), Some(other)) = (self.read_circle(a), self.read_circle(b)) else {
            return false;
        };
        let reach = circle.radius + other.radius + self.settings.join_distance;
        circle.centre.squared_distance(other.centre) <= reach * reach && self.touch(a, b)
    }

    fn touch(&self, a: u64, b: u64) -> bool {
        let reach = self.settings.join_distance * self.settings.join_distance;
        let positions = |sequence: u64| self.islands[&sequence].members.iter().map(|&slot| self.records[slot].position);
        positions(a).any(|here| positions(b).any(|there| here.squared_distance(there) <= reach))
    }
}
