//! One connection, from its arrival to its end, and how it becomes a session's.

use super::carrier::{Carrier, Datagrams, End, Streams};
use super::control::{ControlReader, ControlWriter};
use super::door::{Alive, Door};
use super::ending::Ending;
use super::login::{LoggedIn, Login};
use super::session;
use super::waiting::WaitingPlace;
use atoll_proto::close::CloseCode;
use tokio::time::Instant;

/// A connection and who waits for its end.
pub(crate) struct Connection {
    pub(super) carrier: Carrier,
    pub(super) streams: Streams,
    pub(super) datagrams: Datagrams,
    door: Door,
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
    pub(crate) fn new(door: &Door, carrier: Carrier, streams: Streams, datagrams: Datagrams) -> Self {
        door.counters().connections.add(1);
        Self { carrier, streams, datagrams, door: door.clone(), _alive: door.alive() }
    }

    /// Waits for the control stream.
    async fn open(&mut self) -> Result<(ControlReader, ControlWriter), Ending> {
        if !self.carrier.has_datagrams() {
            return Err(Ending::new(CloseCode::UnsupportedProtocol, "this protocol needs QUIC datagrams"));
        }
        let gone = || Ending::new(CloseCode::Closed, "the connection ended before a control stream was opened");
        let (outgoing, incoming) = self.streams.control().await.ok_or_else(gone)?;
        Ok((ControlReader::new(incoming), ControlWriter::start(outgoing)))
    }

    /// Counts why it ended, and tells the client unless that ended it.
    pub(crate) async fn end(self, ending: Ending) {
        let counters = self.door.counters();
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
        self.door.counters().connections.subtract(1);
    }
}

/// Serves a connection until it ends, or is part of a session that another task serves. Its login ends at `deadline`.
pub(crate) async fn serve(mut connection: Connection, place: WaitingPlace, deadline: Instant) {
    let door = connection.door.clone();
    let opened = tokio::select! {
        biased;
        () = door.ending() => Err(Ending::shutting_down()),
        opened = in_time(deadline, connection.open()) => opened,
    };
    let (reader, writer) = match opened {
        Ok(opened) => opened,
        Err(ending) => return connection.end(ending).await,
    };
    let mut opened = Opened { connection, reader, writer };
    let mut login = Login::new(door.clone());
    loop {
        let logged_in = tokio::select! {
            biased;
            () = door.ending() => Err(Ending::shutting_down()),
            logged_in = in_time(deadline, login.next(&mut opened)) => logged_in,
        };
        match logged_in {
            Ok(LoggedIn::Anew(session)) => {
                drop(place);
                return session::run(session, opened, door).await;
            }
            Ok(LoggedIn::Again(resumption)) => match resumption.hand_over(opened).await {
                Ok(()) => return,
                Err(back) => opened = back,
            },
            Err(ending) => return opened.connection.end(ending).await,
        }
    }
}

async fn in_time<T>(deadline: Instant, step: impl Future<Output = Result<T, Ending>>) -> Result<T, Ending> {
    let in_time = tokio::time::timeout_at(deadline, step).await;
    in_time.unwrap_or_else(|_| Err(Ending::new(CloseCode::LoginTimeout, "no login within 10 seconds")))
}
