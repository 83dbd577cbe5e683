//! A connection before login, for tests and tools that speak the protocol by hand, also wrongly.
//!
//! [`Endpoint::connect_raw`](crate::Endpoint::connect_raw) gives one. Nothing here checks what is sent.

mod frames;
mod stream;
mod transport;
pub(crate) mod websocket;

pub use frames::{FrameReader, FrameWriter, ReadError};
pub use stream::{RecvStream, SendStream, StreamError};
pub use transport::{DatagramSendError, Transport};
pub use websocket::WebSocket;

use crate::closed::Closed;
use atoll_proto::atoll::{ClientMessage, ServerMessage, client_message, server_message};
use atoll_proto::framing::MAX_MESSAGE;
use bytes::Bytes;
use std::time::Duration;

/// How long the end of the connection is waited for when the edge ended the control stream: the close may be on its
/// way, and only it tells why.
const REASON_WAIT: Duration = Duration::from_secs(1);

/// A connection with its control stream open and nothing said yet.
#[derive(Debug)]
pub struct Connection {
    /// Datagrams, further streams, and the end of the connection.
    pub transport: Transport,
    /// The sending half of the control stream.
    pub writer: FrameWriter,
    /// The receiving half of the control stream.
    pub reader: FrameReader,
}

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// The connection is over.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The edge ended the control stream, but not the connection; or its framing cannot be read.
    #[error(transparent)]
    Stream(ReadError),
    /// A frame that is no `ServerMessage`.
    #[error("a message of the edge cannot be read: {0}")]
    Malformed(atoll_proto::DecodeError),
}

impl Connection {
    /// Opens the control stream of a connection.
    ///
    /// # Errors
    /// [`Closed`] when the connection ends before.
    pub async fn open(transport: Transport) -> Result<Self, Closed> {
        let (send, receive) = transport.open_bi().await?;
        Ok(Self { transport, writer: FrameWriter::new(send), reader: FrameReader::new(receive) })
    }

    /// Sends a message on the control stream.
    ///
    /// # Errors
    /// [`Closed`] when the edge reads no more of it.
    pub async fn send(&mut self, message: client_message::Message) -> Result<(), Closed> {
        let message = ClientMessage { message: Some(message) };
        match self.writer.send(&message).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.transport.closed().await),
        }
    }

    /// Sends `payload` as a frame: behind its length.
    ///
    /// # Errors
    /// [`Closed`] when the edge reads no more of the stream.
    pub async fn send_frame(&mut self, payload: &[u8]) -> Result<(), Closed> {
        let mut frame = Vec::with_capacity(payload.len() + 4);
        prost::encode_length_delimiter(payload.len(), &mut frame)
            .unwrap_or_else(|_| unreachable!("a Vec grows as needed"));
        frame.extend_from_slice(payload);
        self.send_bytes(&frame).await
    }

    /// Sends bytes on the control stream as they are.
    ///
    /// # Errors
    /// [`Closed`] when the edge reads no more of the stream.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        match self.writer.stream().write_all(bytes).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.transport.closed().await),
        }
    }

    /// The next frame of the control stream, without its length. Cancelling loses none.
    ///
    /// # Errors
    /// A [`RecvError`].
    pub async fn recv_frame(&mut self) -> Result<Bytes, RecvError> {
        match self.reader.frame(MAX_MESSAGE).await {
            Ok(frame) => Ok(frame),
            Err(error) => Err(reason(&self.transport, error).await),
        }
    }

    /// The next message this version knows; others are skipped.
    ///
    /// # Errors
    /// A [`RecvError`].
    pub async fn recv(&mut self) -> Result<server_message::Message, RecvError> {
        loop {
            let frame = self.recv_frame().await?;
            let message: ServerMessage = atoll_proto::decode(&frame).map_err(RecvError::Malformed)?;
            if let Some(message) = message.message {
                return Ok(message);
            }
        }
    }

    /// Sends a datagram as it is.
    ///
    /// # Errors
    /// A [`DatagramSendError`]; nothing was sent then.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), DatagramSendError> {
        self.transport.send_datagram(datagram)
    }

    /// The next datagram. Cancelling loses none.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn recv_datagram(&self) -> Result<Bytes, Closed> {
        self.transport.recv_datagram().await
    }

    /// Opens a unidirectional stream and sends `bytes` on it, whatever they are: a type byte and what belongs to it, if
    /// they should be understood. The stream is still open; dropping it finishes it.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over or the edge reads no more of the stream.
    pub async fn open_stream(&self, bytes: &[u8]) -> Result<SendStream, Closed> {
        let mut stream = self.transport.open_uni().await?;
        match stream.write_all(bytes).await {
            Ok(()) => Ok(stream),
            Err(StreamError::ConnectionLost) => Err(self.transport.closed().await),
            Err(other) => Err(Closed::Lost(other.to_string())),
        }
    }

    /// The next unidirectional stream of the edge, with its type byte unread. Cancelling loses none.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn accept_stream(&self) -> Result<FrameReader, Closed> {
        Ok(FrameReader::new(self.transport.accept_uni().await?))
    }

    /// Waits for the end of the connection and tells why.
    pub async fn closed(&self) -> Closed {
        self.transport.closed().await
    }
}

/// What the end of the control stream means: that of the connection, if it follows soon.
pub(crate) async fn reason(transport: &Transport, error: ReadError) -> RecvError {
    if matches!(error, ReadError::Frame(_)) {
        return RecvError::Stream(error);
    }
    match tokio::time::timeout(REASON_WAIT, transport.closed()).await {
        Ok(closed) => RecvError::Closed(closed),
        Err(_) => RecvError::Stream(error),
    }
}
