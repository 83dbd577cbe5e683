//! Whose messages a sender keeps, and which of them is to go when there is too much.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Kept messages by source. Everything here costs the logarithm of how many there are.
///
/// A message weighs its bytes and a fixed part beside them, so that many small ones weigh something, too.
#[derive(Debug, Clone)]
pub(super) struct Sources<S> {
    /// What a message weighs beside its bytes.
    overhead: usize,
    /// Those that have something.
    shares: BTreeMap<S, Share>,
    /// Of each share its rank.
    ranks: BTreeSet<Rank>,
}

/// What a source has.
#[derive(Debug, Clone, Default)]
struct Share {
    weight: usize,
    numbers: BTreeSet<u64>,
}

/// The weight of a share and its oldest message. The last of all loses that one.
type Rank = (usize, Reverse<u64>);

impl<S> Sources<S> {
    pub(super) const fn new(overhead: usize) -> Self {
        Self { overhead, shares: BTreeMap::new(), ranks: BTreeSet::new() }
    }
}

impl<S: Ord + Clone> Sources<S> {
    /// Notes that a message of `size` bytes is kept, under a number that was not.
    pub(super) fn add(&mut self, source: &S, number: u64, size: usize) {
        let share = self.shares.entry(source.clone()).or_default();
        share.rank().map(|rank| self.ranks.remove(&rank));
        share.weight += size + self.overhead;
        share.numbers.insert(number);
        self.ranks.extend(share.rank());
    }

    /// Notes that this message is kept no more.
    pub(super) fn remove(&mut self, source: &S, number: u64, size: usize) {
        let Some(share) = self.shares.get_mut(source) else { return };
        share.rank().map(|rank| self.ranks.remove(&rank));
        share.weight -= size + self.overhead;
        share.numbers.remove(&number);
        match share.rank() {
            Some(rank) => drop(self.ranks.insert(rank)),
            None => drop(self.shares.remove(source)),
        }
    }

    /// The oldest message of the source that has most; of equals, the older one.
    pub(super) fn first_to_go(&self) -> Option<u64> {
        self.ranks.last().map(|(_, Reverse(oldest))| *oldest)
    }

    /// The same, where `source` is to have a message of `size` bytes more.
    pub(super) fn first_to_go_for(&self, source: &S, size: usize) -> Option<u64> {
        let own = self.shares.get(source).and_then(Share::rank);
        let own = own.map(|(weight, oldest)| (weight + size + self.overhead, oldest));
        let (_, Reverse(oldest)) = own.max(self.ranks.last().copied())?;
        Some(oldest)
    }
}

impl Share {
    /// `None` when it has nothing.
    fn rank(&self) -> Option<Rank> {
        self.numbers.first().map(|oldest| (self.weight, Reverse(*oldest)))
    }
}
