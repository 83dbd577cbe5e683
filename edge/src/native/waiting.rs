//! Connections that have not logged in yet: how many there may be, in all and from one place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who waits. A connection leaves when it has logged in or ended, so that a household behind one address is not kept
/// out by its own sessions.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    most: usize,
    most_per_place: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    by_place: HashMap<IpAddr, usize>,
}

/// One connection's place. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct WaitingPlace {
    room: Arc<WaitingRoom>,
    place: IpAddr,
}

impl WaitingRoom {
    /// A room for `most` connections, `most_per_place` of them from one IPv4 address or IPv6 network of 64 bits.
    pub(super) fn new(most: usize, most_per_place: usize) -> Self {
        Self { most, most_per_place, waiting: Mutex::default() }
    }

    /// Lets a connection wait, if there is a place.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Option<WaitingPlace> {
        let place = place_of(from);
        let mut waiting = self.lock();
        let here = waiting.by_place.get(&place).copied().unwrap_or(0);
        if waiting.all >= self.most || here >= self.most_per_place {
            return None;
        }
        waiting.all += 1;
        waiting.by_place.insert(place, here + 1);
        Some(WaitingPlace { room: Arc::clone(self), place })
    }

    /// Whether a quarter of the places is taken, in all or from there: newcomers must show that the address is theirs,
    /// or whoever writes a false one keeps its owner out.
    pub(super) fn is_crowded(&self, from: IpAddr) -> bool {
        let waiting = self.lock();
        let here = waiting.by_place.get(&place_of(from)).copied().unwrap_or(0);
        waiting.all >= self.most / 4 || here >= self.most_per_place / 4
    }

    fn leave(&self, place: IpAddr) {
        let mut waiting = self.lock();
        waiting.all -= 1;
        if let Entry::Occupied(mut here) = waiting.by_place.entry(place) {
            *here.get_mut() -= 1;
            if *here.get() == 0 {
                here.remove();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.room.leave(self.place);
    }
}

/// What counts as one place: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives out.
fn place_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_place_has_its_own_limit_and_all_have_one() {
        let room = Arc::new(WaitingRoom::new(5, 3));
        let mut held: Vec<_> = (0..3).map(|_| room.enter(ip("10.0.0.1")).unwrap()).collect();
        // The same address as IPv6 writes it.
        assert!(room.enter(ip("::ffff:10.0.0.1")).is_none());
        held.push(room.enter(ip("2001:db8::1")).unwrap());
        held.push(room.enter(ip("2001:db8::2")).unwrap());
        assert!(room.enter(ip("10.0.0.2")).is_none(), "five in all");
        held.pop();
        held.push(room.enter(ip("10.0.0.2")).unwrap());
        drop(held);
        assert!(room.lock().by_place.is_empty());
        assert_eq!(room.lock().all, 0);
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_place() {
        let room = Arc::new(WaitingRoom::new(10, 2));
        let _held = (room.enter(ip("2001:db8:0:1::1")).unwrap(), room.enter(ip("2001:db8:0:1:ffff::1")).unwrap());
        assert!(room.enter(ip("2001:db8:0:1::2")).is_none());
        assert!(room.enter(ip("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn a_crowd_is_noticed_at_a_quarter() {
        let room = Arc::new(WaitingRoom::new(100, 8));
        let _first = room.enter(ip("10.0.0.1")).unwrap();
        assert!(!room.is_crowded(ip("10.0.0.1")));
        let _second = room.enter(ip("10.0.0.1")).unwrap();
        assert!(room.is_crowded(ip("10.0.0.1")));
        assert!(!room.is_crowded(ip("10.0.0.2")));
    }
}
