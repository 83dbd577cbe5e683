//! What a sender knows of the numbers that are not acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

/// Neighbouring numbers of one state, both ends included.
#[derive(Debug, Clone)]
pub(super) struct Span<M> {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) state: State<M>,
}

#[derive(Debug, Clone)]
pub(super) enum State<M> {
    /// One message that can be sent.
    Kept { message: M, size: usize, pushed: Duration },
    /// Messages that cannot be had any more. Two such spans are never neighbours.
    Dropped,
    /// One message that has arrived before some that stand in front of it.
    Received,
}

/// Spans that cover a range of numbers in order and without holes, so that a number is found by halving.
///
/// Messages are dropped from the oldest on, so spans of other states than `Kept` stand in front, but for the few
/// that were received early.
#[derive(Debug, Clone)]
pub(super) struct Spans<M> {
    spans: VecDeque<Span<M>>,
    entries: usize,
    bytes: usize,
}

impl<M> Spans<M> {
    pub(super) const fn new() -> Self {
        Self { spans: VecDeque::new(), entries: 0, bytes: 0 }
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
    pub(super) fn capacity(&self) -> usize {
        self.spans.capacity()
    }

    /// The highest number.
    pub(super) fn last(&self) -> Option<u64> {
        self.spans.back().map(|span| span.last)
    }

    /// When the oldest kept one was pushed.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.kept().next().map(|(_, pushed)| pushed)
    }

    /// Size and time of the kept ones, the oldest first.
    pub(super) fn kept(&self) -> impl Iterator<Item = (usize, Duration)> {
        self.spans.iter().filter_map(|span| match span.state {
            State::Kept { size, pushed, .. } => Some((size, pushed)),
            _ => None,
        })
    }

    /// The spans from the one that holds `number` on.
    pub(super) fn iter_from(&self, number: u64) -> impl Iterator<Item = &Span<M>> {
        self.spans.range(self.index_of(number)..)
    }

    /// Appends one message. `number` must be the one behind the highest; sizes must not sum up to more than a `usize`.
    pub(super) fn push(&mut self, number: u64, message: M, size: usize, pushed: Duration) {
        self.entries += 1;
        self.bytes += size;
        self.spans.push_back(Span { first: number, last: number, state: State::Kept { message, size, pushed } });
    }

    /// Appends a number whose message is not kept. It must be the one behind the highest.
    pub(super) fn push_dropped(&mut self, number: u64) {
        self.spans.push_back(Span { first: number, last: number, state: State::Dropped });
        self.merge_at(self.spans.len() - 1);
    }

    /// Drops the oldest message that is kept.
    pub(super) fn drop_oldest(&mut self) {
        let oldest = self.spans.iter().position(|span| matches!(span.state, State::Kept { .. }));
        if let Some(index) = oldest {
            self.set(index, State::Dropped);
            self.merge_at(index);
        }
    }

    /// Puts dropped numbers in front, which must end where the spans begin.
    pub(super) fn prepend_dropped(&mut self, first: u64, last: u64) {
        self.spans.push_front(Span { first, last, state: State::Dropped });
        self.merge_at(0);
    }

    /// Forgets all numbers up to `number`.
    pub(super) fn forget_to(&mut self, number: u64) {
        while let Some(front) = self.spans.front_mut() {
            if front.last > number {
                front.first = front.first.max(number + 1);
                break;
            }
            self.set(0, State::Received);
            self.spans.pop_front();
        }
    }

    /// Notes that one number has arrived; one that is not here is passed over.
    pub(super) fn mark_received(&mut self, number: u64) {
        let index = self.index_of(number);
        let Some(span) = self.spans.get(index).filter(|span| span.first <= number) else {
            return;
        };
        let (first, last) = (span.first, span.last);
        self.set(index, State::Received);
        self.spans[index].first = number;
        self.spans[index].last = number;
        if number < last {
            self.spans.insert(index + 1, Span { first: number + 1, last, state: State::Dropped });
        }
        if first < number {
            self.spans.insert(index, Span { first, last: number - 1, state: State::Dropped });
        }
    }

    /// Turns the numbers that had arrived, but are not in `still`, into dropped ones.
    pub(super) fn forget_received(&mut self, still: &[u64]) {
        for index in (0..self.spans.len()).rev() {
            let span = &self.spans[index];
            if matches!(span.state, State::Received) && !still.contains(&span.first) {
                self.set(index, State::Dropped);
                self.merge_at(index);
            }
        }
    }

    /// Gives memory back when most of it is unused.
    pub(super) fn shrink(&mut self) {
        if self.spans.is_empty() {
            self.spans = VecDeque::new();
        } else if self.spans.capacity() > 64 && self.spans.capacity() / 4 > self.spans.len() {
            self.spans.shrink_to(2 * self.spans.len());
        }
    }

    /// Index of the first span that ends at `number` or above it.
    fn index_of(&self, number: u64) -> usize {
        self.spans.partition_point(|span| span.last < number)
    }

    /// The only place where a kept message ceases to be one.
    fn set(&mut self, index: usize, state: State<M>) {
        if let State::Kept { size, .. } = std::mem::replace(&mut self.spans[index].state, state) {
            self.entries -= 1;
            self.bytes -= size;
        }
    }

    /// Makes one of the dropped span at `index` and its dropped neighbours.
    fn merge_at(&mut self, index: usize) {
        for (left, right) in [(index, index + 1), (index.wrapping_sub(1), index)] {
            let dropped = |at| self.spans.get(at).is_some_and(|span: &Span<M>| matches!(span.state, State::Dropped));
            if dropped(left) && dropped(right) {
                self.spans[left].last = self.spans[right].last;
                self.spans.remove(right);
            }
        }
    }
}
