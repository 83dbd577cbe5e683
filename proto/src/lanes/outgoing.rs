//! The sending side of a lane.

use super::MAX_BEYOND;
use super::spans::{Kept, Spans, State};
use std::time::Duration;

/// What a lane keeps of its unacknowledged messages. Beyond that some are dropped, and announced as gaps: those that are
/// too old, and when it is full, the oldest of the source that has most.
///
/// What a source has is measured in bytes, where each message counts its part of the lane beside its own:
/// `bytes / entries`, so that neither bytes nor messages without any fill a lane unnoticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of payload.
    pub bytes: usize,
    /// Most messages.
    pub entries: usize,
    /// A message is kept for less than this time since [`Outgoing::push`].
    pub age: Duration,
    /// How far above the last acknowledged number an item may begin when it is handed out.
    pub ahead: u64,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<M> {
    /// A message under its number.
    Message {
        /// Its place in the lane.
        number: u64,
        /// What [`Outgoing::push`] was given.
        message: M,
    },
    /// These messages cannot be had any more; both ends are included.
    Gap {
        /// The lowest number dropped.
        first: u64,
        /// The highest number dropped.
        last: u64,
    },
}

/// Why an acknowledgement cannot be true. Nothing has changed; the session ends (4006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeError {
    /// It names a number that was never handed out.
    #[error("number {number} was acknowledged; {highest} is the highest sent")]
    NeverSent {
        /// The number it names.
        number: u64,
        /// The highest number handed out so far.
        highest: u64,
    },
    /// It lists more single numbers than [`MAX_BEYOND`].
    #[error("{0} numbers beyond the acknowledged; at most {MAX_BEYOND} are allowed")]
    TooMany(usize),
    /// It lists a number further above the rest than the lane hands out.
    #[error("number {0} is too far above what is acknowledged")]
    TooFar(u64),
}

/// The sending side of a lane: numbers messages and keeps them until they are acknowledged.
///
/// `M` is a message and `S` says whose it is. Who sends only messages of its own needs no sources.
/// Times are durations since any fixed start; they should not go backwards.
#[derive(Debug, Clone)]
pub struct Outgoing<M, S = ()> {
    bounds: Bounds,
    /// Every number that is pushed and not acknowledged, in order and without holes.
    spans: Spans<M, S>,
    /// Everything up to here has arrived or was announced.
    acknowledged: u64,
    /// Everything up to here was handed out on this connection.
    sent: u64,
    /// The highest number handed out on any connection: what an acknowledgement may name.
    highest: u64,
}

impl<M> Outgoing<M> {
    /// Adds a message of `size` bytes of payload and returns its number.
    ///
    /// Drops the oldest messages as far as the bounds demand; see [`is_full`](Self::is_full). A message that is larger
    /// than the lane is not kept itself.
    pub fn push(&mut self, now: Duration, size: usize, message: M) -> u64 {
        self.push_from((), now, size, message)
    }
}

impl<M, S: Ord + Clone> Outgoing<M, S> {
    /// A lane without messages. The first one gets the number 1.
    pub const fn new(bounds: Bounds) -> Self {
        let overhead = match bounds.entries {
            0 => 0,
            entries => bounds.bytes.div_ceil(entries),
        };
        Self { bounds, spans: Spans::new(overhead), acknowledged: 0, sent: 0, highest: 0 }
    }

    /// Adds a message of `size` bytes of payload that comes from `source`, and returns its number.
    ///
    /// As far as the bounds demand it drops, one by one, the oldest message of the source that has most, the new message
    /// counted; of equals, the older one. The new message itself stays, even if it is the most that anybody has. Only one
    /// that is larger than the lane is not kept at all.
    pub fn push_from(&mut self, source: S, now: Duration, size: usize, message: M) -> u64 {
        self.expire(now);
        let number = self.last() + 1;
        if size > self.bounds.bytes || self.bounds.entries == 0 {
            self.spans.put_dropped(number, number);
            return number;
        }
        while self.bytes() > self.bounds.bytes - size || self.len() >= self.bounds.entries {
            self.spans.drop_for(&source, size);
        }
        self.spans.push(number, Kept { message, size, source, pushed: now });
        number
    }

    /// Drops the oldest message of the source that has most, for who has bounds beyond those of the lane. `false` when no
    /// message is kept.
    pub fn shed(&mut self) -> bool {
        self.spans.drop_one()
    }

