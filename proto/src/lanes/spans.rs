//! What a sender knows of the numbers that are not acknowledged.

use super::sources::Sources;
use std::collections::BTreeMap;
use std::time::Duration;

/// Neighbouring numbers of one state, up to a last one.
#[derive(Debug, Clone)]
pub(super) struct Span<M, S> {
    pub(super) first: u64,
    pub(super) state: State<M, S>,
}

#[derive(Debug, Clone)]
pub(super) enum State<M, S> {
    /// One message that can be sent.
    Kept(Kept<M, S>),
    /// Messages that cannot be had any more. Two such spans are never neighbours.
    Dropped,
    /// One message that has arrived before some that stand in front of it.
    Received,
}

/// A message, its bytes, whose it is and when it was pushed.
#[derive(Debug, Clone)]
pub(super) struct Kept<M, S> {
    pub(super) message: M,
    pub(super) size: usize,
    pub(super) source: S,
    pub(super) pushed: Duration,
}

/// Spans that cover a range of numbers in order and without holes.
///
/// Dropped ones are never neighbours and few are received early, so there are at most about twice as many as are kept.
#[derive(Debug, Clone)]
pub(super) struct Spans<M, S> {
    by_last: BTreeMap<u64, Span<M, S>>,
    entries: usize,
    bytes: usize,
    sources: Sources<S>,
}

impl<M, S> Spans<M, S> {
    /// None. `overhead` is what a message weighs beside its bytes where sources are compared.
    pub(super) const fn new(overhead: usize) -> Self {
        Self { by_last: BTreeMap::new(), entries: 0, bytes: 0, sources: Sources::new(overhead) }
    }

    /// How many are kept.
    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    /// The sizes of the kept ones together.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_last.len()
    }

    /// The highest number.
    pub(super) fn last(&self) -> Option<u64> {
        self.by_last.last_key_value().map(|(last, _)| *last)
    }

    /// When the oldest kept one was pushed.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.kept().next().map(|(_, pushed)| pushed)
    }

    /// Size and time of the kept ones, the oldest first.
    pub(super) fn kept(&self) -> impl Iterator<Item = (usize, Duration)> {
        self.by_last.values().filter_map(|span| match &span.state {
            State::Kept(kept) => Some((kept.size, kept.pushed)),
            _ => None,
        })
    }

    /// The spans from the one that holds `number` on, each with its last number.
    pub(super) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &Span<M, S>)> {
        self.by_last.range(number..).map(|(last, span)| (*last, span))
    }
}

impl<M, S: Ord + Clone> Spans<M, S> {
    /// Appends one message. `number` must be the one behind the highest; sizes must not sum up to more than a `usize`.
    pub(super) fn push(&mut self, number: u64, kept: Kept<M, S>) {
        self.entries += 1;
        self.bytes += kept.size;
        self.sources.add(&kept.source, number, kept.size);
        self.by_last.insert(number, Span { first: number, state: State::Kept(kept) });
    }

    /// Makes these numbers dropped ones. They must be one span, or such as follow the highest or end before the lowest.
    pub(super) fn put_dropped(&mut self, mut first: u64, last: u64) {
        let is_dropped = |span: &Span<M, S>| matches!(span.state, State::Dropped);
        let before = first - 1;
        if let Some(left) = self.by_last.get(&before).filter(|left| is_dropped(left)) {
            first = left.first;
            self.by_last.remove(&before);
        }
        self.put(first, last, State::Dropped);
        if let Some((_, right)) = self.by_last.range_mut(last + 1..).next().filter(|(_, right)| is_dropped(right)) {
            right.first = first;
            self.by_last.remove(&last);
        }
    }

    /// Drops the oldest message that is kept.
    pub(super) fn drop_oldest(&mut self) {
        let oldest = self.by_last.iter().find(|(_, span)| matches!(span.state, State::Kept(_)));
        self.drop_kept(oldest.map(|(number, _)| *number));
    }

    /// Drops the oldest message of the source that has most. Whether there was one.
    pub(super) fn drop_one(&mut self) -> bool {
        self.drop_kept(self.sources.first_to_go())
    }

    /// Drops one for a message of `size` bytes: the oldest of the source that has most, the new message counted.
    pub(super) fn drop_for(&mut self, source: &S, size: usize) {
        self.drop_kept(self.sources.first_to_go_for(source, size));
    }

    /// Forgets all numbers up to `number`.
    pub(super) fn forget_to(&mut self, number: u64) {
        while let Some(mut front) = self.by_last.first_entry() {
            if *front.key() > number {
                let span = front.get_mut();
                span.first = span.first.max(number + 1);
                return;
            }
            let (last, span) = front.remove_entry();
            self.release(last, &span.state);
        }
    }

    /// Notes that one number has arrived; one that is not here is passed over.
    pub(super) fn mark_received(&mut self, number: u64) {
        let Some((&last, span)) = self.by_last.range_mut(number..).next() else { return };
        let first = span.first;
        if first > number {
            return;
        }
        // Only a dropped span has more numbers than this one.
        if number < last {
            span.first = number + 1;
        }
        if first < number {
            self.by_last.insert(number - 1, Span { first, state: State::Dropped });
        }
        self.put(number, number, State::Received);
    }

    /// Turns the numbers that had arrived, but are not in `still`, into dropped ones.
    pub(super) fn forget_received(&mut self, still: &[u64]) {
        let received = self.by_last.iter().filter(|(_, span)| matches!(span.state, State::Received));
        let forgotten: Vec<u64> =
            received.map(|(number, _)| *number).filter(|number| !still.contains(number)).collect();
        for number in forgotten {
            self.put_dropped(number, number);
        }
    }

    fn drop_kept(&mut self, number: Option<u64>) -> bool {
        if let Some(number) = number {
            self.put_dropped(number, number);
        }
        number.is_some()
    }

    fn put(&mut self, first: u64, last: u64, state: State<M, S>) {
        if let Some(former) = self.by_last.insert(last, Span { first, state }) {
            self.release(last, &former.state);
        }
    }

    /// Where a kept message ceases to be one.
    fn release(&mut self, number: u64, state: &State<M, S>) {
        if let State::Kept(Kept { size, source, .. }) = state {
            self.entries -= 1;
            self.bytes -= size;
            self.sources.remove(source, number, *size);
        }
    }
}
