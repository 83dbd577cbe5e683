//! How much memory may wait for somebody, of all that somebody waits for together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that what waits for many may fill together.
///
/// Whoever has a [`Share`] may fill as much as nobody has filled. So a few that fill much leave as much as each of them
/// has to the others, and many have to make do with less.
///
/// Payloads may share memory, but here each counts wherever it waits: what is told is never too little.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    always: usize,
    kept: AtomicUsize,
}

/// One party's part of a [`Budget`], given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    own: AtomicUsize,
}

/// Bytes taken from a [`Share`], given back when this is dropped.
#[derive(Debug)]
pub struct Taken {
    share: Arc<Share>,
    bytes: usize,
}

impl Budget {
    /// At most `most` bytes for all, beside `always` bytes that each may fill in any case.
    pub const fn new(most: usize, always: usize) -> Self {
        Self { most, always, kept: AtomicUsize::new(0) }
    }

    /// Bytes that are filled now.
    pub fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Share {
    /// A share in which nothing is filled yet.
    pub const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, own: AtomicUsize::new(0) }
    }

    /// Notes how many bytes this party fills now. For those who keep count themselves: it does not go together with
    /// [`Share::take`].
    pub fn set(&self, own: usize) {
        let before = self.own.swap(own, Ordering::Relaxed);
        // Wraps where it has become less, as the sum does.
        self.budget.kept.fetch_add(own.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Whether this party fills more than it may.
    pub fn is_too_much(&self) -> bool {
        let own = self.own.load(Ordering::Relaxed);
        own > self.budget.always && own.saturating_add(self.budget.kept()) > self.budget.most
    }

    /// Fills so many bytes more; `None` when that would be too much.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<Taken> {
        self.own.fetch_add(bytes, Ordering::Relaxed);
        self.budget.kept.fetch_add(bytes, Ordering::Relaxed);
        let taken = Taken { share: Arc::clone(self), bytes };
        (!self.is_too_much()).then_some(taken)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.share.own.fetch_sub(self.bytes, Ordering::Relaxed);
        self.share.budget.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_much_leaves_as_much_and_something_is_there_in_any_case() {
        let budget = Arc::new(Budget::new(1000, 100));
        let share = || Arc::new(Share::new(Arc::clone(&budget)));
        let (first, second, third) = (share(), share(), share());
        let much = first.take(500).unwrap();
        assert!(first.take(1).is_none(), "as much as is left");
        let more = second.take(250).unwrap();
        assert!(second.take(1).is_none());
        drop(much);
        let _still_more = second.take(120).unwrap();
        assert_eq!(budget.kept(), 370);
        let _crowd: Vec<_> = (0..6).map(|_| share().take(100).unwrap()).collect();
        assert!(third.take(101).is_none());
        let _always = third.take(100).unwrap();
        drop(more);
        assert_eq!(budget.kept(), 820);
    }
}
