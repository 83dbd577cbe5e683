//! When what happens in a run.

use std::time::Duration;

/// Milliseconds since 1970 when a run begins.
pub(in crate::native) const NOW: u64 = 1_700_000_000_000;

/// How long things go wrong.
pub(in crate::native) const CHAOS: Duration = Duration::from_secs(20);

/// How long they go well after that: longer than a session stays parked.
pub(in crate::native) const CALM: Duration = Duration::from_secs(18);

/// The end of it, in which nobody says anything new.
pub(in crate::native) const QUIET: Duration = Duration::from_secs(3);

/// How long a session can be resumed. Longer than archipelago waits for a heartbeat.
pub(in crate::native) const WINDOW: Duration = Duration::from_secs(12);
