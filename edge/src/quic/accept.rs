//! Taking connections in, and telling WebTransport from raw QUIC.

use super::counters::Counters;
use super::door::Door;
use super::ending::Ending;
use super::session;
use super::transport::{Arrival, Transport};
use super::{ALPN, SUBPROTOCOL, WEBTRANSPORT_PATH};
use atoll_proto::close::CloseCode;
use quinn::ConnectionError;
use quinn::crypto::rustls::HandshakeData;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// From the first packet to the welcome.
const LOGIN_TIME: Duration = Duration::from_secs(10);

/// Connections that may be between their first packet and their end, logged in or not, beyond the region's sessions.
const SPARE_CONNECTIONS: usize = 1024;

/// Connections beyond the logged-in ones from which on newcomers must show that their address is theirs (Retry): a flood
/// with false addresses then costs a packet each, not a handshake.
const RETRY_ABOVE: usize = 256;

/// The task that takes connections in.
pub(super) struct Acceptor {
    task: JoinHandle<()>,
    end: watch::Sender<bool>,
}

impl Acceptor {
    /// Tells every session that the edge ends, and waits until all have ended.
    pub(super) async fn end(self) {
        self.end.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!("the accepting task failed: {error}");
        }
    }
}

/// Starts taking connections in.
pub(super) fn accept(endpoint: quinn::Endpoint, door: Door) -> Acceptor {
    let (end, ending) = watch::channel(false);
    let task = tokio::spawn(run(endpoint, door, ending));
    Acceptor { task, end }
}

async fn run(endpoint: quinn::Endpoint, door: Door, mut ending: watch::Receiver<bool>) {
    let limit = door.region.settings().max_sessions + SPARE_CONNECTIONS;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) if connections.len() >= limit => incoming.refuse(),
                Some(incoming) if must_validate(&incoming, connections.len(), &door) => {
                    // An error gives the connection back because it is validated already, which was just asked.
                    let _ = incoming.retry();
                }
                Some(incoming) => {
                    connections.spawn(serve(incoming, door.clone(), ending.clone()));
                }
                None => break,
            },
            Some(ended) = connections.join_next() => report(ended),
            _ = ending.changed() => break,
        }
    }
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

fn must_validate(incoming: &quinn::Incoming, open: usize, door: &Door) -> bool {
    !incoming.remote_address_validated() && open > door.region.sessions() + RETRY_ABOVE
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a connection's task failed: {error}");
    }
}

async fn serve(incoming: quinn::Incoming, door: Door, mut ending: watch::Receiver<bool>) {
    let _open = Open::new(&door.counters);
    let deadline = Instant::now() + LOGIN_TIME;
    let arrived = tokio::select! {
        arrived = tokio::time::timeout_at(deadline, arrive(incoming, &door.counters)) => arrived,
        // Dropping a half-made connection closes it.
        _ = ending.wait_for(|ending| *ending) => return,
    };
    let Ok(arrived) = arrived else {
        door.counters.handshakes_failed.add(1);
        return;
    };
    let Some(arrival) = arrived else { return };
    let Arrival { transport, refusal } = arrival;
    let ended = match refusal {
        Some(code) => Ending::new(code, "refused"),
        None => session::run(&transport, &door, deadline, ending).await,
    };
    match transport.quic().close_reason() {
        // The client's own close is the cause, whatever of the session failed first. A close capsule makes the
        // WebTransport library close the connection in the client's name.
        Some(ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed) => {
            door.counters.closed(CloseCode::Closed);
        }
        Some(_) => door.counters.lost.add(1),
        None => door.counters.closed(ended.code),
    }
    tracing::debug!(remote = %transport.remote(), code = ended.code.code(), reason = %ended.reason, "session ended");
    transport.close(ended.code, &ended.reason).await;
}

/// Counts a connection for as long as it is there.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.connections.add(1);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.subtract(1);
    }
}

/// Finishes the handshake and, for HTTP/3, the CONNECT request. Failures are counted and give nothing.
async fn arrive(incoming: quinn::Incoming, counters: &Counters) -> Option<Arrival> {
    let connection = async { incoming.accept()?.await }.await;
    let Ok(connection) = connection else {
        counters.handshakes_failed.add(1);
        return None;
    };
    if alpn_of(&connection).as_deref() == Some(ALPN) {
        return Some(Arrival { transport: Transport::raw(connection), refusal: None });
    }
    let arrival = webtransport(connection).await;
    if arrival.is_none() {
        counters.requests_failed.add(1);
    }
    arrival
}

fn alpn_of(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

/// Answers 200 whatever is asked: a browser hides every other status, so a refusal follows as a close code.
async fn webtransport(connection: quinn::Connection) -> Option<Arrival> {
    use web_transport_quinn::Request;
    use web_transport_quinn::proto::ConnectResponse;

    let request = Request::accept(connection.clone()).await.ok()?;
    let offered = &request.protocols;
    let known = offered.iter().any(|protocol| protocol == SUBPROTOCOL);
    let refusal = if request.url.path() != WEBTRANSPORT_PATH {
        Some(CloseCode::NotFound)
    } else if !known && !offered.is_empty() {
        Some(CloseCode::UnsupportedProtocol)
    } else {
        None
    };
    let answer = if known { ConnectResponse::OK.with_protocol(SUBPROTOCOL) } else { ConnectResponse::OK };
    let session = request.respond(answer).await.ok()?;
    Some(Arrival { transport: Transport::webtransport(connection, session), refusal })
}
