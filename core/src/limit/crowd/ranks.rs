//! Who goes first: networks by how many come from each, and an order within each.

use super::AmongEquals;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Guests by network, the most crowded network known at any time. Those without a network have a queue beside the others
/// and no rank.
#[derive(Debug)]
pub(super) struct Ranks<T> {
    len: usize,
    queues: HashMap<IpAddr, Queue<T>>,
    without_network: Queue<T>,
    /// One for each queue that is a network's. The last one is the most crowded; of several, the one whose first to go is
    /// first of all.
    ranking: BTreeSet<Rank>,
}

/// Guests in the order in which they go.
type Queue<T> = BTreeMap<Turn, T>;

/// Whose turn it is to go: the idle before the busy, and the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_busy: bool,
    /// Rises from one guest to the next.
    id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    count: usize,
    first: Reverse<Turn>,
    network: IpAddr,
}

impl Rank {
    /// `None` for an empty queue.
    fn of<T>(network: IpAddr, queue: &Queue<T>) -> Option<Self> {
        let (first, _) = queue.first_key_value()?;
        Some(Self { count: queue.len(), first: Reverse(*first), network })
    }
}

impl<T> Default for Ranks<T> {
    fn default() -> Self {
        Self { len: 0, queues: HashMap::new(), without_network: Queue::new(), ranking: BTreeSet::new() }
    }
}

impl<T> Ranks<T> {
    /// All guests.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Those of a network.
    pub(super) fn count_of(&self, network: IpAddr) -> usize {
        self.queues.get(&network).map_or(0, BTreeMap::len)
    }

    /// Adds a guest, busy at first. Its id is above all that were there before.
    pub(super) fn insert(&mut self, network: Option<IpAddr>, id: u64, guest: T) {
        self.len += 1;
        self.change(network, |queue| queue.insert(Turn { is_busy: true, id }, guest));
    }

    /// Takes a guest out, if it is there.
    pub(super) fn remove(&mut self, network: Option<IpAddr>, id: u64) -> Option<T> {
        let removed = self.change(network, |queue| {
            let busy = queue.remove(&Turn { is_busy: true, id });
            busy.or_else(|| queue.remove(&Turn { is_busy: false, id }))
        });
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// Takes out whose turn it is in a queue.
    pub(super) fn remove_first(&mut self, network: Option<IpAddr>) -> Option<T> {
        let removed = self.change(network, |queue| queue.pop_first().map(|(_, guest)| guest));
        self.len -= usize::from(removed.is_some());
        removed
    }

    pub(super) fn set_idle(&mut self, network: Option<IpAddr>, id: u64, is_idle: bool) {
        self.change(network, |queue| {
            if let Some(guest) = queue.remove(&Turn { is_busy: is_idle, id }) {
                queue.insert(Turn { is_busy: !is_idle, id }, guest);
            }
        });
    }

    /// The queue whose first is to go for one more of `newcomer`, if any is.
    pub(super) fn loser(&self, newcomer: Option<IpAddr>, among_equals: AmongEquals) -> Option<Option<IpAddr>> {
        let Some(network) = newcomer else {
            let oldest_goes = among_equals == AmongEquals::OldestLeaves && !self.without_network.is_empty();
            return self.ranking.last().map(|crowded| Some(crowded.network)).or(oldest_goes.then_some(None));
        };
        let own = self.queues.get(&network).and_then(|queue| Rank::of(network, queue));
        let other = self.ranking.iter().rev().find(|rank| rank.network != network).copied();
        let count = |rank: Option<Rank>| rank.map_or(0, |rank| rank.count);
        let loser = match (count(other).checked_sub(count(own)), among_equals) {
            // Most come from there already.
            (None, _) => own,
            // No other place has more than this newcomer makes for its own.
            (Some(0 | 1), AmongEquals::NewcomerLeaves) => None,
            (Some(0), AmongEquals::OldestLeaves) => own,
            (Some(1), AmongEquals::OldestLeaves) => own.into_iter().chain(other).max_by_key(|rank| rank.first),
            (Some(_), _) => other,
        };
        loser.map(|loser| Some(loser.network))
    }

    /// Changes a queue and its rank with it.
    fn change<R>(&mut self, network: Option<IpAddr>, change: impl FnOnce(&mut Queue<T>) -> R) -> R {
        let Some(network) = network else { return change(&mut self.without_network) };
        let queue = self.queues.entry(network).or_default();
        if let Some(rank) = Rank::of(network, queue) {
            self.ranking.remove(&rank);
        }
        let result = change(queue);
        match Rank::of(network, queue) {
            Some(rank) => {
                self.ranking.insert(rank);
            }
            None => {
                self.queues.remove(&network);
            }
        }
        result
    }
}
