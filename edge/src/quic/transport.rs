//! One connection, whichever way it came: WebTransport or raw QUIC.

use atoll_core::room::WEBTRANSPORT_PREFIX;
use atoll_proto::close::CloseCode;
use bytes::{Buf, Bytes};
use std::net::SocketAddr;
use std::time::Duration;
use web_transport_quinn::{RecvStream, SendStream, Session};

/// How long a closed connection is kept so that the close reaches its client.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// A connection that has arrived, and what is wrong with what it asked for.
pub(super) struct Arrival {
    pub(super) transport: Transport,
    pub(super) refusal: Option<CloseCode>,
}

/// One connection. The WebTransport library has streams and close codes; datagrams go to QUIC directly, because a
/// shared chunk with its prefix need not be copied for each receiver.
#[derive(Clone)]
pub(super) struct Transport {
    connection: quinn::Connection,
    session: Session,
    /// What stands before each datagram on this connection.
    prefix: &'static [u8],
}

impl Transport {
    pub(super) fn raw(connection: quinn::Connection) -> Self {
        Self { session: Session::raw(connection.clone()), connection, prefix: &[] }
    }

    /// The session of the first request of a connection, whose id is therefore 0.
    pub(super) fn webtransport(connection: quinn::Connection, session: Session) -> Self {
        Self { connection, session, prefix: &WEBTRANSPORT_PREFIX }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(super) fn quic(&self) -> &quinn::Connection {
        &self.connection
    }

    /// Bytes of a WebTransport chunk that this connection does without.
    pub(super) fn surplus_prefix(&self) -> usize {
        WEBTRANSPORT_PREFIX.len() - self.prefix.len()
    }

    /// The client's first bidirectional stream.
    pub(super) async fn accept_control(&self) -> Option<(SendStream, RecvStream)> {
        self.session.accept_bi().await.ok()
    }

    /// The next datagram without its prefix; the inner `None` is one with a foreign prefix.
    pub(super) async fn read_datagram(&self) -> Option<Option<Bytes>> {
        let mut datagram = self.connection.read_datagram().await.ok()?;
        if !datagram.starts_with(self.prefix) {
            return Some(None);
        }
        datagram.advance(self.prefix.len());
        Some(Some(datagram))
    }

    /// Tells the client why, and returns when it knows or is unlikely to hear.
    pub(super) async fn close(&self, code: CloseCode, reason: &str) {
        if self.connection.close_reason().is_some() {
            return;
        }
        self.session.close(code.code(), reason.as_bytes());
        // An error here means that the connection is gone, which is what is waited for.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.connection.closed()).await;
    }
}
