//! Changes waiting for the flush to announce them.

use std::collections::HashMap;

use super::islands::Islands;
use super::peers::{NO_PLACE, Peers, Slot};
use crate::archipelago::change::{Change, IslandId, PeerId};

/// At most one change for each peer, in the order of each peer's first change. A later change replaces the earlier one in its place.
pub(super) struct Outbox {
    /// Keep the island a peer was in when it was last announced, instead of the one it was in last.
    keeps_announced: bool,
    changes: Vec<Waiting>,
    /// Places of departures: who comes back before the flush takes the place over.
    left: HashMap<PeerId, u32>,
}

enum Waiting {
    /// To the island where the peer is when the flush ends.
    Moved {
        slot: Slot,
        from: Option<IslandId>,
    },
    Left {
        peer: PeerId,
        island: IslandId,
    },
}

impl Outbox {
    pub(super) fn new(keeps_announced: bool) -> Self {
        Self { keeps_announced, changes: Vec::new(), left: HashMap::new() }
    }

    /// Makes room for that many more.
    pub(super) fn reserve(&mut self, changes: usize) {
        self.changes.reserve(changes);
    }

    /// The peer goes from `from` to another island.
    pub(super) fn moved(&mut self, peers: &mut Peers, slot: Slot, from: Option<&IslandId>) {
        let record = peers.record_mut(slot);
        if record.change != NO_PLACE {
            if !self.keeps_announced {
                self.changes[record.change as usize] = Waiting::Moved { slot, from: from.cloned() };
            }
            return;
        }
        let change = Waiting::Moved { slot, from: from.cloned() };
        record.change = match self.left.remove(&record.id) {
            Some(place) => {
                self.changes[place as usize] = change;
                place
            }
            None => {
                self.changes.push(change);
                (self.changes.len() - 1) as u32
            }
        };
    }

    /// The peer is in no island any more. Only between two flushes, when nothing else waits.
    pub(super) fn left(&mut self, peer: PeerId, island: IslandId) {
        self.left.insert(peer.clone(), self.changes.len() as u32);
        self.changes.push(Waiting::Left { peer, island });
    }

    /// Everything, in order.
    pub(super) fn drain(&mut self, peers: &mut Peers, islands: &Islands) -> Vec<Change> {
        self.left.clear();
        let keeps_announced = self.keeps_announced;
        let announce = |waiting| match waiting {
            Waiting::Left { peer, island } => Some(Change::Left { peer, island }),
            Waiting::Moved { slot, from } => {
                let record = peers.record_mut(slot);
                record.change = NO_PLACE;
                let island = islands.find(record.island?)?.id.clone();
                let stayed = keeps_announced && from.as_ref() == Some(&island);
                (!stayed).then(|| Change::Moved { peer: record.id.clone(), island, from })
            }
        };
        // Not drained: the memory of a rush is given back.
        std::mem::take(&mut self.changes).into_iter().filter_map(announce).collect()
    }
}
