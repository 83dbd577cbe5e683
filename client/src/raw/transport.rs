//! The seam between the ways in: streams, datagrams and the end of a connection.

use super::stream::{Recv, RecvStream, Send, SendStream};
use super::websocket::WebSocket;
use crate::closed::{Closed, http3_code};
use crate::target::Way;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{MAX_PAYLOAD, UP_HEADER};
use bytes::Bytes;
use std::time::Duration;

/// One connection to an edge, before anything is said on it. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Transport(Inner);

#[derive(Debug, Clone)]
enum Inner {
    WebTransport(wtransport::Connection),
    Quic(quinn::Connection),
    WebSocket(WebSocket),
}

/// Why a datagram was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramSendError {
    /// The path carries at most [`Transport::max_datagram`] bytes now.
    #[error("the datagram is larger than the path carries")]
    TooLarge,
    /// The edge takes no datagrams.
    #[error("the edge takes no datagrams")]
    Unsupported,
    /// The connection is over; [`Transport::closed`] tells why.
    #[error("the connection is over")]
    Closed,
}

impl Transport {
    pub(crate) fn webtransport(session: wtransport::Connection) -> Self {
        Self(Inner::WebTransport(session))
    }

    pub(crate) fn raw_quic(connection: quinn::Connection) -> Self {
        Self(Inner::Quic(connection))
    }

    pub(crate) fn websocket(socket: WebSocket) -> Self {
        Self(Inner::WebSocket(socket))
    }

    /// The way in.
    pub fn way(&self) -> Way {
        match &self.0 {
            Inner::WebTransport(_) => Way::WebTransport,
            Inner::Quic(_) => Way::Quic,
            Inner::WebSocket(_) => Way::WebSocket,
        }
    }

    /// The QUIC connection underneath, if there is one. Datagrams sent on it lack WebTransport's prefix.
    pub fn quic(&self) -> Option<&quinn::Connection> {
        match &self.0 {
            Inner::WebTransport(session) => Some(session.quic_connection()),
            Inner::Quic(connection) => Some(connection),
            Inner::WebSocket(_) => None,
        }
    }

    /// The WebSocket underneath, if this is one.
    pub fn as_websocket(&self) -> Option<&WebSocket> {
        match &self.0 {
            Inner::WebSocket(socket) => Some(socket),
            _ => None,
        }
    }

