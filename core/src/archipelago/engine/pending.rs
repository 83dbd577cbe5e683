//! Peers that wait for their first flush.

use std::collections::HashMap;

use super::peers::Slot;
use crate::archipelago::change::PeerId;

/// Slots in the order of each peer's first heartbeat.
#[derive(Default)]
pub(super) struct Pending {
    order: Vec<Option<Slot>>,
    places: HashMap<PeerId, usize>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn slot(&self, peer: &str) -> Option<Slot> {
        self.places.get(peer).and_then(|&place| self.order[place])
    }

    pub(super) fn push(&mut self, peer: PeerId, slot: Slot) {
        self.places.insert(peer, self.order.len());
        self.order.push(Some(slot));
    }

    pub(super) fn remove(&mut self, peer: &str) -> Option<Slot> {
        let place = self.places.remove(peer)?;
        let slot = self.order[place].take();
        // Peers that come and go between two flushes must not pile up.
        if self.order.len() > 2 * self.places.len() + 64 {
            self.compact();
        }
        slot
    }

    /// Everybody, in order; nobody waits then.
    pub(super) fn take(&mut self) -> Vec<Slot> {
        self.places = HashMap::new();
        std::mem::take(&mut self.order).into_iter().flatten().collect()
    }

    fn compact(&mut self) {
        let mut new_places = vec![0; self.order.len()];
        let mut kept = 0;
        for (place, slot) in self.order.iter().enumerate() {
            new_places[place] = kept;
            kept += usize::from(slot.is_some());
        }
        self.order.retain(Option::is_some);
        for place in self.places.values_mut() {
            *place = new_places[*place];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_and_go_leave_no_trace() {
        let mut pending = Pending::default();
        for slot in 0..10_000 {
            pending.push(format!("{slot}").into(), slot);
            if slot % 1000 != 0 {
                assert_eq!(pending.remove(&format!("{slot}")), Some(slot));
            }
        }
        assert!(pending.order.len() < 200);
        assert_eq!(pending.slot("3000"), Some(3000));
        assert_eq!(pending.take(), (0..10).map(|thousand| thousand * 1000).collect::<Vec<_>>());
        assert_eq!(pending.len(), 0);
    }
}
