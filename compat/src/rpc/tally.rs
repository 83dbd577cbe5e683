//! How many calls there were.

use atoll_core::Counter;

/// Counts calls of any number of connections.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) calls: Counter,
    pub(super) errors: Counter,
}

impl Tally {
    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.value()
    }

    /// Answers so far that told of an error: to calls, and to questions for ports and modules.
    pub fn errors(&self) -> u64 {
        self.errors.value()
    }
}
