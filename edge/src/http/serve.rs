//! Taking TCP connections in and serving them, each for a bounded time of silence.

use super::client_address::client_address;
use super::counters::Counters;
use super::stream::{Place, arrive};
use crate::config::Network;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a connection may be silent at first, in its TLS handshake, and before a request, and take to send its head.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a connection may speak HTTP. Who uses it longer connects again; who does not read its answers is rid of.
const AGE: Duration = Duration::from_secs(300);

/// How long an answer may take to leave after that.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Connections served at the same time; more wait to be accepted. Far below the usual limit of 1,024 open files.
const MAX_CONNECTIONS: usize = 256;

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
}

/// Serves until `ending` says so, then waits for the answers under way.
pub(super) async fn serve(listener: TcpListener, serving: Serving, mut ending: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Never closed, so that there is always a permit to come.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = told(&mut ending) => break,
        };
        match stream {
            Ok((stream, peer)) => {
                let (serving, ending) = (serving.clone(), ending.clone());
                connections.spawn(async move {
                    let _place = place;
                    let _open = Open::new(&serving.counters);
                    converse(stream, peer, &serving, ending).await;
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

/// Serves one connection for as long as it speaks HTTP. One that is upgraded goes on elsewhere.
async fn converse(stream: TcpStream, peer: SocketAddr, serving: &Serving, mut ending: watch::Receiver<bool>) {
    // Answers and, after an upgrade, messages are written whole.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let place = Place::default();
    let arrived = tokio::select! {
        arrived = arrive(stream, &serving.tls, SILENCE, Arc::clone(&place)) => arrived,
        () = told(&mut ending) => return,
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
        () = tokio::time::sleep(AGE) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST_ANSWER, connection).await.ok()
        }
    };
    if let Some(Err(error)) = served {
        tracing::debug!(%peer, "an HTTP connection ended: {error}");
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
