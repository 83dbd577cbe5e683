//! Who may be inside when not everybody can: a full house makes room at the cost of the most crowded place.
//!
//! A limit that refuses whoever comes too late is a way to shut others out: whoever takes all the spots and holds them has
//! the house. Here the newcomer is let in, and somebody of the place that most have come from goes instead. To keep one
//! newcomer out, it then takes as many places as there are spots.

mod place;
mod ranks;

pub(super) use place::Origin;
use ranks::Ranks;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// IPv6 networks of 48 bits hold 65,536 places. All of them together may hold so many times what one may.
const PLACES_OF_NETWORK: usize = 4;

/// Who goes from a full house where no place is more crowded than the newcomer's, with the newcomer or without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmongEquals {
    /// The oldest of the most crowded places, the newcomer counted: right where everybody means to stay for a moment only.
    OldestLeaves,
    /// The newcomer, which is no better than those who are inside: right where people stay. Otherwise two of one household
    /// would drive each other out of a house where all others are alone.
    NewcomerLeaves,
}

/// A house with a limit. Entering and leaving take a time that grows with the logarithm of how many are inside.
///
/// A place is an IPv4 address, however it is written, or an IPv6 network of 64 bits. How crowded it is goes by IPv4
/// addresses and IPv6 networks of 48 bits, because that is what one customer of a provider may have.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    most_per_place: Option<usize>,
    among_equals: AmongEquals,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    last_id: u64,
    evictions: u64,
    /// How many come from each place; kept for the limit of a place alone.
    by_place: HashMap<IpAddr, usize>,
    ranks: Ranks<Guest>,
}

/// Somebody inside.
#[derive(Debug)]
struct Guest {
    place: Option<IpAddr>,
    taken: Arc<Taken>,
}

/// Somebody's right to be inside. Dropping it frees the spot.
#[derive(Debug)]
pub struct Spot {
    crowd: Arc<Crowd>,
    id: u64,
    origin: Option<Origin>,
    taken: Arc<Taken>,
}

/// Tells the holder of a spot that it was given to somebody else.
#[derive(Debug, Default)]
struct Taken {
    is_taken: AtomicBool,
    told: Notify,
}

impl Crowd {
    /// A house for `most`, and for `most_per_place` from one place (four times that from an IPv6 network of 48 bits).
    pub fn new(most: usize, most_per_place: Option<usize>, among_equals: AmongEquals) -> Self {
        Self { most, most_per_place, among_equals, inside: Mutex::default() }
    }

    /// Lets somebody in. From a full house one goes: of the most crowded place, this newcomer counted; of those the idle
    /// before the others, and the oldest first. `None` when its place has as many as it may, or when the house is full and
    /// nobody has to go for it.
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Spot> {
        self.admit(Some(Origin::of(from)))
    }

    /// Lets in one that speaks for many, such as a trusted proxy: it counts, but makes no place crowded. For the others of
    /// a full house it does not go; for another one of its kind the oldest may, when only they are left.
    pub fn enter_for_many(self: &Arc<Self>) -> Option<Spot> {
        self.admit(None)
    }

    /// Whether a quarter of the spots is taken, in all or of those that may come from there: newcomers should show that the
    /// address is theirs, or whoever writes a false one costs its owner the spot.
    pub fn is_crowded(&self, from: IpAddr) -> bool {
        let origin = Origin::of(from);
        let inside = self.lock();
        let here = |most: usize| inside.at(origin.place) >= most / 4 || inside.ranks.count_of(origin.network) >= most;
        inside.ranks.len() >= self.most / 4 || self.most_per_place.is_some_and(here)
    }

    /// How many are inside. Those who were evicted are not, even before they know.
    pub fn len(&self) -> usize {
        self.lock().ranks.len()
    }

    /// Whether nobody is inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many had to go for others so far.
    pub fn evictions(&self) -> u64 {
        self.lock().evictions
    }

    fn admit(self: &Arc<Self>, origin: Option<Origin>) -> Option<Spot> {
        let taken = Arc::<Taken>::default();
        let mut inside = self.lock();
        if origin.is_some_and(|origin| self.is_full_for(origin, &inside)) {
            return None;
        }
        if inside.ranks.len() >= self.most {
            let queue = inside.ranks.loser(origin.map(|origin| origin.network), self.among_equals)?;
            inside.evict_first_of(queue);
        }
        let id = inside.enter(origin, Arc::clone(&taken));
        Some(Spot { crowd: Arc::clone(self), id, origin, taken })
    }

    fn is_full_for(&self, origin: Origin, inside: &Inside) -> bool {
        self.most_per_place.is_some_and(|most| {
            inside.at(origin.place) >= most
                || inside.ranks.count_of(origin.network) >= most.saturating_mul(PLACES_OF_NETWORK)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// How many of a place are inside.
    fn at(&self, place: IpAddr) -> usize {
        self.by_place.get(&place).copied().unwrap_or(0)
    }

    fn enter(&mut self, origin: Option<Origin>, taken: Arc<Taken>) -> u64 {
        self.last_id += 1;
        let place = origin.map(|origin| origin.place);
        if let Some(place) = place {
            *self.by_place.entry(place).or_default() += 1;
        }
        self.ranks.insert(origin.map(|origin| origin.network), self.last_id, Guest { place, taken });
        self.last_id
    }

    /// Nothing happens to who has left or was evicted already.
    fn leave(&mut self, id: u64, origin: Option<Origin>) {
        if let Some(guest) = self.ranks.remove(origin.map(|origin| origin.network), id) {
            self.forget(guest.place);
        }
    }

    fn evict_first_of(&mut self, queue: Option<IpAddr>) {
        if let Some(guest) = self.ranks.remove_first(queue) {
            self.forget(guest.place);
            self.evictions += 1;
            guest.taken.tell();
        }
    }

    fn forget(&mut self, place: Option<IpAddr>) {
        if let Some(place) = place
            && let Entry::Occupied(mut here) = self.by_place.entry(place)
        {
            *here.get_mut() -= 1;
            if *here.get() == 0 {
                here.remove();
            }
        }
    }
}

impl Spot {
    /// Waits until the spot was given to somebody else, who may have it already: its holder is to go at once. Cancel-safe.
    pub async fn evicted(&self) {
        loop {
            // Made first: what is told after the look is heard.
            let told = self.taken.told.notified();
            if self.taken.is_taken.load(Ordering::Acquire) {
                return;
            }
            told.await;
        }
    }

    /// Who is idle goes before the others of the same place. Nobody is at first.
    pub fn set_idle(&self, is_idle: bool) {
        self.crowd.lock().ranks.set_idle(self.network(), self.id, is_idle);
    }

    /// Frees the spot before it is dropped. It is not evicted afterwards.
    pub fn leave(&self) {
        self.crowd.lock().leave(self.id, self.origin);
    }

    fn network(&self) -> Option<IpAddr> {
        self.origin.map(|origin| origin.network)
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Taken {
    fn tell(&self) {
        self.is_taken.store(true, Ordering::Release);
        self.told.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
