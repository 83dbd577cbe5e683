//! Taking TCP connections in and serving them, each for a bounded time.
//!
//! Every connection is accepted: who waits in the system's queue can neither be told apart nor be let in before others.

use super::client_address::client_address;
use super::counters::Counters;
use super::lingering::Place;
use super::stream::arrive;
use crate::config::Network;
use atoll_core::limit::{AmongEquals, Crowd, Spot};
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a connection may be silent at first, in its TLS handshake, and before a request, and take to send its head.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a connection may speak HTTP. Who uses it longer connects again; who does not read its answers is rid of.
const AGE: Duration = Duration::from_secs(30);

/// How long an answer may take to leave after that, or after the connection had to make room.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Connections that speak HTTP at the same time. For one more, another of the most crowded place has to go.
const MAX_CONNECTIONS: usize = 256;

/// Those of them from one place, unless it is a trusted proxy. Browsers open six.
const MAX_CONNECTIONS_OF_PLACE: usize = 64;

/// Connections with a last answer on its way, beside those. For one more, another of the most crowded place is closed.
const MAX_LEAVING: usize = 128;

/// Sockets in all, with those that have not heard yet that they have to go; reached only where tasks are late. Then
/// accepting waits, which keeps the port below the usual limit of 1,024 open files.
const MAX_SOCKETS: usize = 512;

/// Bytes that the system keeps unsent for one connection. With more, what a WebSocket sends would wait behind what is old
/// news by then.
const UNSENT: u32 = 16 * 1024;

/// What every connection is served with.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) app: Router,
    pub(super) tls: TlsAcceptor,
    pub(super) trusted_proxies: Arc<[Network]>,
    pub(super) counters: Arc<Counters>,
    pub(super) crowds: Crowds,
}

/// Whose connections are served.
#[derive(Clone)]
pub(super) struct Crowds {
    /// Those that speak HTTP.
    speaking: Arc<Crowd>,
    /// Those that have only the rest of an answer to send.
    leaving: Arc<Crowd>,
}

impl Default for Crowds {
    fn default() -> Self {
        let crowd = |most, of_place| Arc::new(Crowd::new(most, of_place, AmongEquals::OldestLeaves));
        Self { speaking: crowd(MAX_CONNECTIONS, Some(MAX_CONNECTIONS_OF_PLACE)), leaving: crowd(MAX_LEAVING, None) }
    }
}

impl Crowds {
    /// Connections that had to go for others so far.
    pub(super) fn evictions(&self) -> u64 {
        self.speaking.evictions()
    }
}

/// Serves until `ending` says so, then waits for the answers under way.
pub(super) async fn serve(listener: TcpListener, serving: Serving, mut ending: watch::Receiver<bool>) {
    let sockets = Arc::new(Semaphore::new(MAX_SOCKETS));
    let mut connections = JoinSet::new();
    loop {
        // Never closed, so that there is always a permit to come.
        let Ok(permit) = Arc::clone(&sockets).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = told(&mut ending) => break,
        };
        match stream {
            Ok((stream, peer)) => {
                let Some(spot) = serving.enter(peer.ip()) else {
                    serving.counters.refused.add(1);
                    continue;
                };
                let (serving, ending) = (serving.clone(), ending.clone());
                connections.spawn(async move {
                    let _permit = permit;
                    let _open = Open::new(&serving.counters);
                    converse(stream, peer, spot, &serving, ending).await;
                });
            }
            // Out of files, or a client that has gone: others will come.
            Err(error) => {
                tracing::warn!("cannot accept a TCP connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Who comes now is better told at once that nobody listens.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

impl Serving {
    /// Lets a connection in, unless its place has as many as it may.
    fn enter(&self, peer: IpAddr) -> Option<Spot> {
        // All its clients come from there, and it knows which of them to refuse.
        let is_proxy = self.trusted_proxies.iter().any(|network| network.contains(peer));
        if is_proxy { self.crowds.speaking.enter_for_many() } else { self.crowds.speaking.enter(peer) }
    }
}

/// Serves one connection for as long as it speaks HTTP. One that is upgraded goes on elsewhere.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    spot: Spot,
    serving: &Serving,
    mut ending: watch::Receiver<bool>,
) {
    // Answers and, after an upgrade, messages are written whole.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let place = Place::default();
    let arrived = tokio::select! {
        arrived = arrive(stream, &serving.tls, SILENCE, Arc::clone(&place)) => arrived,
        () = told(&mut ending) => return,
        () = spot.evicted() => return,
    };
    let stream = match arrived {
        Ok(stream) => stream,
        Err(error) => {
            serving.counters.arrivals_failed.add(1);
            tracing::debug!(%peer, "a TCP connection did not come to speak HTTP: {error}");
            return;
        }
    };
    let app = TowerToHyperService::new(serving.app.clone());
    let service = service_fn(|mut request: Request<Incoming>| {
        let client = client_address(peer.ip(), request.headers(), &serving.trusted_proxies);
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(Arc::clone(&place));
        app.call(request)
    });
    let mut builder = http1::Builder::new();
    let connection = builder.timer(TokioTimer::new()).header_read_timeout(SILENCE);
    let connection = connection.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = told(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            Some(connection.await)
        }
        () = old_or_evicted(&spot) => {
            drop(spot);
            connection.as_mut().graceful_shutdown();
            let leaving = serving.crowds.leaving.enter(peer.ip());
            tokio::select! {
                served = connection => Some(served),
                () = tokio::time::sleep(LAST_ANSWER) => None,
                () = gone(leaving) => None,
            }
        }
    };
    if let Some(Err(error)) = served {
        tracing::debug!(%peer, "an HTTP connection ended: {error}");
    }
}

/// Waits until a connection has spoken long enough, or others need its spot.
async fn old_or_evicted(spot: &Spot) {
    tokio::select! {
        () = tokio::time::sleep(AGE) => {}
        () = spot.evicted() => {}
    }
}

/// Waits until somebody has no spot any more.
async fn gone(spot: Option<Spot>) {
    if let Some(spot) = spot {
        spot.evicted().await;
    }
}

/// Counts a connection for as long as it is there.
struct Open<'a>(&'a Counters);

impl<'a> Open<'a> {
    fn new(counters: &'a Counters) -> Self {
        counters.connections.add(1);
        Self(counters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.subtract(1);
    }
}

/// Waits until `ending` says so, or nobody is left to say it.
async fn told(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|ending| *ending).await;
}
