//! The control stream: messages in, messages out.

use super::streams::{ByteSink, ByteSource, SourceEnd};
use atoll_proto::atoll::{ClientMessage, ServerMessage, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_proto::framing::{FrameError, MAX_MESSAGE, put_frame, take_frame};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// Messages that may wait to be written. A client that lets more pile up does not read.
const OUTGOING_MESSAGES: usize = 256;

/// Bytes that may wait to be written, likewise: the snapshot of a room of several thousand members.
const OUTGOING_BYTES: usize = 512 * 1024;

/// Bytes that may wait when something is added that could as well wait elsewhere.
const LIGHT: usize = 64 * 1024;

/// Bytes that a message counts beside its own, so that [`LIGHT`] is half of [`OUTGOING_MESSAGES`] at most.
const OVERHEAD: usize = 512;

/// Bytes taken from the stream at a time.
const CHUNK: usize = 16 * 1024;

/// Empty frames in a row that are skipped.
const MAX_EMPTY: usize = 64;

/// Why the control stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// The client finished or reset it, or the connection is gone.
    #[error("the control stream ended")]
    Ended,
    /// A broken frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that is no message.
    #[error("not a ClientMessage: {0}")]
    Message(#[from] atoll_proto::DecodeError),
    /// Frames that say nothing, without end.
    #[error("more than {MAX_EMPTY} empty frames in a row")]
    Empty,
}

impl ControlError {
    pub(super) fn code(&self) -> CloseCode {
        match self {
            Self::Frame(FrameError::TooLarge { .. }) => CloseCode::TooLarge,
            Self::Ended | Self::Frame(FrameError::LongPrefix) | Self::Message(_) | Self::Empty => CloseCode::Malformed,
        }
    }
}

/// The client's half.
pub(super) struct ControlReader {
    stream: ByteSource,
    buffer: BytesMut,
    empty: usize,
}

impl ControlReader {
    pub(super) fn new(stream: ByteSource) -> Self {
        Self { stream, buffer: BytesMut::new(), empty: 0 }
    }

    /// The next message that this version knows. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<client_message::Message, ControlError> {
        loop {
            while let Some(frame) = take_frame(&mut self.buffer, MAX_MESSAGE)? {
                self.empty = if frame.is_empty() { self.empty + 1 } else { 0 };
                if self.empty > MAX_EMPTY {
                    return Err(ControlError::Empty);
                }
                let message: ClientMessage = atoll_proto::decode(&frame)?;
                // None: a message of a later version.
                if let Some(message) = message.message {
                    return Ok(message);
                }
            }
            match self.stream.read(CHUNK).await {
                Ok(bytes) => self.buffer.extend_from_slice(&bytes),
                Err(SourceEnd::Finished | SourceEnd::Broken) => return Err(ControlError::Ended),
            }
        }
    }
}

/// The client does not read its control stream, or the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control stream is full or gone")]
pub(super) struct Clogged;

/// The edge's half: a bounded queue in front of the task that writes.
#[derive(Clone)]
pub(super) struct ControlWriter {
    queue: mpsc::Sender<Outgoing>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes in the queue, with [`OVERHEAD`].
    waiting: AtomicUsize,
    /// Told when a message did not fit.
    clogged: Notify,
    /// Told when little waits again.
    lightened: Notify,
}

enum Outgoing {
    Frame(Bytes),
    /// Nothing follows; tell when the client has it all.
    Finish(Duration, oneshot::Sender<()>),
}

impl ControlWriter {
    /// Starts the task that writes. It ends with the last writer, or with the connection.
    pub(super) fn start(stream: ByteSink) -> Self {
        let (queue, messages) = mpsc::channel(OUTGOING_MESSAGES);
        let state = Arc::<State>::default();
        tokio::spawn(write(stream, messages, Arc::clone(&state)));
        Self { queue, state }
    }

    /// Queues a message. Never waits.
    pub(super) fn send(&self, message: server_message::Message) -> Result<(), Clogged> {
        let mut frame = BytesMut::new();
        put_frame(&ServerMessage { message: Some(message) }, &mut frame);
        debug_assert!(frame.len() <= MAX_MESSAGE + 3, "who makes a message sees to its size");
        let size = frame.len() + OVERHEAD;
        let waiting = self.state.waiting.fetch_add(size, Ordering::Relaxed);
        let fits = waiting + size <= OUTGOING_BYTES;
        if fits && self.queue.try_send(Outgoing::Frame(frame.freeze())).is_ok() {
            return Ok(());
        }
        self.state.clogged.notify_one();
        Err(Clogged)
    }

    /// Waits until some message did not fit. Cancel-safe.
    pub(super) async fn clogged(&self) -> Clogged {
        self.state.clogged.notified().await;
        Clogged
    }

    /// Waits until little waits to be written. One task may ask at a time. Cancel-safe.
    pub(super) async fn light(&self) {
        while self.state.waiting.load(Ordering::Relaxed) > LIGHT {
            self.state.lightened.notified().await;
        }
    }

    /// Ends the stream and waits until the client has read it, at most `patience`.
    pub(super) async fn finish(&self, patience: Duration) {
        let (done, wait) = oneshot::channel();
        if self.queue.try_send(Outgoing::Finish(patience, done)).is_ok() {
            // Neither a late client nor a lost one changes what follows.
            let _ = tokio::time::timeout(patience, wait).await;
        }
    }
}

async fn write(mut stream: ByteSink, mut queue: mpsc::Receiver<Outgoing>, state: Arc<State>) {
    let mut frames = BytesMut::new();
    let mut done = None;
    let mut written = 0;
    while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        // What else waits goes into the same write.
        while let Some(outgoing) = next.take() {
            match outgoing {
                Outgoing::Frame(frame) => {
                    written += frame.len() + OVERHEAD;
                    frames.extend_from_slice(&frame);
                }
                Outgoing::Finish(patience, told) => done = Some((patience, told)),
            }
            if done.is_none() && frames.len() < CHUNK {
                next = queue.try_recv().ok();
            }
        }
        if !frames.is_empty() && stream.write(frames.split().freeze()).await.is_err() {
            return;
        }
        let waited = state.waiting.fetch_sub(written, Ordering::Relaxed);
        if waited > LIGHT && waited - written <= LIGHT {
            state.lightened.notify_one();
        }
        written = 0;
        if done.is_some() {
            break;
        }
    }
    let (patience, told) = done.unzip();
    stream.finish(patience.unwrap_or_default()).await;
    if let Some(told) = told {
        let _ = told.send(());
    }
}
