//! One QUIC connection, whichever way it came: WebTransport or raw QUIC.

use crate::native::{End, Lane, Sent};
use atoll_core::room::{Batch, WEBTRANSPORT_PREFIX, WebTransport};
use atoll_proto::close::CloseCode;
use atoll_proto::lanes::{LARGE_STREAM, ORDERED_STREAM};
use bytes::{Buf, Bytes};
use quinn::{ConnectionError, SendDatagramError};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use web_transport_quinn::{RecvStream, SendStream, Session, SessionError, WebTransportError};

pub(crate) use web_transport_quinn::{RecvStream as QuicSource, SendStream as QuicSink};

/// Datagrams of one connection that wait to be sent. A receiver that has some is skipped, so this only has to hold one
/// tick: here of 1,000 members with 120 bytes each. What goes beyond it is dropped and counted.
pub(super) const DATAGRAM_SEND_BUFFER: usize = 128 * 1024;

/// Unsent bytes at which a receiver is skipped. A receiver that is behind must not get late what it can get fresh: with
/// a full queue the data was seconds old, with skipping a quarter of a second (measured over a 50 kB/s path).
const BEHIND: usize = 3_000;

/// Bytes that a logged-in client may have on their way or unread, on all its streams: as many as they can hold together, so
/// that one that has to wait for its pace does not hold the control stream up.
const RECEIVE_WINDOW: u32 = STREAM_WINDOW * (BIDIRECTIONAL_STREAMS + UNIDIRECTIONAL_STREAMS);

/// The same before the login: what HTTP/3 and a login need.
pub(super) const LOGIN_WINDOW: u32 = 2 * STREAM_WINDOW;

/// The same for one stream: at 100 ms away still several times what a client may send.
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;

/// HTTP/3 takes one for itself, `atoll/1` one.
pub(super) const BIDIRECTIONAL_STREAMS: u32 = 2;

/// HTTP/3 takes three for itself, `atoll/1` five: one ordered, four large.
pub(super) const UNIDIRECTIONAL_STREAMS: u32 = 8;

/// Control messages leave first, large ones last.
const CONTROL_PRIORITY: i32 = 2;
const ORDERED_PRIORITY: i32 = 1;

/// How long a closed connection is kept so that the close reaches its client.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What a stream that this protocol has no use for is stopped with.
const UNUSED: u32 = CloseCode::Malformed.code();

/// One connection. The WebTransport library has streams and close codes; datagrams go to QUIC directly, because a
/// shared chunk with its prefix need not be copied for each receiver. Clones share the connection.
#[derive(Clone)]
pub(crate) struct QuicCarrier(Arc<Inner>);

struct Inner {
    connection: quinn::Connection,
    session: Session,
    /// What stands before each datagram on this connection.
    prefix: &'static [u8],
}

impl QuicCarrier {
    pub(super) fn raw(connection: quinn::Connection) -> Self {
        Self(Arc::new(Inner { session: Session::raw(connection.clone()), connection, prefix: &[] }))
    }

    /// The session of the first request of a connection, whose id is therefore 0.
    pub(super) fn webtransport(connection: quinn::Connection, session: Session) -> Self {
        Self(Arc::new(Inner { connection, session, prefix: &WEBTRANSPORT_PREFIX }))
    }

    pub(crate) fn remote(&self) -> IpAddr {
        self.0.connection.remote_address().ip()
    }

    pub(crate) fn has_datagrams(&self) -> bool {
        self.0.connection.max_datagram_size().is_some()
    }

    pub(crate) fn logged_in(&self) {
        self.0.connection.set_receive_window(RECEIVE_WINDOW.into());
    }

    /// The client's first bidirectional stream.
    pub(crate) async fn accept_control(&self) -> Option<(SendStream, RecvStream)> {
        let (send, receive) = self.0.session.accept_bi().await.ok()?;
        // Fails when the stream has ended, which its reader will see.
        let _ = send.set_priority(CONTROL_PRIORITY);
        Some((send, receive))
    }

