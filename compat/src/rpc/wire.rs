//! What a connection and its calls share: frames to write, and who waits for which answer.

use atoll_proto::call::{Number, StreamItem, ToClient};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::{mpsc, oneshot};

/// Items of a client's stream that may wait unread. A client that follows the protocol has one under way.
const MAX_ITEMS: usize = 16;

/// Bytes of items that wait to be written, above which streams give no more.
const ENOUGH: usize = 256 * 1024;

/// Something to write, or to do once everything before it is written.
pub(super) enum Outgoing {
    Frame(ToClient),
    Then(Box<dyn FnOnce() + Send>),
}

/// How a client answered an item of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// It wants the next one.
    Acknowledged,
    /// It has had enough.
    Closed,
    /// Neither, which only the original's bookkeeping has a meaning for.
    Neither,
}

/// Shared by a connection and its calls; held for moments only.
#[derive(Clone, Default)]
pub(super) struct Wire(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    outgoing: VecDeque<Outgoing>,
    /// Bytes of items among them.
    items: usize,
    /// Streams that may not give more for now.
    held_back: Vec<Waker>,
    /// Streams to the client that wait for an answer to the item with this sequence.
    waiting: HashMap<Number, (u32, oneshot::Sender<Reply>)>,
    /// Streams to the client that the client closed while they had nothing to say.
    closing: HashMap<Number, oneshot::Sender<()>>,
    /// Streams from the client.
    arguments: HashMap<Number, mpsc::Sender<StreamItem>>,
}

/// A client sent more items than were acknowledged to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flooded;

impl Wire {
    pub(super) fn send(&self, frame: ToClient) {
        let mut state = self.state();
        state.items += item_size(&frame);
        state.outgoing.push_back(Outgoing::Frame(frame));
    }

    /// Whether a stream may give an item now.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.items < ENOUGH {
            return Poll::Ready(());
        }
        if !state.held_back.iter().any(|held_back| held_back.will_wake(context.waker())) {
            state.held_back.push(context.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn then(&self, action: Box<dyn FnOnce() + Send>) {
        self.state().outgoing.push_back(Outgoing::Then(action));
    }

    pub(super) fn pop(&self) -> Option<Outgoing> {
        let mut state = self.state();
        let outgoing = state.outgoing.pop_front();
        if let Some(Outgoing::Frame(frame)) = &outgoing {
            state.items -= item_size(frame);
            if state.items < ENOUGH {
                state.held_back.drain(..).for_each(Waker::wake);
            }
        }
        outgoing
    }

    /// The client's answer to the item `sequence` of the stream `number`, once it comes.
    pub(super) fn wait(&self, number: Number, sequence: u32) -> oneshot::Receiver<Reply> {
        let (sender, reply) = oneshot::channel();
        self.state().waiting.insert(number, (sequence, sender));
        reply
    }

    /// Resolves when the client closes the stream `number` although nothing waits for its answer.
    pub(super) fn closing(&self, number: Number) -> oneshot::Receiver<()> {
        let (sender, closed) = oneshot::channel();
        self.state().closing.insert(number, sender);
        closed
    }

    /// Forgets a stream to the client.
    pub(super) fn forget(&self, number: Number) {
        let mut state = self.state();
        state.waiting.remove(&number);
        state.closing.remove(&number);
    }

    /// Opens a stream from the client; `None` when its number is taken.
    pub(super) fn open_arguments(&self, number: Number) -> Option<mpsc::Receiver<StreamItem>> {
        let mut state = self.state();
        if state.arguments.contains_key(&number) {
            return None;
        }
        let (sender, items) = mpsc::channel(MAX_ITEMS);
        state.arguments.insert(number, sender);
        Some(items)
    }

    pub(super) fn close_arguments(&self, number: Number) {
        self.state().arguments.remove(&number);
    }

    /// Hands a stream frame of the client to whom it is for. Frames for nobody are ignored, as the original does.
    pub(super) fn route(&self, number: Number, item: StreamItem) -> Result<(), Flooded> {
        let mut state = self.state();
        if let Some(items) = state.arguments.get(&number) {
            // A receiver that is gone has had enough; its end is on its way to the client.
            return match items.try_send(item) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => Err(Flooded),
            };
        }
        let awaited = state.waiting.get(&number).is_some_and(|(sequence, _)| *sequence == item.sequence);
        if awaited && let Some((_, reply)) = state.waiting.remove(&number) {
            let answer = match item {
                StreamItem { closed: true, .. } => Reply::Closed,
                StreamItem { ack: true, .. } => Reply::Acknowledged,
                StreamItem { .. } => Reply::Neither,
            };
            let _ = reply.send(answer);
        } else if item.closed
            && let Some(closing) = state.closing.remove(&number)
        {
            let _ = closing.send(());
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn item_size(frame: &ToClient) -> usize {
    match frame {
        ToClient::Stream { item, .. } => item.payload.len(),
        _ => 0,
    }
}

/// An acknowledgement of the item `sequence`.
pub(super) fn acknowledgement(sequence: u32) -> StreamItem {
    StreamItem { sequence, payload: Bytes::new(), closed: false, ack: true }
}

/// The end of a stream whose last item was `sequence`.
pub(super) fn end(sequence: u32) -> StreamItem {
    StreamItem { sequence, payload: Bytes::new(), closed: true, ack: false }
}