    /// Whether a message of `size` bytes would push out one that is neither acknowledged nor too old.
    pub fn is_full(&self, now: Duration, size: usize) -> bool {
        let (mut bytes, mut entries) = (self.bytes(), self.len());
        for (kept, pushed) in self.spans.kept() {
            if !self.is_too_old(now, pushed) {
                break;
            }
            bytes -= kept;
            entries -= 1;
        }
        bytes.saturating_add(size) > self.bounds.bytes || entries >= self.bounds.entries
    }

    /// Hands out what to send next on this connection, each item once and in order.
    ///
    /// `None` when everything was handed out, or the next is [`Bounds::ahead`] of the acknowledgements.
    pub fn next(&mut self, now: Duration) -> Option<Item<&M>> {
        self.expire(now);
        let mut unsent = self.spans.iter_from(self.sent + 1);
        let (last, span) = unsent.find(|(_, span)| !matches!(span.state, State::Received))?;
        let first = span.first.max(self.sent + 1);
        if first - self.acknowledged > self.bounds.ahead {
            return None;
        }
        self.sent = last;
        self.highest = self.highest.max(last);
        match &span.state {
            State::Kept(Kept { message, .. }) => Some(Item::Message { number: first, message }),
            _ => Some(Item::Gap { first, last }),
        }
    }

    /// Frees what has arrived: everything up to `received`, and the single numbers in `beyond`, in any order.
    ///
    /// What was known already is passed over, an acknowledgement that came late in particular.
    ///
    /// # Errors
    /// [`AcknowledgeError`] when this cannot be true; nothing has changed then.
    pub fn acknowledge(&mut self, received: u64, beyond: &[u64]) -> Result<(), AcknowledgeError> {
        self.check(received, beyond)?;
        self.free(received, beyond);
        Ok(())
    }

    /// Begins anew on a new connection, whose other end has what `received` and `beyond` say: the rest is handed out
    /// again, under its old numbers.
    ///
    /// Here the other end is believed: what it had acknowledged and does not name any more becomes a gap.
    ///
    /// # Errors
    /// [`AcknowledgeError`] when this cannot be true; nothing has changed then.
    pub fn rewind(&mut self, now: Duration, received: u64, beyond: &[u64]) -> Result<(), AcknowledgeError> {
        self.check(received, beyond)?;
        self.expire(now);
        if received < self.acknowledged {
            self.spans.put_dropped(received + 1, self.acknowledged);
            self.acknowledged = received;
        }
        self.spans.forget_received(beyond);
        self.free(received, beyond);
        self.sent = self.acknowledged;
        Ok(())
    }

    /// Drops what has become too old by `now`. [`push`](Self::push) and [`next`](Self::next) do so, too.
    pub fn expire(&mut self, now: Duration) {
        while self.spans.oldest().is_some_and(|pushed| self.is_too_old(now, pushed)) {
            self.spans.drop_oldest();
        }
    }

    /// When the oldest message becomes too old to be kept; `None` when none is kept.
    pub fn expires_at(&self) -> Option<Duration> {
        self.spans.oldest().map(|pushed| pushed.saturating_add(self.bounds.age))
    }

    /// The number of the last message pushed; 0 before the first.
    pub fn last(&self) -> u64 {
        self.spans.last().unwrap_or(self.acknowledged)
    }

    /// The number up to which everything has arrived or was announced as a gap.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many numbers are not acknowledged, dropped ones included.
    pub fn unacknowledged(&self) -> u64 {
        self.last() - self.acknowledged
    }

    /// How many messages are kept.
    pub const fn len(&self) -> usize {
        self.spans.entries()
    }

    /// Whether no message is kept.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of payload are kept.
    pub const fn bytes(&self) -> usize {
        self.spans.bytes()
    }

    fn is_too_old(&self, now: Duration, pushed: Duration) -> bool {
        now.saturating_sub(pushed) >= self.bounds.age
    }

    fn check(&self, received: u64, beyond: &[u64]) -> Result<(), AcknowledgeError> {
        if beyond.len() > MAX_BEYOND {
            return Err(AcknowledgeError::TooMany(beyond.len()));
        }
        for &number in [received].iter().chain(beyond) {
            if number > self.highest {
                return Err(AcknowledgeError::NeverSent { number, highest: self.highest });
            }
            if number.saturating_sub(received) > self.bounds.ahead {
                return Err(AcknowledgeError::TooFar(number));
            }
        }
        Ok(())
    }

    fn free(&mut self, received: u64, beyond: &[u64]) {
        self.acknowledged = self.acknowledged.max(received);
        self.spans.forget_to(self.acknowledged);
        for &number in beyond {
            self.spans.mark_received(number);
        }
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sources_tests.rs"]
mod sources_tests;