    /// The next unidirectional stream. Further bidirectional ones are refused meanwhile.
    pub(crate) async fn accept_stream(&self) -> Option<RecvStream> {
        loop {
            tokio::select! {
                biased;
                stream = self.0.session.accept_uni() => return stream.ok(),
                stream = self.0.session.accept_bi() => {
                    let (mut send, mut receive) = stream.ok()?;
                    let _ = (send.reset(UNUSED), receive.stop(UNUSED));
                }
            }
        }
    }

    /// A stream with its type byte.
    pub(crate) async fn open_stream(&self, lane: Lane) -> Option<SendStream> {
        let mut stream = self.0.session.open_uni().await.ok()?;
        let kind = match lane {
            Lane::Ordered => {
                let _ = stream.set_priority(ORDERED_PRIORITY);
                ORDERED_STREAM
            }
            Lane::Large => LARGE_STREAM,
        };
        stream.write_all(&[kind]).await.ok()?;
        Some(stream)
    }

    /// The next datagram without its prefix; the inner `None` is one with a foreign prefix.
    pub(crate) async fn read_datagram(&self) -> Option<Option<Bytes>> {
        let mut datagram = self.0.connection.read_datagram().await.ok()?;
        if !datagram.starts_with(self.0.prefix) {
            return Some(None);
        }
        datagram.advance(self.0.prefix.len());
        Some(Some(datagram))
    }

    pub(crate) fn send_batch(&self, batch: &Batch) -> Sent {
        let connection = &self.0.connection;
        if connection.close_reason().is_some() {
            return Sent::Gone;
        }
        let unsent = DATAGRAM_SEND_BUFFER.saturating_sub(connection.datagram_send_buffer_space());
        if unsent > BEHIND {
            return Sent::Behind;
        }
        let chunks = batch.encoded::<WebTransport>();
        let surplus = WEBTRANSPORT_PREFIX.len() - self.0.prefix.len();
        let mut too_large = 0;
        for (sent, chunk) in chunks.iter().enumerate() {
            // A full queue makes room by dropping the oldest: of this batch, and without a word.
            if connection.datagram_send_buffer_space() < chunk.len() {
                return Sent::Cut { dropped: chunks.len() - sent };
            }
            let mut chunk = chunk.clone();
            chunk.advance(surplus);
            match connection.send_datagram(chunk) {
                Ok(()) => {}
                // The path carries less for now; discovery or the next path may carry it again.
                Err(SendDatagramError::TooLarge) => too_large += 1,
                Err(_) => return Sent::Gone,
            }
        }
        Sent::Flowing { too_large }
    }

    /// How the connection ended. Not to be asked after [`QuicCarrier::close`], which ends it, too.
    pub(crate) fn ended(&self) -> Option<End> {
        match self.0.connection.close_reason()? {
            ConnectionError::ApplicationClosed(_) => Some(End::ByPeer),
            // The WebTransport library closes the connection itself when its CONNECT stream ends: after the client's
            // close capsule, but also because the connection ended a moment before, which this then hides.
            ConnectionError::LocallyClosed if self.has_capsule() || self.was_closed() => Some(End::ByPeer),
            _ => Some(End::Lost),
        }
    }

    /// Whether the client has sent a close capsule.
    fn has_capsule(&self) -> bool {
        matches!(self.0.session.close_reason(), Some(SessionError::WebTransportError(WebTransportError::Closed(..))))
    }

    /// Whether the client has closed the QUIC connection, whatever is said about its end since.
    fn was_closed(&self) -> bool {
        self.0.connection.stats().frame_rx.connection_close > 0
    }

    pub(crate) async fn close(&self, code: CloseCode, reason: &str) {
        if self.0.connection.close_reason().is_some() {
            return;
        }
        self.0.session.close(code.code(), reason.as_bytes());
        // An error here means that the connection is gone, which is what is waited for.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.0.connection.closed()).await;
    }
}
