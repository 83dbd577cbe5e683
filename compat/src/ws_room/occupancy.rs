//! Who has a seat by a door, and where.

use atoll_core::Address;
use atoll_core::room::RoomId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts seats by room and by address.
#[derive(Debug, Default)]
pub(crate) struct Occupancy(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    rooms: BTreeMap<RoomId, usize>,
    addresses: HashMap<Address, usize>,
}

/// A seat that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Occupied {
    occupancy: Arc<Occupancy>,
    room: RoomId,
    address: Address,
}

impl Occupancy {
    /// Counts a seat.
    pub(crate) fn enter(self: &Arc<Self>, room: RoomId, address: Address) -> Occupied {
        let mut counts = self.lock();
        *counts.rooms.entry(room.clone()).or_default() += 1;
        *counts.addresses.entry(address).or_default() += 1;
        drop(counts);
        Occupied { occupancy: Arc::clone(self), room, address }
    }

    /// Counts a seat, unless the address has `most` already.
    pub(crate) fn enter_below(self: &Arc<Self>, room: RoomId, address: Address, most: usize) -> Option<Occupied> {
        let mut counts = self.lock();
        let seats = counts.addresses.entry(address).or_default();
        if *seats >= most {
            return None;
        }
        *seats += 1;
        *counts.rooms.entry(room.clone()).or_default() += 1;
        drop(counts);
        Some(Occupied { occupancy: Arc::clone(self), room, address })
    }

    /// Whether the address has a seat in any room.
    pub(crate) fn has(&self, address: Address) -> bool {
        self.seats(address) > 0
    }

    /// How many seats the address has.
    pub(crate) fn seats(&self, address: Address) -> usize {
        self.lock().addresses.get(&address).copied().unwrap_or(0)
    }

    /// Every room with its seats, by name.
    pub(crate) fn rooms(&self) -> Vec<(String, usize)> {
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
    #[test]
    fn an_address_has_no_more_seats_than_it_may() {
        let occupancy = Arc::<Occupancy>::default();
        let enter = |address| occupancy.enter_below(RoomId::new("a"), Address([address; 20]), 2);
        let first = enter(1).unwrap();
        let _second = enter(1).unwrap();
        assert!(enter(1).is_none());
        let _other = enter(2).unwrap();
        assert_eq!(occupancy.rooms(), [("a".to_owned(), 3)]);
        drop(first);
        let _third = enter(1).unwrap();
        assert!(enter(1).is_none());
    }
}
