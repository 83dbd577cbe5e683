//! Numbered messages to a client: kept for it whatever its connections do, and written by one task a lane.

use super::carrier::Carrier;
use super::counters::{Counters, OVERHEAD};
use super::streams::{ByteSink, Lane, SinkGone};
use atoll_core::limit::Share;
use atoll_core::room::Sender;
use atoll_proto::atoll::{Gap, Large, LargeHeader, Member, Ordered, OrderedMessage, Received};
use atoll_proto::atoll::{large_header, ordered_message};
use atoll_proto::channel::LARGE_SLICE;
use atoll_proto::datagram::{Alias, Tag};
use atoll_proto::framing::put_frame;
use atoll_proto::lanes::{AcknowledgeError, Item, LARGE_BOUNDS, MAX_ORDERED, ORDERED_BOUNDS, Outgoing};
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Bytes of ordered messages written at a time.
const CHUNK: usize = 16 * 1024;

/// A message for the client.
#[derive(Debug, Clone)]
pub(super) struct Down {
    pub(super) tag: Tag,
    pub(super) from: Alias,
    pub(super) sender: Sender,
    pub(super) payload: Bytes,
}

/// Both lanes to one client. Its links put messages in, on their rooms' tasks.
pub(super) struct Outbox {
    counters: Arc<Counters>,
    started: Instant,
    state: Mutex<State>,
    /// Something may be sent for the first time on this connection: a writer is needed.
    wanted: Notify,
    ordered_news: Notify,
    large_news: Notify,
}

struct State {
    ordered: Outgoing<Down, Sender>,
    large: Outgoing<Down, Sender>,
    share: Share,
    /// Counts connections. A writer of an earlier one gets nothing any more.
    epoch: u64,
    ordered_served: bool,
    large_served: bool,
}

