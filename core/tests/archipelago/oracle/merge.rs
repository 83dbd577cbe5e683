//! The oracle's merges: every affected island against every other.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};

use atoll_core::archipelago::{IslandId, Position};

use super::Oracle;

/// Islands in order, side by side in memory: comparing all pairs is slow enough.
struct Flat {
    sequence: u64,
    alive: bool,
    members: Vec<usize>,
    /// The corners of the box around the members: least x, least z, greatest x, greatest z.
    bounds: [f64; 4],
    centre: Position,
    radius: f64,
}

struct Turns {
    queue: VecDeque<u64>,
    /// Who is in the queue.
    waits: HashSet<u64>,
    /// How many members, from the first, have looked around. An island without news has no entry.
    looked: HashMap<u64, usize>,
    /// The islands as they were at first, the largest first.
    seen: Vec<Flat>,
    /// The island each was merged into, or itself.
    now: HashMap<u64, u64>,
}

impl Oracle {
    /// As recorded: each affected island and all its neighbours are packed together.
    pub(super) fn merge_neighbourhoods(&mut self, affected: &[u64]) {
        let mut flat = self.flat();
        // Islands whose circle has to be read again: at first all.
        let mut unread: Vec<u64> = flat.iter().map(|island| island.sequence).collect();
        for &sequence in affected {
            if !self.islands.contains_key(&sequence) || self.islands.len() < 2 {
                continue;
            }
            for sequence in unread.drain(..) {
                let (centre, radius) = self.read_circle(sequence);
                let index = flat.binary_search_by_key(&sequence, |island| island.sequence).unwrap();
                (flat[index].centre, flat[index].radius) = (centre, radius);
            }
            let mut group = vec![sequence];
            let me = &flat[flat.binary_search_by_key(&sequence, |island| island.sequence).unwrap()];
            for other in flat.iter().filter(|other| other.alive && other.sequence != sequence) {
                let reach = me.radius + other.radius + self.settings.join_distance;
                let near = me.centre.squared_distance(other.centre) <= reach * reach;
                if near && self.touch(sequence, other.sequence) {
                    group.push(other.sequence);
                }
            }
            if group.len() > 1 {
                unread = self.pack(group, &mut flat);
            }
        }
    }

    /// Atoll's: islands take turns, and each member looks at every member of every other island.
    pub(super) fn take_turns(&mut self, affected: Vec<u64>) {
        let mut turns = Turns {
            seen: self.flat(),
            now: self.islands.keys().map(|&sequence| (sequence, sequence)).collect(),
            looked: affected.iter().map(|&sequence| (sequence, 0)).collect(),
            waits: affected.iter().copied().collect(),
            queue: affected.into(),
        };
        turns.seen.sort_by_key(|part| (Reverse(part.members.len()), part.sequence));
        while let Some(sequence) = turns.queue.pop_front() {
            turns.waits.remove(&sequence);
            while self.islands.contains_key(&sequence) {
                let looked = turns.looked.get_mut(&sequence).unwrap();
                let island = &self.islands[&sequence];
                if *looked >= island.members.len() || island.members.len() >= island.max_peers {
                    break;
                }
                *looked += 1;
                let member = island.members[*looked - 1];
                self.look_around(sequence, member, &mut turns);
            }
        }
        for island in self.islands.values_mut() {
            island.dirty = false;
        }
    }

    fn look_around(&mut self, sequence: u64, member: usize, turns: &mut Turns) {
        let reach = self.settings.join_distance * self.settings.join_distance;
        let here = self.records[member].position;
        for part in 0..turns.seen.len() {
            if turns.seen[part].is_far_from(here, reach) {
                continue;
            }
            for index in 0..turns.seen[part].members.len() {
                let there = self.records[turns.seen[part].members[index]].position;
                let other = turns.now(turns.seen[part].sequence);
                let (me, it) = (&self.islands[&sequence], &self.islands[&other]);
                let fits = me.members.len() + it.members.len() <= me.max_peers;
                if other == sequence || !fits || here.squared_distance(there) > reach {
                    continue;
                }
                if !self.join(sequence, other, turns) {
                    return;
                }
            }
        }
    }

