//! The engine: who is where, and which islands follow from it.

mod bounds;
mod flush;
mod grid;
mod islands;
mod neighbours;
mod outbox;
mod pack;
mod peers;
mod pending;
mod split;
mod transports;
mod turns;
mod view;

use std::collections::HashSet;

use super::change::{DesiredRoom, Receipt};
use super::ids::IslandIds;
use super::position::Position;
use super::settings::{Rules, Settings, Transport};
use islands::Islands;
use neighbours::Neighbours;
use outbox::Outbox;
use peers::{NO_PLACE, Peers, Slot};
use pending::Pending;
use split::Grouper;
use transports::Transports;
pub use view::{Circle, Island};

/// Groups peers into islands. See the [module](super).
pub struct Engine {
    settings: Settings,
    ids: IslandIds,
    peers: Peers,
    /// Peers heard of since the last flush.
    pending: Pending,
    islands: Islands,
    refused: HashSet<String>,
    transports: Transports,
    outbox: Outbox,
    grouper: Grouper,
    neighbours: Neighbours,
}

impl Engine {
    /// An engine without peers.
    #[must_use]
    pub fn new(mut settings: Settings) -> Self {
        if settings.rules == Rules::Product {
            settings.leave_distance = settings.leave_distance.max(settings.join_distance);
        }
        Self {
            ids: IslandIds::new(settings.room_prefix.clone()),
            peers: Peers::default(),
            pending: Pending::default(),
            islands: Islands::new(),
            refused: HashSet::new(),
            transports: Transports::new(&settings),
            outbox: Outbox::new(settings.rules == Rules::Product),
            grouper: Grouper::default(),
            neighbours: Neighbours::new(settings.join_distance, settings.grid_key),
            settings,
        }
    }

    /// A peer says where it is. A peer not known yet gets its island in the next flush.
    pub fn heartbeat(&mut self, peer: &str, position: Position, desired_room: DesiredRoom<'_>) -> Receipt {
        if self.settings.rules == Rules::Product {
            let sane = Position::checked(position.x, position.y, position.z).is_ok();
            if !sane || self.refused.contains(peer) {
                return Receipt::Refused;
            }
        }
        let Some(slot) = self.peers.slot(peer) else {
            let slot = self.peers.store(peer, position, desired_room);
            self.peers.record_mut(slot).pending = self.pending.push(slot);
            return Receipt::Accepted;
        };
        if self.is_pending(slot) {
            // The latest heartbeat counts, as if it were the first: what an earlier one wished is forgotten.
            let desired_room = if desired_room == DesiredRoom::Keep { DesiredRoom::Clear } else { desired_room };
            self.peers.update(slot, position, desired_room);
            return Receipt::Accepted;
        }
        self.peers.update(slot, position, desired_room);
        let Some(island) = self.peers.record(slot).island else {
            return Receipt::Accepted;
        };
        if self.islands.find(island).is_none() {
            return Receipt::Raised;
        }
        self.islands.mark_dirty(island.slot);
        Receipt::Accepted
    }

    /// A peer is gone.
    pub fn disconnect(&mut self, peer: &str) -> Receipt {
        let Some(slot) = self.peers.slot(peer) else {
            return Receipt::Accepted;
        };
        if self.is_pending(slot) {
            if self.settings.rules.forgets_pending() {
                self.forget_newcomer(slot);
            }
            return Receipt::Accepted;
        }
        self.peers.forget(slot);
        self.peers.release(slot);
        let record = self.peers.record(slot);
        let Some(island) = record.island else {
            return Receipt::Accepted;
        };
        let Some(state) = self.islands.find(island) else {
            return Receipt::Raised;
        };
        self.outbox.left(record.id.clone(), state.id.clone());
        let members = &mut self.islands.at_mut(island.slot).members;
        if let Some(place) = members.iter().position(|&member| member == slot) {
            members.remove(place);
        }
        if members.is_empty() {
            self.islands.end(island.slot);
        } else {
            self.islands.mark_dirty(island.slot);
        }
        Receipt::Accepted
    }

    fn forget_newcomer(&mut self, slot: Slot) {
        let place = self.peers.record(slot).pending;
        self.peers.forget(slot);
        self.peers.release(slot);
        self.pending.remove(place, |slot, place| self.peers.record_mut(slot).pending = place);
    }

    fn is_pending(&self, slot: Slot) -> bool {
        self.peers.record(slot).pending != NO_PLACE
    }

    /// From now on exactly these peers are refused (bans). Under [`Rules::Product`] they leave at once and their heartbeats are
    /// refused; under [`Rules::Final`] they are dropped, silently, when they would next change islands.
    pub fn refuse<'a>(&mut self, peers: impl IntoIterator<Item = &'a str>) {
        self.refused = peers.into_iter().map(str::to_owned).collect();
        if self.settings.rules != Rules::Product {
            return;
        }
        // In a fixed order: their departures are announced in it.
        let is_here = |peer: &&String| self.peers.slot(peer).is_some();
        let mut here: Vec<String> = self.refused.iter().filter(is_here).cloned().collect();
        here.sort_unstable();
        for peer in here {
            self.disconnect(&peer);
        }
    }

    /// A transport's heartbeat (the two older rule sets). Islands already made keep the size they were made with.
    pub fn transport(&mut self, transport: Transport) {
        self.transports.register(transport);
    }

    /// A transport is gone (the two older rule sets): its islands take nobody any more.
    pub fn transport_gone(&mut self, id: u32) {
        self.transports.remove(id);
        let lost: Vec<u32> =
            self.islands.in_order().filter(|(_, state)| state.transport == id).map(|(island, _)| island.slot).collect();
        for slot in lost {
            self.islands.at_mut(slot).max_peers = 0;
        }
    }

    /// Whether a transport gives no connection strings for now. It is number 0 where there is only one; under
    /// [`Rules::Product`] newcomers, splits and merges then wait.
    pub fn transport_fails(&mut self, id: u32, fails: bool) {
        self.transports.set_failing(id, fails);
    }

    /// The islands were reported to others. Under the recorded rules that reads every circle, which puts off merges
    /// that were due: an island counts as changed only until somebody looks at it. Under [`Rules::Product`] it does nothing.
    pub fn report(&mut self) {
        if self.settings.rules != Rules::Product {
            self.islands.clean_all();
        }
    }

    /// Every island, in the order in which they were made.
    pub fn islands(&self) -> impl Iterator<Item = Island<'_>> {
        self.islands.in_order().map(|(_, state)| Island { state, peers: &self.peers })
    }

    /// The island a peer is in.
    #[must_use]
    pub fn island_of(&self, peer: &str) -> Option<Island<'_>> {
        let island = self.peers.record(self.peers.slot(peer)?).island?;
        Some(Island { state: self.islands.find(island)?, peers: &self.peers })
    }

    /// The last position of a peer that has gone through a flush.
    #[must_use]
    pub fn peer_position(&self, peer: &str) -> Option<Position> {
        {
            let slot = self.peers.slot(peer).filter(|&slot| !self.is_pending(slot))?;
            Some(self.peers.position(slot))
        }
    }

    /// How many peers have gone through a flush and are still here.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len() - self.pending.len()
    }

    /// How many peers wait for the next flush to get their first island.
    #[must_use]
    pub fn newcomers(&self) -> usize {
        self.pending.len()
    }
}
