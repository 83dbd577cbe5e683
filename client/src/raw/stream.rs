//! Streams of every way in.

use super::websocket;
use crate::closed::http3_code;
use bytes::Bytes;

/// The sending half of a stream. Dropping it finishes the stream.
#[derive(Debug)]
pub struct SendStream(pub(super) Send);

/// The receiving half of a stream. Dropping it stops the stream.
#[derive(Debug)]
pub struct RecvStream(pub(super) Recv);

#[derive(Debug)]
pub(super) enum Send {
    WebTransport(wtransport::SendStream),
    Quic(quinn::SendStream),
    WebSocket(websocket::SendStream),
}

#[derive(Debug)]
pub(super) enum Recv {
    WebTransport(wtransport::RecvStream),
    Quic(quinn::RecvStream),
    WebSocket(websocket::RecvStream),
}

/// Why a stream cannot be used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The edge gave it up: it stopped a sending stream or reset a receiving one, by this code of the way in.
    #[error("the edge gave the stream up by code {0}")]
    Abandoned(u64),
    /// This client finished, reset or stopped it before.
    #[error("the stream was ended before")]
    Ended,
    /// A WebSocket has no streams of the type that the first byte named.
    #[error("a WebSocket carries no streams of this type")]
    UnknownType,
    /// The connection is over.
    #[error("the connection is over")]
    ConnectionLost,
}

impl SendStream {
    /// Sends `bytes`, as soon as the edge takes them. Not to be cancelled: a part may have been sent.
    ///
    /// # Errors
    /// A [`StreamError`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match &mut self.0 {
            Send::WebTransport(stream) => Ok(stream.quic_stream_mut().write_all(bytes).await?),
            Send::Quic(stream) => Ok(stream.write_all(bytes).await?),
            Send::WebSocket(stream) => stream.write_all(bytes).await,
        }
    }

    /// Ends the stream: the edge reads what was sent, and then its end.
    ///
    /// # Errors
    /// [`StreamError::Ended`] when it is ended already.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        match &mut self.0 {
            Send::WebTransport(stream) => stream.quic_stream_mut().finish().map_err(|_| StreamError::Ended),
            Send::Quic(stream) => stream.finish().map_err(|_| StreamError::Ended),
            Send::WebSocket(stream) => stream.finish(),
        }
    }

    /// Ends the stream at once by `code`: the edge need not read what was sent. A WebSocket has nothing like it; there
    /// the stream is finished.
    ///
    /// # Errors
    /// [`StreamError::Ended`] when it is ended already.
    pub fn reset(&mut self, code: u32) -> Result<(), StreamError> {
        match &mut self.0 {
            Send::WebTransport(stream) => {
                stream.quic_stream_mut().reset(webtransport_code(code)).map_err(|_| StreamError::Ended)
            }
            Send::Quic(stream) => stream.reset(code.into()).map_err(|_| StreamError::Ended),
            Send::WebSocket(stream) => stream.finish(),
        }
    }
}

impl RecvStream {
    /// The next bytes, at most `most` of them; `None` at the end. Cancelling loses none.
    ///
    /// # Errors
    /// A [`StreamError`].
    pub async fn read_chunk(&mut self, most: usize) -> Result<Option<Bytes>, StreamError> {
        let chunk = match &mut self.0 {
            Recv::WebTransport(stream) => stream.quic_stream_mut().read_chunk(most, true).await?,
            Recv::Quic(stream) => stream.read_chunk(most, true).await?,
            Recv::WebSocket(stream) => return Ok(stream.read_chunk(most).await),
        };
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Tells the edge by `code` that nothing more is read.
    ///
    /// # Errors
    /// [`StreamError::Ended`] when it is ended already.
    pub fn stop(&mut self, code: u32) -> Result<(), StreamError> {
        match &mut self.0 {
            Recv::WebTransport(stream) => {
                stream.quic_stream_mut().stop(webtransport_code(code)).map_err(|_| StreamError::Ended)
            }
            Recv::Quic(stream) => stream.stop(code.into()).map_err(|_| StreamError::Ended),
            Recv::WebSocket(stream) => {
                stream.stop();
                Ok(())
            }
        }
    }
}

fn webtransport_code(code: u32) -> quinn::VarInt {
    quinn::VarInt::from_u64(http3_code(code)).unwrap_or_default()
}

impl From<quinn::WriteError> for StreamError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::Abandoned(code.into_inner()),
            quinn::WriteError::ClosedStream => Self::Ended,
            quinn::WriteError::ConnectionLost(_) | quinn::WriteError::ZeroRttRejected => Self::ConnectionLost,
        }
    }
}

impl From<quinn::ReadError> for StreamError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(code) => Self::Abandoned(code.into_inner()),
            quinn::ReadError::ClosedStream | quinn::ReadError::IllegalOrderedRead => Self::Ended,
            quinn::ReadError::ConnectionLost(_) | quinn::ReadError::ZeroRttRejected => Self::ConnectionLost,
        }
    }
}
