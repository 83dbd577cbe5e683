//! A stream of arguments from the client, item by item.

use super::wire::{Wire, acknowledgement, end};
use atoll_proto::call::{Number, StreamItem, ToClient};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// The client's stream of arguments. Nothing is asked of the client before the first [`Arguments::next`]; dropped before
/// its end, the stream is closed.
pub struct Arguments {
    stream: Option<Stream>,
}

struct Stream {
    wire: Wire,
    port: u32,
    number: Number,
    items: mpsc::Receiver<StreamItem>,
    /// The last item taken.
    last: u32,
    /// The first item was asked for.
    opened: Arc<AtomicBool>,
    over: bool,
}

impl Arguments {
    /// No stream: a call whose argument is in its payload.
    pub(super) fn none() -> Self {
        Self { stream: None }
    }

    pub(super) fn new(wire: Wire, port: u32, number: Number, items: mpsc::Receiver<StreamItem>) -> Self {
        Self { stream: Some(Stream { wire, port, number, items, last: 0, opened: Arc::default(), over: false }) }
    }

    /// The stream, if there is one, and whether it has been opened: for its end after the result.
    pub(super) fn unopened(&self) -> Option<Unopened> {
        let stream = self.stream.as_ref()?;
        Some(Unopened { number: stream.number, opened: Arc::clone(&stream.opened) })
    }

    /// The next item, once the client sends it; `None` after the last.
    pub async fn next(&mut self) -> Option<Bytes> {
        let stream = self.stream.as_mut().filter(|stream| !stream.over)?;
        stream.opened.store(true, Ordering::Relaxed);
        stream.send(acknowledgement(stream.last));
        let item = stream.items.recv().await?;
        if item.closed {
            stream.over = true;
            return None;
        }
        stream.last = item.sequence;
        Some(item.payload)
    }
}

impl Stream {
    fn send(&self, item: StreamItem) {
        self.wire.send(ToClient::Stream { number: self.number, port: self.port, item });
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.wire.close_arguments(self.number);
        // One that was never opened is closed by the call, after its result.
        if self.opened.load(Ordering::Relaxed) && !self.over {
            self.send(end(self.last));
        }
    }
}

/// A client's stream that a call may leave unopened.
pub(super) struct Unopened {
    number: Number,
    opened: Arc<AtomicBool>,
}

impl Unopened {
    /// Closes the stream if the call did not open it.
    pub(super) fn close(self, wire: &Wire, port: u32) {
        if !self.opened.load(Ordering::Relaxed) {
            wire.send(ToClient::Stream { number: self.number, port, item: end(0) });
        }
    }
}
