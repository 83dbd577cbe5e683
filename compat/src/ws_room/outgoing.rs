//! What waits for one client of a room: what may not be lost in one queue, news in another.

use crate::counters::RoomCounters;
use crate::ended::Ended;
use crate::late::Late;
use crate::socket::Frames as Source;
use atoll_core::limit::{Budget, Share};
use atoll_proto::datagram::Alias;
use atoll_proto::room_frames::Frames;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// Bytes that are sent at a time: what has not been taken from here yet can be replaced.
const CHUNK: usize = 32 * 1024;

/// Bytes of what may not be lost that may wait for one client: some messages of the largest size.
const MAX_WAITING: usize = 4 << 20;

/// The same for all clients together, and what each of them may have in any case. Frames that many share count for each.
const ALL_WAITING: usize = 128 << 20;
const ALWAYS: usize = 256 * 1024;

/// What a frame counts beside its bytes.
const OVERHEAD: usize = 64;

/// Batches that wait as they are; with one more, newer updates replace older ones.
const BATCHES: usize = 4;

/// What may wait for all clients together.
pub(crate) fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(ALL_WAITING, ALWAYS))
}

/// Between a room and one socket. The room puts in and never waits.
pub(crate) struct Outgoing {
    counters: Arc<RoomCounters>,
    state: Mutex<State>,
    ended: Notify,
}

struct State {
    share: Share,
    must: VecDeque<Bytes>,
    must_cost: usize,
    /// Fresh batches, each without the client's own.
    batches: VecDeque<Fresh>,
    late: Late,
    /// Nothing is taken in any more; what is in `must` still goes out before.
    end: Option<Ended>,
    reader: Option<Waker>,
    /// The reader waits for something to send, and not for its client to take what it has.
    is_idle: bool,
}

/// A batch, and whose frames are not for the client.
struct Fresh {
    frames: Shared,
    own: Option<Alias>,
}

/// Frames of a batch, which the batch itself holds.
pub(crate) trait Batched: Send + Sync {
    /// Them, as this client reads them.
    fn frames(&self) -> &Frames;
}

type Shared = Box<dyn Batched>;

impl Outgoing {
    pub(crate) fn new(budget: Arc<Budget>, counters: Arc<RoomCounters>) -> Self {
        let state = State {
            share: Share::new(budget),
            must: VecDeque::new(),
            must_cost: 0,
            batches: VecDeque::new(),
            late: Late::default(),
            end: None,
            reader: None,
            is_idle: false,
        };
        Self { counters, state: Mutex::new(state), ended: Notify::new() }
    }

    /// Frames that may not be lost. False when the client is too slow for them: nothing more will be sent.
    pub(crate) fn push(&self, frames: Bytes) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        state.must_cost += frames.len() + OVERHEAD;
        state.must.push_back(frames);
        state.share.set(state.must_cost);
        if state.must_cost > MAX_WAITING || state.share.is_too_much() {
            state.forget();
            state.end = Some(Ended::TooSlow);
        }
        let goes_on = state.end.is_none();
        wake(state);
        goes_on
    }

    /// The news of one tick. Those of a client that is behind are put together.
    pub(crate) fn push_batch(&self, frames: Shared, own: Option<Alias>) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.batches.push_back(Fresh { frames, own });
        if state.batches.len() > BATCHES || !state.late.is_empty() {
            state.put_together(&self.counters);
        }
        wake(state);
    }

    /// These have left: nothing of theirs may follow the word of it.
    pub(crate) fn forget(&self, left: &[Alias]) {
        let mut state = self.lock();
        if state.batches.iter().any(|batch| left.iter().any(|alias| batch.frames.frames().has(*alias))) {
            state.put_together(&self.counters);
        }
        state.late.forget(left);
    }

    /// Sends what may not be lost, and then no more.
    pub(crate) fn end(&self, ended: Ended) {
        let mut state = self.lock();
        state.batches.clear();
        state.late = Late::default();
        state.end.get_or_insert(ended);
        wake(state);
        self.ended.notify_one();
    }

    /// Waits until somebody has said that it ends; told once.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes who waits for what was put in.
fn wake(mut state: MutexGuard<'_, State>) {
    if !state.is_idle && state.end.is_none() {
        return;
    }
    state.is_idle = false;
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

impl Source for Outgoing {
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ended>> {
        let mut state = self.lock();
        if let Some(chunk) = state.next_chunk() {
            return Poll::Ready(Ok(chunk));
        }
        if let Some(ended) = &state.end {
            return Poll::Ready(Err(ended.clone()));
        }
        state.is_idle = true;
        state.wait(cx);
        Poll::Pending
    }

    fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut state = self.lock();
        if state.end == Some(Ended::TooSlow) {
            return Poll::Ready(Ended::TooSlow);
        }
        state.wait(cx);
        Poll::Pending
    }
}

impl State {
    fn wait(&mut self, cx: &Context<'_>) {
        if self.reader.as_ref().is_none_or(|reader| !reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
    }

    /// What may not be lost, and then news, as much as one chunk holds.
    fn next_chunk(&mut self) -> Option<Bytes> {
        let mut chunk = Chunk::default();
        while !chunk.is_full()
            && let Some(frame) = self.must.pop_front()
        {
            self.must_cost -= frame.len() + OVERHEAD;
            chunk.add(frame);
        }
        self.share.set(self.must_cost);
        while !chunk.is_full() && self.must.is_empty() {
            if let Some(batch) = self.batches.pop_front() {
                batch.frames.frames().without(batch.own).for_each(|piece| chunk.add(piece));
            } else if let Some(frame) = self.late.pop() {
                chunk.add(frame);
            } else {
                break;
            }
        }
        chunk.finish()
    }

    /// Puts every batch into what is late.
    fn put_together(&mut self, counters: &RoomCounters) {
        for Fresh { frames, own } in self.batches.drain(..) {
            for (from, update, frame) in frames.frames().each().filter(|(from, ..)| Some(*from) != own) {
                self.late.add(from, update, frame, counters);
            }
        }
    }

    fn forget(&mut self) {
        self.must.clear();
        self.must_cost = 0;
        self.share.set(0);
        self.batches.clear();
        self.late = Late::default();
    }
}

/// Pieces in one: copied together unless there is only one.
#[derive(Default)]
struct Chunk {
    first: Bytes,
    all: BytesMut,
}

impl Chunk {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn is_full(&self) -> bool {
        self.len() >= CHUNK
    }

    fn add(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = piece;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&piece);
    }

    fn finish(self) -> Option<Bytes> {
        let chunk = if self.all.is_empty() { self.first } else { self.all.freeze() };
        (!chunk.is_empty()).then_some(chunk)
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
