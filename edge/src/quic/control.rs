//! The control stream: messages in, messages out.

use atoll_proto::atoll::{ClientMessage, ServerMessage, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_proto::framing::{FrameError, MAX_MESSAGE, put_frame, take_frame};
use bytes::BytesMut;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use web_transport_quinn::{RecvStream, SendStream};

/// Messages that may wait to be written. A client that lets more pile up does not read.
const OUTGOING_CAPACITY: usize = 256;

/// Bytes taken from the stream at a time.
const CHUNK: usize = 16 * 1024;

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
}

impl ControlError {
    pub(super) fn code(&self) -> CloseCode {
        match self {
            Self::Frame(FrameError::TooLarge { .. }) => CloseCode::TooLarge,
            Self::Ended | Self::Frame(FrameError::LongPrefix) | Self::Message(_) => CloseCode::Malformed,
        }
    }
}

/// The client's half.
pub(super) struct ControlReader {
    stream: RecvStream,
    buffer: BytesMut,
}

impl ControlReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The next message that this version knows. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<client_message::Message, ControlError> {
        loop {
            while let Some(frame) = take_frame(&mut self.buffer, MAX_MESSAGE)? {
                let message: ClientMessage = atoll_proto::decode(&frame)?;
                // None: a message of a later version.
                if let Some(message) = message.message {
                    return Ok(message);
                }
            }
            match self.stream.read_chunk(CHUNK, true).await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk.bytes),
                Ok(None) | Err(_) => return Err(ControlError::Ended),
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
}

enum Outgoing {
    Message(server_message::Message),
    /// Nothing follows; tell when the client has it all.
    Finish(oneshot::Sender<()>),
}

impl ControlWriter {
    /// Starts the task that writes. It ends with the last writer, or with the connection.
    pub(super) fn start(stream: SendStream) -> Self {
        let (queue, messages) = mpsc::channel(OUTGOING_CAPACITY);
        tokio::spawn(write(stream, messages));
        Self { queue }
    }

    /// Queues a message. Never waits.
    pub(super) fn send(&self, message: server_message::Message) -> Result<(), Clogged> {
        self.queue.try_send(Outgoing::Message(message)).map_err(|_| Clogged)
    }

    /// Ends the stream and waits until the client has read it, at most `patience`.
    pub(super) async fn finish(&self, patience: Duration) {
        let (done, wait) = oneshot::channel();
        if self.queue.try_send(Outgoing::Finish(done)).is_ok() {
            // Neither a late client nor a lost one changes what follows.
            let _ = tokio::time::timeout(patience, wait).await;
        }
    }
}

async fn write(mut stream: SendStream, mut queue: mpsc::Receiver<Outgoing>) {
    let mut frames = BytesMut::new();
    let mut done = None;
    while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        // What else waits goes into the same write.
        while let Some(outgoing) = next.take() {
            match outgoing {
                Outgoing::Message(message) => put_frame(&ServerMessage { message: Some(message) }, &mut frames),
                Outgoing::Finish(told) => done = Some(told),
            }
            if done.is_none() && frames.len() < CHUNK {
                next = queue.try_recv().ok();
            }
        }
        if stream.write_chunk(frames.split().freeze()).await.is_err() {
            return;
        }
        if done.is_some() {
            break;
        }
    }
    // Dropped unfinished, the stream would be reset and lose what is still on its way.
    let _ = stream.finish();
    if let Some(done) = done {
        let _ = stream.stopped().await;
        let _ = done.send(());
    }
}
