//! One flush: newcomers, then splits, then merges.

use super::Engine;
use super::bounds::Bounds;
use super::peers::{NO_PLACE, Slot};
use crate::archipelago::change::{Change, IslandId};
use crate::archipelago::settings::Rules;

/// No transport takes an island that should be made.
struct NoTransport;

impl Engine {
    /// Regroups and returns what to announce, in the order in which to announce it.
    pub fn flush(&mut self) -> Vec<Change> {
        if self.settings.rules == Rules::Product && !self.transports.works(0) {
            return self.outbox.drain(&mut self.peers, &self.islands);
        }
        let newcomers = self.pending.len();
        self.settle_newcomers();
        let mut affected = self.islands.dirty_in_order();
        // Islands made by a split are affected too and come last.
        for index in 0..affected.len() {
            self.split(affected[index], &mut affected);
        }
        // The recorded rules announce islands that ended at once, and a wish may name one.
        if self.settings.rules != Rules::Product || self.peers.has_wishes() {
            self.islands.name(&self.ids);
        }
        match self.settings.rules {
            Rules::Product => self.take_turns(affected, newcomers),
            _ => self.pack_neighbourhoods(&affected),
        }
        self.islands.name(&self.ids);
        self.islands.tidy();
        self.outbox.drain(&mut self.peers, &self.islands)
    }

    /// Every newcomer gets an island of its own; merging comes later.
    fn settle_newcomers(&mut self) {
        let newcomers = self.pending.take();
        self.islands.reserve(newcomers.len());
        self.outbox.reserve(newcomers.len());
        for slot in newcomers {
            self.peers.record_mut(slot).pending = NO_PLACE;
            let bounds = Bounds::around(&[slot], self.peers.places());
            let made = self.make_island(vec![slot], bounds, None);
            // The older engines keep it, in no island.
            if made.is_err() && self.settings.rules.forgets_pending() {
                self.peers.forget(slot);
                self.peers.release(slot);
            }
        }
    }

    /// Splits an island whose members do not all hang together any more. The largest group stays, the others become new
    /// islands, appended to `affected`.
    fn split(&mut self, slot: u32, affected: &mut Vec<u32>) {
        let places = self.peers.places();
        let island = self.islands.at_mut(slot);
        island.bounds = Bounds::around(&island.members, places);
        let Some(groups) = self.grouper.split(&island.members, places, &island.bounds, self.settings.leave_distance)
        else {
            return;
        };
        let id = island.id.clone();
        let mut groups = groups.into_iter();
        island.members = groups.next().unwrap_or_default();
        island.bounds = Bounds::around(&island.members, places);
        self.islands.mark_dirty(slot);
        for group in groups {
            let bounds = Bounds::around(&group, self.peers.places());
            match self.make_island(group, bounds, Some(&id)) {
                Ok(made) => affected.extend(made),
                // The older engines leave these peers in no island.
                Err((group, NoTransport)) if self.settings.rules.forgets_pending() => {
                    let island = self.islands.at_mut(slot);
                    island.members.extend(group);
                    island.bounds.include(&bounds);
                }
                Err(_) => {}
            }
        }
    }

    /// Makes an island of these peers, who come from the island `from`. `None` when all of them are refused; gives them back
    /// when there is no transport for it.
    fn make_island(
        &mut self,
        mut members: Vec<Slot>,
        bounds: Bounds,
        from: Option<&IslandId>,
    ) -> Result<Option<u32>, (Vec<Slot>, NoTransport)> {
        let number = self.ids.draw();
        let transport = self.transports.choose(|transport| {
            let islands = self.islands.in_order().filter(|(_, island)| island.transport == transport);
            islands.map(|(_, island)| island.max_peers as i64 - island.len() as i64).sum()
        });
        let Some(transport) = transport else {
            return Err((members, NoTransport));
        };
        self.drop_refused(&mut members);
        if members.is_empty() {
            return Ok(None);
        }
        let made = self.islands.make(number, (transport.id, transport.max_peers), members, bounds);
        for &slot in &self.islands.at(made.slot).members {
            self.peers.record_mut(slot).island = Some(made);
            self.outbox.moved(&mut self.peers, slot, from);
        }
        Ok(Some(made.slot))
    }

    /// The transport of [`Rules::Final`] leaves refused peers out of its answer: they are forgotten without a word. Says
    /// whether there were any.
    fn drop_refused(&mut self, members: &mut Vec<Slot>) -> bool {
        if self.settings.rules != Rules::Final || self.refused.is_empty() {
            return false;
        }
        let before = members.len();
        let peers = &mut self.peers;
        members.retain(|&slot| {
            let refused = self.refused.contains(&*peers.record(slot).id);
            if refused {
                peers.forget(slot);
                peers.release(slot);
            }
            !refused
        });
        members.len() < before
    }

    /// Moves the members of one island into another; the first one ends.
    pub(super) fn absorb(&mut self, host: u32, source: u32) {
        let state = self.islands.at(source);
        let (from, bounds) = (state.id.clone(), state.bounds);
        let mut members = self.islands.end(source);
        let dropped = self.drop_refused(&mut members);
        self.neighbours.merged(host, source, dropped);
        if members.is_empty() {
            return;
        }
        let island = self.islands.reference(host);
        for &slot in &members {
            self.peers.record_mut(slot).island = island;
            self.outbox.moved(&mut self.peers, slot, Some(&from));
        }
        let state = self.islands.at_mut(host);
        state.members.append(&mut members);
        state.bounds.include(&bounds);
        self.islands.mark_dirty(host);
    }
}
