//! Taking connections in, and telling WebTransport from raw QUIC.

use super::carrier::QuicCarrier;
use super::{ALPN, WEBTRANSPORT_PATH};
use crate::native::{Carrier, Datagrams, Door, Ending, LOGIN_TIME, SUBPROTOCOL, Streams, serve};
use atoll_core::limit::Spot;
use atoll_proto::close::CloseCode;
use quinn::crypto::rustls::HandshakeData;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

/// The task that takes connections in. It ends with the sessions of its door.
pub(super) struct Acceptor(JoinHandle<()>);

impl Acceptor {
    /// Waits until all connections have ended.
    pub(super) async fn ended(self) {
        if let Err(error) = self.0.await {
            tracing::error!("the accepting task failed: {error}");
        }
    }
}

/// Starts taking connections in.
pub(super) fn accept(endpoint: quinn::Endpoint, door: Door) -> Acceptor {
    Acceptor(tokio::spawn(run(endpoint, door)))
}

async fn run(endpoint: quinn::Endpoint, door: Door) {
    let mut connections = JoinSet::new();
    let mut ending = std::pin::pin!(door.ending());
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    if let Some((incoming, spot)) = admit(incoming, &door) {
                        connections.spawn(arrive_and_serve(incoming, spot, door.clone()));
                    }
                }
                None => break,
            },
            Some(ended) = connections.join_next() => report(ended),
            () = &mut ending => break,
        }
    }
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// Refuses what there is no place for, before it costs a handshake.
fn admit(incoming: quinn::Incoming, door: &Door) -> Option<(quinn::Incoming, Spot)> {
    let from = incoming.remote_address().ip();
    if !incoming.remote_address_validated() && door.is_crowded(from) {
        // A flood with false addresses then costs a packet each, and keeps nobody else out. An error gives the
        // connection back because it is validated already, which was just asked.
        let _ = incoming.retry();
        return None;
    }
    match door.enter(from) {
        Some(spot) => Some((incoming, spot)),
        None => {
            incoming.refuse();
            None
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a connection's task failed: {error}");
    }
}

/// A connection that has arrived, and what is wrong with what it asked for.
struct Arrival {
    carrier: QuicCarrier,
    refusal: Option<Ending>,
}

async fn arrive_and_serve(incoming: quinn::Incoming, spot: Spot, door: Door) {
    let deadline = Instant::now() + LOGIN_TIME;
    let arrived = tokio::select! {
        arrived = timeout_at(deadline, arrive(incoming, &door)) => arrived,
        // Dropping a half-made connection closes it.
        () = door.ending() => return,
        () = spot.evicted() => return,
    };
    let Ok(arrived) = arrived else {
        door.counters().handshakes_failed.add(1);
        return;
    };
    let Some(Arrival { carrier, refusal }) = arrived else { return };
    let (streams, datagrams) = (Streams::Quic(carrier.clone()), Datagrams::Quic(carrier.clone()));
    let connection = door.connection(Carrier::Quic(carrier), streams, datagrams);
    match refusal {
        Some(ending) => connection.end(ending).await,
        None => serve(door, connection, spot, deadline).await,
    }
}

/// Finishes the handshake and, for HTTP/3, the CONNECT request. Failures are counted and give nothing.
async fn arrive(incoming: quinn::Incoming, door: &Door) -> Option<Arrival> {
    let connection = async { incoming.accept()?.await }.await;
    let Ok(connection) = connection else {
        door.counters().handshakes_failed.add(1);
        return None;
    };
    if alpn_of(&connection).as_deref() == Some(ALPN) {
        return Some(Arrival { carrier: QuicCarrier::raw(connection), refusal: None });
    }
    let arrival = webtransport(connection, door).await;
    if arrival.is_none() {
        door.counters().requests_failed.add(1);
    }
    arrival
}

fn alpn_of(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

/// Answers 200 whatever is asked: a browser hides every other status, so a refusal follows as a close code.
async fn webtransport(connection: quinn::Connection, door: &Door) -> Option<Arrival> {
    use web_transport_quinn::Request;
    use web_transport_quinn::proto::ConnectResponse;

    let request = Request::accept(connection.clone()).await.ok()?;
    let offered = &request.protocols;
    let known = offered.iter().any(|protocol| protocol == SUBPROTOCOL);
    let origin = request.headers.get("origin").map(|origin| origin.to_str().unwrap_or_default());
    let refusal = if request.url.path() != WEBTRANSPORT_PATH {
        Some(Ending::new(CloseCode::NotFound, "no such path"))
    } else if !known && !offered.is_empty() {
        Some(Ending::new(CloseCode::UnsupportedProtocol, "only atoll.1 is spoken here"))
    } else {
        door.refuses_origin(origin)
    };
    let answer = if known { ConnectResponse::OK.with_protocol(SUBPROTOCOL) } else { ConnectResponse::OK };
    let session = request.respond(answer).await.ok()?;
    Some(Arrival { carrier: QuicCarrier::webtransport(connection, session), refusal })
}
