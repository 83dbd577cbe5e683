//! The oracle's flush: newcomers, splits, merges.

use atoll_core::archipelago::{Change, IslandId, Rules};

use super::{Island, Oracle, Record};

/// The flush stopped half-way (2022-09 only).
#[derive(Debug)]
pub(crate) struct Aborted;

pub(super) struct NoTransport;

impl Oracle {
    pub(crate) fn flush(&mut self) -> Result<Vec<Change>, Aborted> {
        if self.settings.rules == Rules::Product && !self.transports.works(0) {
            return Ok(self.drain());
        }
        for slot in self.pending.clone() {
            self.peers.insert(self.records[slot].id.clone(), slot);
            if let Err(NoTransport) = self.make_island(vec![slot]) {
                match self.settings.rules {
                    Rules::V2022_09 => return Err(Aborted),
                    Rules::V2023_02 => {}
                    Rules::Final | Rules::Product => self.forget(slot),
                }
            }
        }
        self.pending.clear();
        let mut affected: Vec<u64> = Vec::new();
        affected.extend(self.islands.iter().filter(|(_, island)| island.dirty).map(|(&sequence, _)| sequence));
        for index in 0..affected.len() {
            self.split(affected[index], &mut affected)?;
        }
        match self.settings.rules {
            Rules::Product => self.take_turns(affected),
            _ => self.merge_neighbourhoods(&affected),
        }
        Ok(self.drain())
    }

    fn drain(&mut self) -> Vec<Change> {
        self.change_places.clear();
        let mut changes = std::mem::take(&mut self.changes);
        if self.settings.rules == Rules::Product {
            let stayed =
                |change: &Change| matches!(change, Change::Moved { island, from: Some(from), .. } if island == from);
            changes.retain(|change| !stayed(change));
        }
        changes
    }

    fn split(&mut self, sequence: u64, affected: &mut Vec<u64>) -> Result<(), Aborted> {
        let members = &self.islands[&sequence].members;
        let mut groups = groups(members, &self.records, self.settings.leave_distance);
        if groups.len() < 2 {
            return Ok(());
        }
        let mut largest = 0;
        for index in 0..groups.len() {
            if groups[index].len() > groups[largest].len() {
                largest = index;
            }
        }
        self.set_members(sequence, groups.remove(largest));
        for group in groups {
            match (self.make_island(group.clone()), self.settings.rules) {
                (Ok(made), _) => affected.extend(made),
                (Err(NoTransport), Rules::V2022_09) => return Err(Aborted),
                (Err(NoTransport), Rules::V2023_02) => {}
                (Err(NoTransport), Rules::Final | Rules::Product) => {
                    let mut members = self.islands[&sequence].members.clone();
                    members.extend(group);
                    self.set_members(sequence, members);
                }
            }
        }
        Ok(())
    }

    fn set_members(&mut self, sequence: u64, members: Vec<usize>) {
        let island = self.islands.get_mut(&sequence).unwrap();
        island.members = members;
        island.dirty = true;
    }

    /// `None`: all of them are refused.
    fn make_island(&mut self, mut members: Vec<usize>) -> Result<Option<u64>, NoTransport> {
        self.last_id += 1;
        let id: IslandId = format!("{}{}", self.settings.room_prefix, base36(self.last_id)).into();
        let free_places = |transport: u32| {
            let islands = self.islands.values().filter(|island| island.transport == transport);
            islands.map(|island| island.max_peers as i64 - island.members.len() as i64).sum()
        };
        let transport = self.transports.choose(free_places).ok_or(NoTransport)?;
        self.drop_refused(&mut members);
        if members.is_empty() {
            return Ok(None);
        }
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.seat(&members, sequence, &id);
        let (transport, max_peers) = (transport.id, transport.max_peers);
        self.islands.insert(sequence, Island { id, transport, max_peers, members, dirty: true, circle: None });
        Ok(Some(sequence))
    }

    pub(super) fn drop_refused(&mut self, members: &mut Vec<usize>) {
        if self.settings.rules != Rules::Final {
            return;
        }
        for slot in members.clone() {
            if self.refused.contains(&*self.records[slot].id) {
                members.retain(|&member| member != slot);
                self.forget(slot);
            }
        }
    }

    fn forget(&mut self, slot: usize) {
        self.peers.remove(&self.records[slot].id);
    }

    pub(super) fn seat(&mut self, members: &[usize], sequence: u64, island: &IslandId) {
        for &slot in members {
            let record = &mut self.records[slot];
            let peer = record.id.clone();
            let mut from = record.island.replace((sequence, island.clone())).map(|(_, id)| id);
            if self.settings.rules == Rules::Product
                && let Some(Change::Moved { from: announced, .. }) =
                    self.change_places.get(&peer).map(|&place| &self.changes[place])
            {
                from = announced.clone();
            }
            self.announce(&peer.clone(), Change::Moved { peer, island: island.clone(), from });
        }
    }
}

/// A member joins the first group it touches; the other groups it touches are appended to that one.
fn groups(members: &[usize], records: &[Record], reach: f64) -> Vec<Vec<usize>> {
    let reach = reach * reach;
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &member in members {
        let place = records[member].position;
        let near = |&other: &usize| place.squared_distance(records[other].position) <= reach;
        let touched: Vec<usize> = (0..groups.len()).filter(|&index| groups[index].iter().any(near)).collect();
        let Some((&first, others)) = touched.split_first() else {
            groups.push(vec![member]);
            continue;
        };
        groups[first].push(member);
        for (removed, &index) in others.iter().enumerate() {
            let group = groups.remove(index - removed);
            groups[first].extend(group);
        }
    }
    groups
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap());
        number /= 36;
    }
    digits.iter().rev().collect()
}
