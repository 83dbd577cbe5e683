//! What a sender must keep and may drop, said as plainly as possible.

use atoll_proto::lanes::{Bounds, Outgoing};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Whose a message is.
pub(crate) type Source = u8;

pub(crate) struct Oracle {
    bounds: Bounds,
    kept: BTreeMap<u64, Kept>,
    dropped: BTreeSet<u64>,
    pushed: u64,
}

struct Kept {
    source: Source,
    size: usize,
    pushed: Duration,
}

impl Oracle {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: BTreeMap::new(), dropped: BTreeSet::new(), pushed: 0 }
    }

    pub(crate) fn push(&mut self, source: Source, now: Duration, size: usize) -> u64 {
        self.expire(now);
        self.pushed += 1;
        if size > self.bounds.bytes {
            self.dropped.insert(self.pushed);
            return self.pushed;
        }
        while self.bytes() + size > self.bounds.bytes || self.kept.len() + 1 > self.bounds.entries {
            self.make_room(source, size);
        }
        self.kept.insert(self.pushed, Kept { source, size, pushed: now });
        self.pushed
    }

    pub(crate) fn is_full(&mut self, now: Duration, size: usize) -> bool {
        self.expire(now);
        self.bytes() + size > self.bounds.bytes || self.kept.len() + 1 > self.bounds.entries
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some((&number, kept)) = self.kept.first_key_value() {
            if now - kept.pushed < self.bounds.age {
                return;
            }
            self.drop_one(number);
        }
    }

    pub(crate) fn acknowledge(&mut self, received: u64, beyond: &[u64]) {
        self.kept.retain(|number, _| *number > received && !beyond.contains(number));
    }

    pub(crate) fn is_kept(&self, number: u64) -> bool {
        self.kept.contains_key(&number)
    }

    pub(crate) fn was_dropped(&self, number: u64) -> bool {
        self.dropped.contains(&number)
    }

    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    pub(crate) fn compare(&self, sender: &Outgoing<u64, Source>) {
        assert_eq!((sender.len(), sender.bytes()), (self.kept.len(), self.bytes()));
        assert_eq!(sender.last(), self.pushed);
        let oldest = self.kept.first_key_value().map(|(_, kept)| kept.pushed + self.bounds.age);
        assert_eq!(sender.expires_at(), oldest);
        assert!(sender.len() <= self.bounds.entries && sender.bytes() <= self.bounds.bytes);
    }

    fn bytes(&self) -> usize {
        self.kept.values().map(|kept| kept.size).sum()
    }

    /// The source that has most, with what it is about to have, loses its oldest message; of equals, the older one goes.
    fn make_room(&mut self, source: Source, size: usize) {
        let overhead = self.bounds.bytes.div_ceil(self.bounds.entries);
        let mut weights: BTreeMap<Source, usize> = BTreeMap::new();
        for kept in self.kept.values() {
            *weights.entry(kept.source).or_default() += kept.size + overhead;
        }
        weights.entry(source).and_modify(|weight| *weight += size + overhead);
        let rank = |(number, kept): (&u64, &Kept)| (weights[&kept.source], Reverse(*number));
        let (_, Reverse(number)) = self.kept.iter().map(rank).max().expect("what is too much is kept");
        self.drop_one(number);
    }

    fn drop_one(&mut self, number: u64) {
        self.kept.remove(&number);
        self.dropped.insert(number);
    }
}
