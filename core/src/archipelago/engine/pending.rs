//! Peers that wait for their first flush.

use super::peers::Slot;

/// Slots in the order of each peer's first heartbeat. A peer is found by the place it was given.
#[derive(Default)]
pub(super) struct Pending {
    order: Vec<Option<Slot>>,
    waiting: usize,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Puts a peer at the end and returns its place.
    pub(super) fn push(&mut self, slot: Slot) -> u32 {
        self.order.push(Some(slot));
        self.waiting += 1;
        (self.order.len() - 1) as u32
    }

    /// Takes a peer out. `moved` is told the new places of others, when there are any.
    pub(super) fn remove(&mut self, place: u32, moved: impl FnMut(Slot, u32)) {
        if self.order[place as usize].take().is_some() {
            self.waiting -= 1;
        }
        // Peers that come and go between two flushes must not pile up.
        if self.order.len() > 2 * self.waiting + 64 {
            self.compact(moved);
        }
    }

    /// Everybody, in order; nobody waits then.
    pub(super) fn take(&mut self) -> Vec<Slot> {
        self.waiting = 0;
        std::mem::take(&mut self.order).into_iter().flatten().collect()
    }

    fn compact(&mut self, mut moved: impl FnMut(Slot, u32)) {
        self.order.retain(Option::is_some);
        for (place, slot) in (0..).zip(self.order.iter().flatten()) {
            moved(*slot, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn those_who_come_and_go_leave_no_trace() {
        let mut pending = Pending::default();
        let mut places = HashMap::new();
        for slot in 0..10_000 {
            places.insert(slot, pending.push(slot));
            if slot % 1000 != 0 {
                pending.remove(places[&slot], |slot, place| {
                    places.insert(slot, place);
                });
            }
        }
        assert!(pending.order.len() < 200);
        assert_eq!(pending.order[places[&3000] as usize], Some(3000));
        assert_eq!(pending.take(), (0..10).map(|thousand| thousand * 1000).collect::<Vec<_>>());
        assert_eq!(pending.len(), 0);
    }
}
