//! What every connection is served with.

use super::counters::Counters;
use atoll_core::region::Region;
use std::sync::Arc;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) region: Region,
    pub(super) counters: Arc<Counters>,
}