    /// Merges two islands. Says whether `sequence` remains.
    fn join(&mut self, sequence: u64, other: u64, turns: &mut Turns) -> bool {
        let rank = |sequence: u64| (Reverse(self.islands[&sequence].members.len()), sequence);
        let (mut host, source) = if rank(sequence) < rank(other) { (sequence, other) } else { (other, sequence) };
        if let Some(room) = self.most_wanted(source)
            && let Some((&preferred, island)) = self.islands.iter().find(|(_, island)| island.id == room)
        {
            let fits = island.members.len() + self.islands[&source].members.len() <= island.max_peers;
            if fits && rank(preferred) < rank(source) && self.touch(preferred, source) {
                host = preferred;
            }
        }
        let members = self.islands[&host].members.len();
        assert!(self.try_merge(host, source));
        turns.now.insert(source, host);
        turns.looked.entry(host).or_insert(members);
        if host != sequence && turns.waits.insert(host) {
            turns.queue.push_back(host);
        }
        source != sequence
    }

    /// First fit, the largest first. Returns the islands that won members, in the order of the packing.
    fn pack(&mut self, mut group: Vec<u64>, flat: &mut [Flat]) -> Vec<u64> {
        group.sort_by_key(|sequence| (Reverse(self.islands[sequence].members.len()), *sequence));
        let mut hosts: Vec<u64> = Vec::new();
        let mut grown: HashSet<u64> = HashSet::new();
        for sequence in group {
            let wanted = self.most_wanted(sequence);
            let preferred = wanted.and_then(|room| hosts.iter().copied().find(|host| self.islands[host].id == room));
            match preferred.into_iter().chain(hosts.iter().copied()).find(|&host| self.try_merge(host, sequence)) {
                Some(host) => {
                    grown.insert(host);
                    let gone = flat.binary_search_by_key(&sequence, |island| island.sequence).unwrap();
                    flat[gone].alive = false;
                }
                None => hosts.push(sequence),
            }
        }
        hosts.retain(|host| grown.contains(host));
        hosts
    }

    fn try_merge(&mut self, host: u64, sequence: u64) -> bool {
        let (target, source) = (&self.islands[&host], &self.islands[&sequence]);
        if target.members.len() + source.members.len() > target.max_peers || !self.transports.works(target.transport) {
            return false;
        }
        let id = target.id.clone();
        let mut members = self.islands.remove(&sequence).unwrap().members;
        self.drop_refused(&mut members);
        if members.is_empty() {
            return true;
        }
        self.seat(&members, host, &id);
        let target = self.islands.get_mut(&host).unwrap();
        target.members.extend(members);
        target.dirty = true;
        true
    }

    /// The island most members ask for; of equals, the one that reached the count first.
    fn most_wanted(&self, sequence: u64) -> Option<IslandId> {
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
        winner.map(|(room, _)| room.clone())
    }

    fn touch(&self, a: u64, b: u64) -> bool {
        let reach = self.settings.join_distance * self.settings.join_distance;
        let (a, b) = (&self.islands[&a].members, &self.islands[&b].members);
        a.iter().any(|&here| {
            let here = self.records[here].position;
            b.iter().any(|&there| here.squared_distance(self.records[there].position) <= reach)
        })
    }

    fn flat(&self) -> Vec<Flat> {
        let flatten = |(&sequence, island): (&u64, &super::Island)| {
            let mut flat = Flat {
                sequence,
                alive: true,
                members: island.members.clone(),
                bounds: [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY],
                centre: Position::default(),
                radius: 0.0,
            };
            for &slot in &island.members {
                let Position { x, z, .. } = self.records[slot].position;
                flat.include([x, z, x, z]);
            }
            flat
        };
        self.islands.iter().map(flatten).collect()
    }
}

impl Flat {
    fn include(&mut self, bounds: [f64; 4]) {
        for corner in 0..2 {
            self.bounds[corner] = self.bounds[corner].min(bounds[corner]);
            self.bounds[corner + 2] = self.bounds[corner + 2].max(bounds[corner + 2]);
        }
    }

    /// Whether the whole box is out of reach, given as its square.
    fn is_far_from(&self, here: Position, reach: f64) -> bool {
        let gap = |here: f64, low: f64, high: f64| (low - here).max(here - high).max(0.0);
        let x = gap(here.x, self.bounds[0], self.bounds[2]);
        let z = gap(here.z, self.bounds[1], self.bounds[3]);
        x * x + z * z > reach
    }
}

impl Turns {
    /// Where the members of an island are by now.
    fn now(&self, mut sequence: u64) -> u64 {
        while self.now[&sequence] != sequence {
            sequence = self.now[&sequence];
        }
        sequence
    }
}
