//! Who has a seat by this door, and where.

use atoll_core::Address;
use atoll_core::room::RoomId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts seats by room and by address.
#[derive(Debug, Default)]
pub(super) struct Occupancy(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    rooms: BTreeMap<RoomId, usize>,
    addresses: HashMap<Address, usize>,
}

/// A seat that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Occupied {
    occupancy: Arc<Occupancy>,
    room: RoomId,
    address: Address,
}

impl Occupancy {
    pub(super) fn enter(self: &Arc<Self>, room: RoomId, address: Address) -> Occupied {
        let mut counts = self.lock();
        *counts.rooms.entry(room.clone()).or_default() += 1;
        *counts.addresses.entry(address).or_default() += 1;
        drop(counts);
        Occupied { occupancy: Arc::clone(self), room, address }
    }

    /// Whether the address has a seat in any room.
    pub(super) fn has(&self, address: Address) -> bool {
        self.seats(address) > 0
    }

    /// How many seats the address has.
    pub(super) fn seats(&self, address: Address) -> usize {
        self.lock().addresses.get(&address).copied().unwrap_or(0)
    }

    /// Every room with its seats, by name.
    pub(super) fn rooms(&self) -> Vec<(String, usize)> {
        self.lock().rooms.iter().map(|(room, count)| (room.to_string(), *count)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let mut counts = self.occupancy.lock();
        if let Some(count) = counts.rooms.get_mut(&self.room) {
            *count -= 1;
            if *count == 0 {
                counts.rooms.remove(&self.room);
            }
        }
        if let Some(count) = counts.addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_until_they_are_given_up() {
        let occupancy = Arc::<Occupancy>::default();
        let address = |number| Address([number; 20]);
        let first = occupancy.enter(RoomId::new("b"), address(1));
        let second = occupancy.enter(RoomId::new("a"), address(1));
        let third = occupancy.enter(RoomId::new("a"), address(2));
        assert_eq!(occupancy.rooms(), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        drop(first);
        assert!(occupancy.has(address(1)));
        drop(second);
        assert!(!occupancy.has(address(1)) && occupancy.has(address(2)));
        assert_eq!(occupancy.rooms(), [("a".to_owned(), 1)]);
        drop(third);
        assert!(occupancy.rooms().is_empty());
    }
}