impl Outbox {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        let state = State {
            ordered: Outgoing::new(ORDERED_BOUNDS),
            large: Outgoing::new(LARGE_BOUNDS),
            share: Share::new(Arc::clone(&counters.lanes.budget)),
            epoch: 0,
            ordered_served: false,
            large_served: false,
        };
        Self {
            counters,
            started: Instant::now(),
            state: Mutex::new(state),
            wanted: Notify::new(),
            ordered_news: Notify::new(),
            large_news: Notify::new(),
        }
    }

    /// Puts a message in. Never waits: what is too old or too much makes room, and is announced as a gap. In a full lane
    /// the sender that has most in it pays.
    pub(super) fn push(&self, message: Down) {
        let now = self.started.elapsed();
        let (sender, size) = (message.sender.clone(), message.payload.len());
        let mut state = self.lock();
        let served = if size > MAX_ORDERED {
            state.large.push_from(sender, now, size, message);
            state.large_served.then_some(&self.large_news)
        } else {
            state.ordered.push_from(sender, now, size, message);
            state.ordered_served.then_some(&self.ordered_news)
        };
        self.counters.lanes.shed.add(state.shed());
        served.unwrap_or(&self.wanted).notify_one();
    }

    /// Drops what has become too old, and says when to do so again: nothing becomes too old before.
    pub(super) fn expire(&self) -> Instant {
        let now = self.started.elapsed();
        let mut state = self.lock();
        state.ordered.expire(now);
        state.large.expire(now);
        state.count();
        let oldest = [state.ordered.expires_at(), state.large.expires_at()].into_iter().flatten().min();
        self.started + oldest.unwrap_or(now + ORDERED_BOUNDS.age.min(LARGE_BOUNDS.age))
    }

    /// Frees what the client has.
    pub(super) fn acknowledge(&self, received: &Received) -> Result<(), AcknowledgeError> {
        let mut state = self.lock();
        state.ordered.acknowledge(received.ordered, &[])?;
        state.large.acknowledge(received.large, &received.large_beyond)?;
        state.count();
        // More may be under way beyond it now.
        self.large_news.notify_one();
        Ok(())
    }

    /// Begins anew for another connection, whose client has `received`.
    pub(super) fn rewind(&self, received: &Received) -> Result<(), AcknowledgeError> {
        let now = self.started.elapsed();
        let mut state = self.lock();
        state.ordered.rewind(now, received.ordered, &[])?;
        state.large.rewind(now, received.large, &received.large_beyond)?;
        state.count();
        state.epoch += 1;
        state.ordered_served = false;
        state.large_served = false;
        self.wanted.notify_one();
        Ok(())
    }

    /// Waits until [`Outbox::serve`] may have something to do. Cancel-safe.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Starts the writers that are needed and not there yet, for the connection of the last [`Outbox::rewind`].
    pub(super) fn serve(self: &Arc<Self>, carrier: &Carrier, writers: &mut JoinSet<()>) {
        let mut state = self.lock();
        let epoch = state.epoch;
        if !state.ordered_served && state.ordered.unacknowledged() > 0 {
            state.ordered_served = true;
            writers.spawn(write_ordered(Arc::clone(self), carrier.clone(), epoch));
        }
        if !state.large_served && state.large.unacknowledged() > 0 {
            state.large_served = true;
            writers.spawn(write_large(Arc::clone(self), carrier.clone(), epoch));
        }
    }

    /// Frames of the ordered lane that are to be written now, none when all have been. `None` when the connection is
    /// not the last one any more.
    fn next_ordered(&self, epoch: u64) -> Option<BytesMut> {
        let now = self.started.elapsed();
        let mut frames = BytesMut::new();
        let mut state = self.lock();
        if state.epoch != epoch {
            return None;
        }
        while frames.len() < CHUNK
            && let Some(item) = state.ordered.next(now)
        {
            let message = match item {
                Item::Message { number, message } => {
                    self.counters.lanes.ordered_out.add(1);
                    ordered_message::Message::Ordered(Ordered {
                        tag: message.tag.0,
                        number,
                        sender: Some(message.member()),
                        payload: message.payload.to_vec(),
                    })
                }
                Item::Gap { first, last } => ordered_message::Message::Gap(self.gap(first, last)),
            };
            put_frame(&OrderedMessage { message: Some(message) }, &mut frames);
        }
        Some(frames)
    }

    /// The next large message: its header and its payload. The inner `None`: there is none for now.
    fn next_large(&self, epoch: u64) -> Option<Option<(Bytes, Bytes)>> {
        let now = self.started.elapsed();
        let mut state = self.lock();
        if state.epoch != epoch {
            return None;
        }
        let Some(item) = state.large.next(now) else { return Some(None) };
        let (message, payload) = match item {
            Item::Message { number, message } => {
                self.counters.lanes.large_out.add(1);
                let large = Large {
                    tag: message.tag.0,
                    number,
                    sender: Some(message.member()),
                    length: u32::try_from(message.payload.len()).unwrap_or(u32::MAX),
                };
                (large_header::Message::Large(large), message.payload.clone())
            }
            Item::Gap { first, last } => (large_header::Message::Gap(self.gap(first, last)), Bytes::new()),
        };
        let mut header = BytesMut::new();
        put_frame(&LargeHeader { message: Some(message) }, &mut header);
        Some(Some((header.freeze(), payload)))
    }

    fn gap(&self, first: u64, last: u64) -> Gap {
        self.counters.lanes.lost_out.add(last - first + 1);
        Gap { first, last }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes how much is kept.
    fn count(&mut self) {
        self.share.set(cost(&self.ordered) + cost(&self.large));
    }

    /// Drops from the lane that has more as long as too much is kept, and says how many.
    fn shed(&mut self) -> u64 {
        let mut shed = 0;
        self.count();
        while self.share.is_too_much() {
            let ordered = cost(&self.ordered) > cost(&self.large);
            shed += u64::from(if ordered { self.ordered.shed() } else { self.large.shed() });
            self.count();
        }
        shed
    }
}

/// What a lane takes, in bytes.
fn cost(lane: &Outgoing<Down, Sender>) -> usize {
    lane.bytes() + lane.len() * OVERHEAD
}

impl Down {
    fn member(&self) -> Member {
        Member { alias: self.from.0, name: self.sender.to_string() }
    }
}

/// Ends with the connection, or when the client reads the stream no more.
async fn write_ordered(outbox: Arc<Outbox>, carrier: Carrier, epoch: u64) {
    let Some(mut stream) = carrier.open_stream(Lane::Ordered).await else { return };
    while let Some(frames) = outbox.next_ordered(epoch) {
        if frames.is_empty() {
            outbox.ordered_news.notified().await;
        } else if stream.write(frames.freeze()).await.is_err() {
            return;
        }
    }
    // The news may have been for the writer of the next connection.
    outbox.ordered_news.notify_one();
}

/// Likewise. One message at a time, so that they do not all come late.
async fn write_large(outbox: Arc<Outbox>, carrier: Carrier, epoch: u64) {
    while let Some(next) = outbox.next_large(epoch) {
        let Some((header, payload)) = next else {
            outbox.large_news.notified().await;
            continue;
        };
        let Some(stream) = carrier.open_stream(Lane::Large).await else { return };
        // A client that stops one message may take the next.
        let _ = write_one(stream, header, payload).await;
    }
    outbox.large_news.notify_one();
}

async fn write_one(mut stream: ByteSink, header: Bytes, mut payload: Bytes) -> Result<(), SinkGone> {
    stream.write(header).await?;
    while !payload.is_empty() {
        let slice = payload.split_to(payload.len().min(LARGE_SLICE));
        stream.write(slice).await?;
    }
    stream.finish(Duration::ZERO).await;
    Ok(())
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
