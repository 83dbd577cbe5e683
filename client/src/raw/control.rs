//! The control stream: framed messages in both directions.

use super::stream::{RecvStream, SendStream};
use atoll_proto::framing::{FrameError, put_frame, take_frame};
use bytes::{Bytes, BytesMut};
use prost::Message;

/// Most bytes taken from the stream at once.
const READ: usize = 16 * 1024;

/// The sending half of the control stream.
#[derive(Debug)]
pub struct ControlWriter {
    stream: SendStream,
    buffer: BytesMut,
}

/// The receiving half of the control stream.
#[derive(Debug)]
pub struct ControlReader {
    stream: RecvStream,
    buffer: BytesMut,
    limit: usize,
}

/// Why the control stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The edge finished the stream.
    #[error("the edge finished the control stream")]
    Finished,
    /// The stream was reset, or the connection is over.
    #[error("the control stream broke: {0}")]
    Broken(#[from] quinn::ReadError),
    /// A length that cannot be accepted.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl ControlWriter {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Sends one message. Not to be cancelled: a part of it may have been sent.
    ///
    /// # Errors
    /// When the edge stopped the stream or the connection is over.
    pub async fn send(&mut self, message: &impl Message) -> Result<(), quinn::WriteError> {
        put_frame(message, &mut self.buffer);
        let frame = self.buffer.split();
        self.stream.quic().write_all(&frame).await
    }

    /// The stream, to write bytes that are no message, to finish or to reset it.
    pub fn stream(&mut self) -> &mut quinn::SendStream {
        self.stream.quic()
    }
}

impl ControlReader {
    pub(super) fn new(stream: RecvStream, limit: usize) -> Self {
        Self { stream, buffer: BytesMut::new(), limit }
    }

    /// The next message's bytes, without the length prefix. Cancelling loses none.
    ///
    /// # Errors
    /// A [`ReadError`]; the stream is unusable then.
    pub async fn recv(&mut self) -> Result<Bytes, ReadError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, self.limit)? {
                return Ok(frame);
            }
            let chunk = self.stream.quic().read_chunk(READ, true).await?;
            let chunk = chunk.ok_or(ReadError::Finished)?;
            self.buffer.extend_from_slice(&chunk.bytes);
        }
    }

    /// The stream, to stop it.
    pub fn stream(&mut self) -> &mut quinn::RecvStream {
        self.stream.quic()
    }
}
