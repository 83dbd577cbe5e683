//! The receiving side of both lanes.

use super::{ACKNOWLEDGE_AFTER, LARGE_AHEAD};
use crate::atoll::Received;

/// What to do with a message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the first with its number: use it.
    New,
    /// It was here before, or was announced as lost: drop it.
    Duplicate,
}

/// Why the number of a message or a gap cannot stand. Nothing has changed; the session ends (4006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is 0; numbers begin with 1.
    #[error("numbers begin with 1")]
    Zero,
    /// It leaves out numbers, or more of them than may be on their way.
    #[error("number {number} came when {highest} was the highest that could")]
    Skips {
        /// The number that came.
        number: u64,
        /// The highest one that could.
        highest: u64,
    },
    /// A gap ends before it begins.
    #[error("a gap from {first} to {last}")]
    Reversed {
        /// Where it says to begin.
        first: u64,
        /// Where it says to end.
        last: u64,
    },
}

/// The receiving side of a session: both lanes, and the acknowledgement of what came on them.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    /// The ordered lane.
    pub ordered: Ordered,
    /// The large lane.
    pub large: Unordered,
}

impl Incoming {
    /// What has arrived: for `Resume.received` and `Welcome.resumed`.
    pub fn received(&self) -> Received {
        Received {
            ordered: self.ordered.received(),
            large: self.large.received(),
            large_beyond: self.large.beyond().collect(),
        }
    }

    /// How many messages and gaps came since [`acknowledge`](Self::acknowledge). When this leaves 0, an acknowledgement
    /// is due within [`ACKNOWLEDGE_WITHIN`](super::ACKNOWLEDGE_WITHIN).
    pub fn unacknowledged(&self) -> u32 {
        self.ordered.unacknowledged.saturating_add(self.large.unacknowledged)
    }

    /// Whether so much came that the acknowledgement is due at once.
    ///
    /// Large messages count for more, because their sender waits for it.
    pub fn is_due(&self) -> bool {
        self.unacknowledged() >= ACKNOWLEDGE_AFTER || u64::from(self.large.unacknowledged) >= LARGE_AHEAD / 2
    }

    /// The acknowledgement to send now; counting begins anew. `None` when nothing came since the last one.
    pub fn acknowledge(&mut self) -> Option<Received> {
        if self.unacknowledged() == 0 {
            return None;
        }
        self.ordered.unacknowledged = 0;
        self.large.unacknowledged = 0;
        Some(self.received())
    }
}

/// The receiving side of a lane that arrives in order.
#[derive(Debug, Clone, Default)]
pub struct Ordered {
    received: u64,
    unacknowledged: u32,
}

impl Ordered {
    /// Whether the message with this number is new.
    ///
    /// # Errors
    /// [`NumberError`] when the number is 0 or leaves out others.
    pub fn accept(&mut self, number: u64) -> Result<Verdict, NumberError> {
        let new = self.gap(number, number)?.is_some();
        Ok(if new { Verdict::New } else { Verdict::Duplicate })
    }

    /// Notes that `first` to `last` are lost, and returns the part of them that had not arrived: first and last number.
    ///
    /// # Errors
    /// [`NumberError`] when it begins with 0, leaves out numbers or is reversed.
    pub fn gap(&mut self, first: u64, last: u64) -> Result<Option<(u64, u64)>, NumberError> {
        check(first, last, self.received.saturating_add(1))?;
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        if last <= self.received {
            return Ok(None);
        }
        let missing = (self.received + 1, last);
        self.received = last;
        Ok(Some(missing))
    }

    /// The number up to which everything has arrived or is lost.
    pub const fn received(&self) -> u64 {
        self.received
    }
}

/// The receiving side of a lane that arrives in any order, the next [`LARGE_AHEAD`] numbers that is.
#[derive(Debug, Clone, Default)]
pub struct Unordered {
    received: u64,
    /// What is known beyond `received + 1`, in order: each begins within [`LARGE_AHEAD`], so there are fewer than that.
    beyond: Vec<Known>,
    unacknowledged: u32,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    first: u64,
    last: u64,
    lost: bool,
}

impl Unordered {
    /// Whether the message with this number is new.
    ///
    /// # Errors
    /// [`NumberError`] when the number is 0 or more than [`LARGE_AHEAD`] above [`received`](Self::received).
    pub fn accept(&mut self, number: u64) -> Result<Verdict, NumberError> {
        let new = !self.add(number, number, false)?.is_empty();
        Ok(if new { Verdict::New } else { Verdict::Duplicate })
    }

    /// Notes that `first` to `last` are lost, and returns the parts of them of which nothing was known: first and last
    /// number of each, in order, at most [`LARGE_AHEAD`] of them.
    ///
    /// # Errors
    /// [`NumberError`] when it begins with 0 or too far above [`received`](Self::received), or is reversed.
    pub fn gap(&mut self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, NumberError> {
        self.add(first, last, true)
    }

    /// The number up to which everything has arrived or is lost.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The numbers beyond [`received`](Self::received) that have arrived, ascending, fewer than [`LARGE_AHEAD`].
    ///
    /// Gaps beyond it are not among them; their sender may announce them again.
    pub fn beyond(&self) -> impl Iterator<Item = u64> {
        self.beyond.iter().filter(|known| !known.lost).map(|known| known.first)
    }

    fn add(&mut self, first: u64, last: u64, lost: bool) -> Result<Vec<(u64, u64)>, NumberError> {
        check(first, last, self.received.saturating_add(LARGE_AHEAD))?;
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        let unknown = self.unknown(first, last);
        self.beyond.extend(unknown.iter().map(|&(first, last)| Known { first, last, lost }));
        self.beyond.sort_unstable_by_key(|known| known.first);
        self.advance();
        Ok(unknown)
    }

    /// The parts of `first..=last` that are neither received nor known.
    fn unknown(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut unknown = Vec::new();
        let mut settled = self.received.max(first - 1);
        for known in &self.beyond {
            if known.first > last {
                break;
            }
            if known.first > settled.saturating_add(1) {
                unknown.push((settled + 1, known.first - 1));
            }
            settled = settled.max(known.last);
        }
        if settled < last {
            unknown.push((settled + 1, last));
        }
        unknown
    }

    /// Moves what has become contiguous out of `beyond`.
    fn advance(&mut self) {
        let mut contiguous = 0;
        for known in &self.beyond {
            if known.first - 1 != self.received {
                break;
            }
            self.received = known.last;
            contiguous += 1;
        }
        self.beyond.drain(..contiguous);
    }
}

fn check(first: u64, last: u64, highest: u64) -> Result<(), NumberError> {
    if first == 0 {
        return Err(NumberError::Zero);
    }
    if last < first {
        return Err(NumberError::Reversed { first, last });
    }
    if first > highest {
        return Err(NumberError::Skips { number: first, highest });
    }
    Ok(())
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
