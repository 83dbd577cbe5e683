//! One connection, from its arrival to its end.

use super::carrier::Carrier;
use super::control::{ControlReader, ControlWriter};
use super::counters::Counters;
use super::ending::Ending;
use super::gate::Alive;
use super::streams::{Datagrams, End, Streams};
use atoll_proto::close::CloseCode;
use std::sync::Arc;

/// A connection and who waits for its end.
pub(crate) struct Connection {
    pub(super) carrier: Carrier,
    pub(super) streams: Streams,
    pub(super) datagrams: Datagrams,
    counters: Arc<Counters>,
    _alive: Alive,
}

/// A connection whose control stream is open.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) reader: ControlReader,
    pub(super) writer: ControlWriter,
}

impl Connection {
    /// Counts the connection, until it is dropped.
    pub(super) fn new(
        counters: &Arc<Counters>,
        alive: Alive,
        carrier: Carrier,
        streams: Streams,
        datagrams: Datagrams,
    ) -> Self {
        counters.connections.add(1);
        Self { carrier, streams, datagrams, counters: Arc::clone(counters), _alive: alive }
    }

    /// Waits for the control stream.
    pub(super) async fn open(&mut self) -> Result<(ControlReader, ControlWriter), Ending> {
        if !self.carrier.has_datagrams() {
            return Err(Ending::new(CloseCode::UnsupportedProtocol, "this protocol needs QUIC datagrams"));
        }
        let gone = || Ending::new(CloseCode::Closed, "the connection ended before a control stream was opened");
        let (outgoing, incoming) = self.streams.control().await.ok_or_else(gone)?;
        Ok((ControlReader::new(incoming), ControlWriter::start(outgoing)))
    }

    /// Counts why it ended, and tells the client unless that ended it.
    pub(crate) async fn end(self, ending: Ending) {
        let counters = &self.counters;
        // Whatever of the session failed first.
        let ending = self.carrier.violation().unwrap_or(ending);
        match self.carrier.ended() {
            // The client's own close is the cause, whatever of the session failed first.
            Some(End::ByPeer) => counters.closed(CloseCode::Closed),
            Some(End::Lost) => counters.lost.add(1),
            None => counters.closed(ending.code),
        }
        let remote = self.carrier.remote();
        tracing::debug!(%remote, code = ending.code.code(), reason = %ending.reason, "connection ended");
        self.carrier.close(ending.code, &ending.reason).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.connections.subtract(1);
    }
}
