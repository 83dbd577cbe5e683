//! Framed messages on a stream: the control stream in both directions, and what ordered and large streams carry.

use super::stream::{RecvStream, SendStream, StreamError};
use atoll_proto::framing::{FrameError, put_frame, take_frame};
use bytes::{Bytes, BytesMut};
use prost::Message;

/// Most bytes taken from the stream at once.
const READ: usize = 16 * 1024;

/// Writes framed messages to a stream.
#[derive(Debug)]
pub struct FrameWriter {
    stream: SendStream,
    buffer: BytesMut,
}

/// Reads frames, or bytes between them, from a stream.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    buffer: BytesMut,
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The edge finished the stream.
    #[error("the edge finished the stream")]
    Finished,
    /// The stream was reset, or the connection is over.
    #[error("the stream broke: {0}")]
    Broken(#[from] StreamError),
    /// A length that cannot be accepted.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl FrameWriter {
    /// Writes to `stream`, behind what was written before.
    pub fn new(stream: SendStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Sends one message. Not to be cancelled: a part of it may have been sent.
    ///
    /// # Errors
    /// When the edge stopped the stream or the connection is over.
    pub async fn send(&mut self, message: &impl Message) -> Result<(), StreamError> {
        put_frame(message, &mut self.buffer);
        let frame = self.buffer.split();
        self.stream.write_all(&frame).await
    }

    /// The stream, to write bytes that are no message, to finish or to reset it.
    pub fn stream(&mut self) -> &mut SendStream {
        &mut self.stream
    }
}

impl FrameReader {
    /// Reads from `stream`, from where it stands.
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The next message's bytes, at most `limit`, without the length prefix. Cancelling loses none.
    ///
    /// # Errors
    /// A [`ReadError`]; the stream is unusable then.
    pub async fn frame(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, limit)? {
                return Ok(frame);
            }
            self.more().await?;
        }
    }

    /// The next `length` bytes, whatever they are. Cancelling loses none.
    ///
    /// # Errors
    /// [`ReadError::Finished`] when the stream ends before, or [`ReadError::Broken`].
    pub async fn bytes(&mut self, length: usize) -> Result<Bytes, ReadError> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    /// The stream, to stop it.
    pub fn stream(&mut self) -> &mut RecvStream {
        &mut self.stream
    }

    async fn more(&mut self) -> Result<(), ReadError> {
        let chunk = self.stream.read_chunk(READ).await?.ok_or(ReadError::Finished)?;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }
}
