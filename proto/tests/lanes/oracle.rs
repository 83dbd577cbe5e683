//! What a sender must keep and may drop, said as plainly as possible.

use atoll_proto::lanes::{Bounds, Outgoing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) struct Oracle {
    bounds: Bounds,
    /// Size and time of each message that is kept.
    kept: BTreeMap<u64, (usize, Duration)>,
    dropped: BTreeSet<u64>,
    pushed: u64,
}

impl Oracle {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: BTreeMap::new(), dropped: BTreeSet::new(), pushed: 0 }
    }

    pub(crate) fn push(&mut self, now: Duration, size: usize) -> u64 {
        self.expire(now);
        self.pushed += 1;
        if size > self.bounds.bytes {
            self.dropped.insert(self.pushed);
            return self.pushed;
        }
        while self.bytes() + size > self.bounds.bytes || self.kept.len() + 1 > self.bounds.entries {
            self.drop_oldest();
        }
        self.kept.insert(self.pushed, (size, now));
        self.pushed
    }

    pub(crate) fn is_full(&mut self, now: Duration, size: usize) -> bool {
        self.expire(now);
        self.bytes() + size > self.bounds.bytes || self.kept.len() + 1 > self.bounds.entries
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        while self.kept.first_key_value().is_some_and(|(_, &(_, pushed))| now - pushed > self.bounds.age) {
            self.drop_oldest();
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

    pub(crate) fn compare(&self, sender: &Outgoing<u64>) {
        assert_eq!((sender.len(), sender.bytes()), (self.kept.len(), self.bytes()));
        assert_eq!(sender.last(), self.pushed);
        let oldest = self.kept.first_key_value().map(|(_, &(_, pushed))| pushed + self.bounds.age);
        assert_eq!(sender.expires_at(), oldest);
        assert!(sender.len() <= self.bounds.entries && sender.bytes() <= self.bounds.bytes);
    }

    fn bytes(&self) -> usize {
        self.kept.values().map(|(size, _)| size).sum()
    }

    fn drop_oldest(&mut self) {
        let (number, _) = self.kept.pop_first().unwrap();
        self.dropped.insert(number);
    }
}