    /// Opens a bidirectional stream; waits while the edge allows no further one. A WebSocket has one only: the control
    /// stream.
    ///
    /// # Errors
    /// [`Closed`] when the connection ends before.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        match &self.0 {
            Inner::WebTransport(session) => {
                let Ok(opening) = session.open_bi().await else {
                    return Err(self.closed().await);
                };
                let (send, receive) = opening.await.map_err(refused)?;
                Ok((SendStream(Send::WebTransport(send)), RecvStream(Recv::WebTransport(receive))))
            }
            Inner::Quic(connection) => {
                let (send, receive) = connection.open_bi().await?;
                Ok((SendStream(Send::Quic(send)), RecvStream(Recv::Quic(receive))))
            }
            Inner::WebSocket(socket) => {
                let (send, receive) = socket.control()?;
                Ok((SendStream(Send::WebSocket(send)), RecvStream(Recv::WebSocket(receive))))
            }
        }
    }

    /// Opens a unidirectional stream; waits while the edge allows no further one. On a WebSocket the first byte sent, 1
    /// or 2, names the channel that carries the rest.
    ///
    /// # Errors
    /// [`Closed`] when the connection ends before.
    pub async fn open_uni(&self) -> Result<SendStream, Closed> {
        match &self.0 {
            Inner::WebTransport(session) => {
                let Ok(opening) = session.open_uni().await else {
                    return Err(self.closed().await);
                };
                Ok(SendStream(Send::WebTransport(opening.await.map_err(refused)?)))
            }
            Inner::Quic(connection) => Ok(SendStream(Send::Quic(connection.open_uni().await?))),
            Inner::WebSocket(socket) => Ok(SendStream(Send::WebSocket(socket.open()))),
        }
    }

    /// The next unidirectional stream of the edge. Cancelling loses none.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn accept_uni(&self) -> Result<RecvStream, Closed> {
        Ok(RecvStream(match &self.0 {
            Inner::WebTransport(session) => Recv::WebTransport(session.accept_uni().await?),
            Inner::Quic(connection) => Recv::Quic(connection.accept_uni().await?),
            Inner::WebSocket(socket) => Recv::WebSocket(socket.accept().await?),
        }))
    }

    /// The largest datagram the path carries now, in bytes, or `None` when the edge takes none.
    pub fn max_datagram(&self) -> Option<usize> {
        match &self.0 {
            Inner::WebTransport(session) => session.max_datagram_size(),
            Inner::Quic(connection) => connection.max_datagram_size(),
            Inner::WebSocket(_) => Some(UP_HEADER + MAX_PAYLOAD),
        }
    }

    /// Sends a datagram. When the send buffer is full, the oldest unsent ones make room.
    ///
    /// # Errors
    /// A [`DatagramSendError`]; nothing was sent then.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), DatagramSendError> {
        match &self.0 {
            Inner::WebTransport(session) => {
                use wtransport::error::SendDatagramError as Error;
                session.send_datagram(datagram).map_err(|error| match error {
                    Error::TooLarge => DatagramSendError::TooLarge,
                    Error::UnsupportedByPeer => DatagramSendError::Unsupported,
                    Error::NotConnected => DatagramSendError::Closed,
                })
            }
            Inner::Quic(connection) => {
                use quinn::SendDatagramError as Error;
                connection.send_datagram(datagram).map_err(|error| match error {
                    Error::TooLarge => DatagramSendError::TooLarge,
                    Error::UnsupportedByPeer | Error::Disabled => DatagramSendError::Unsupported,
                    Error::ConnectionLost(_) => DatagramSendError::Closed,
                })
            }
            Inner::WebSocket(socket) => socket.send_datagram(datagram),
        }
    }

    /// The next datagram. Cancelling loses none.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn recv_datagram(&self) -> Result<Bytes, Closed> {
        match &self.0 {
            Inner::WebTransport(session) => Ok(session.receive_datagram().await?.payload()),
            Inner::Quic(connection) => Ok(connection.read_datagram().await?),
            Inner::WebSocket(socket) => socket.recv_datagram().await,
        }
    }

    /// Waits for the end of the connection and tells why.
    ///
    /// wtransport gives the code of a close capsule only to those who wait for something of the session, and calls the
    /// QUIC connection closed locally; so this waits for a bidirectional stream from the edge, which the protocol never
    /// opens.
    pub async fn closed(&self) -> Closed {
        match &self.0 {
            Inner::WebTransport(session) => loop {
                if let Err(error) = session.accept_bi().await {
                    return error.into();
                }
            },
            Inner::Quic(connection) => connection.closed().await.into(),
            Inner::WebSocket(socket) => socket.closed().await,
        }
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            Inner::WebSocket(socket) => socket.is_closed(),
            _ => self.quic().is_some_and(|quic| quic.close_reason().is_some()),
        }
    }

    /// Closes the connection at once. A client closes by [`CloseCode::Closed`].
    pub fn close(&self, code: CloseCode, reason: &str) {
        let var = |code| quinn::VarInt::from_u64(code).unwrap_or_default();
        match &self.0 {
            Inner::WebTransport(session) => {
                session.quic_connection().close(var(http3_code(code.code())), reason.as_bytes());
            }
            Inner::Quic(connection) => connection.close(var(code.code().into()), reason.as_bytes()),
            Inner::WebSocket(socket) => socket.close(code, reason),
        }
    }

    /// The smoothed round-trip time of the path; not known of a WebSocket.
    pub fn round_trip(&self) -> Option<Duration> {
        self.quic().map(quinn::Connection::rtt)
    }
}

fn refused(error: wtransport::error::StreamOpeningError) -> Closed {
    Closed::Lost(error.to_string())
}
