//! How much memory the messages take that are kept for clients until they are acknowledged, of all sessions together.

use atoll_proto::lanes::MAX_ORDERED;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes kept for all clients, beside what each may keep in any case.
const MOST: usize = 512 << 20;

/// What a message takes beside its payload, in bytes: its number, its sender, its places in a lane.
pub(super) const OVERHEAD: usize = 256;

/// Bytes that a session may keep in any case: one ordered message of any size, or many small ones.
const ALWAYS: usize = MAX_ORDERED + OVERHEAD;

/// What is kept for all clients of the process.
///
/// Members of a room share a payload's memory, but here it counts for each of them: what is told is never too little.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    kept: AtomicUsize,
}

/// One session's part of it, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    own: usize,
}

impl Budget {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, kept: AtomicUsize::new(0) }
    }

    /// Bytes that are kept now.
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl Share {
    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, own: 0 }
    }

    /// Notes how many bytes the session keeps now.
    pub(super) fn set(&mut self, own: usize) {
        // Wraps where it has become less, as the sum does.
        self.budget.kept.fetch_add(own.wrapping_sub(self.own), Ordering::Relaxed);
        self.own = own;
    }

    /// Whether the session keeps more than it may, which is as much as nobody has taken. So a few that keep much leave as
    /// much as each of them has to the others, and many have to make do with less.
    pub(super) fn is_too_much(&self) -> bool {
        self.own > ALWAYS && self.own.saturating_add(self.budget.kept()) > self.budget.most
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
