//! The HTTP door: what an operator, a browser and a load balancer ask over TCP.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the map page |
//! | `/about` | where the doors are (Decentraland's shape, with `comms.atoll`) |
//! | `/peers`, `/parcels`, `/islands`, `/hot-scenes`, … | who is where: see `listings` |
//! | `/status` | what this edge holds and has counted |
//! | `/comms/…` | these once more, all but the map page |
//! | `/metrics` | the same for Prometheus |
//! | `/health/live` | 200 `alive`, or 500 when a part of the region has failed and only a restart helps |
//! | `/health/ready` | 200 `ready`, or 503 while shutting down, after a failure, and without the NATS cluster where the other half of the region is |
//! | `/certificate.sha256` | the hash of the certificate shown now, in hex |
//!
//! The port answers with and without TLS: a first byte 0x16 begins a TLS handshake, everything else is plain HTTP.

mod about;
mod addresses;
mod client_address;
mod cors;
mod counters;
mod exposition;
mod hot_scenes;
mod kernel_metrics;
mod lingering;
mod listings;
mod metrics;
mod nats_metrics;
mod page;
mod rates;
mod serve;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod upgrades;

pub use about::About;
pub use addresses::Addresses;
pub(crate) use addresses::diallable;

use crate::certificate::Shown;
use crate::cluster::ClusterView;
use crate::config::Network;
use crate::native::Door;
use crate::outbound::{Catalyst, Scenes};
use atoll_compat::ws_room::SEATS_PER_SESSION;
use atoll_core::COMMIT_HASH;
use atoll_core::region::Region;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use counters::Counters;
use rates::{CHEAP, DEAR, Rates};
use serve::{Crowds, Serving};
use status::EdgeStatus;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use upgrades::Upgrades;

/// Upgraded connections beyond the sessions and those that have not logged in yet: the ones about to end.
const SPARE_UPGRADES: usize = 1024;

/// Why the HTTP door did not open.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The TCP port could not be had.
    #[error("cannot listen on tcp {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be set up for HTTP")]
    Tls(#[from] rustls::Error),
}

/// The TCP socket of the door, listening and not accepted from yet.
pub(crate) struct HttpSocket {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the door is made of.
pub(crate) struct HttpOptions {
    pub(crate) about: About,
    pub(crate) region: Region,
    /// The bus.
    pub(crate) cluster: ClusterView,
    pub(crate) native: Door,
    /// What the kernels' doors count.
    pub(crate) kernels: Arc<atoll_compat::Counters>,
    pub(crate) certificate: Shown,
    pub(crate) trusted_proxies: Vec<Network>,
    /// Doors that live on this port, too: they find a [`ClientAddress`] in each request, and may upgrade it.
    pub(crate) doors: Router,
    /// Further routes that find a [`ClientAddress`] in each request, and are dear to answer.
    pub(crate) dear: Router,
    /// HTTP requests a second of one address.
    pub(crate) rate: u32,
    /// HTTP requests of one address at once.
    pub(crate) burst: u32,
    /// The realm's servers of content and lambdas.
    pub(crate) catalyst: Catalyst,
    /// What stands where.
    pub(crate) scenes: Scenes,
    /// Whether the lists name peers.
    pub(crate) public_peers: bool,
}

/// The HTTP door, open.
pub struct HttpDoor {
    address: SocketAddr,
    shared: Arc<Shared>,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What the answers are made of.
struct Shared {
    about: About,
    region: Region,
    cluster: ClusterView,
    native: Door,
    kernels: Arc<atoll_compat::Counters>,
    http: Arc<Counters>,
    crowds: Crowds,
    certificate: Shown,
    started: Instant,
    draining: AtomicBool,
    public_peers: bool,
    catalyst: Catalyst,
    scenes: Scenes,
}

impl HttpSocket {
    /// Takes the port at `address`.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        let failed = |source| HttpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it is bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl HttpDoor {
    pub(crate) fn open(socket: HttpSocket, options: HttpOptions) -> Result<Self, HttpError> {
        let HttpOptions { about, region, cluster, native, kernels, certificate, trusted_proxies, doors, dear, .. } =
            options;
        let HttpSocket { listener, address } = socket;
        let counters = Arc::new(Counters::default());
        // A kernel has a socket for its session and another for its room, or two.
        let sockets = region.settings().max_sessions * (1 + SEATS_PER_SESSION);
        let inside = sockets + native.settings().pre_auth;
        let upgrades = Upgrades::new(inside + SPARE_UPGRADES, Arc::clone(&counters));
        let crowds = Crowds::default();
        let tls = TlsAcceptor::from(Arc::new(tls_config(&certificate)?));
        let shared = Arc::new(Shared {
            about,
            region,
            cluster,
            native,
            kernels,
            http: Arc::clone(&counters),
            crowds: crowds.clone(),
            certificate,
            started: Instant::now(),
            draining: AtomicBool::new(false),
            public_peers: options.public_peers,
            catalyst: options.catalyst,
            scenes: options.scenes,
        });
        let rates = Rates::new(options.rate, options.burst, Arc::clone(&counters));
        let dear = dear.layer(from_fn_with_state(rates.toll(DEAR), rates::limited));
        let app = router(Arc::clone(&shared), &rates).merge(dear).merge(doors);
        let app = app.layer(from_fn_with_state(upgrades, upgrades::bound)).layer(from_fn(cors::open_to_pages));
        let (end, ending) = watch::channel(false);
        let serving = Serving { app, tls, trusted_proxies: trusted_proxies.into(), counters, crowds };
        let task = tokio::spawn(serve::serve(listener, serving, ending));
        Ok(Self { address, shared, end, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers "not ready" from now on.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Stops listening and waits for answers under way, at most `patience`.
    pub async fn close(self, patience: Duration) {
        self.end.send_replace(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(patience, self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// The certificate of the QUIC doors, for HTTP/1.1 only.
fn tls_config(certificate: &Shown) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate.resolver());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn router(shared: Arc<Shared>, rates: &Rates) -> Router {
    let limited = |routes: Router<Arc<Shared>>, toll| routes.layer(from_fn_with_state(toll, rates::limited));
    let is_edge = shared.cluster.roles().edge;
    let of_edges = |routes: Router<Arc<Shared>>| if is_edge { routes } else { Router::new() };
    let pages = of_edges(Router::new().route("/about", get(about::about))).route("/status", get(status));
    let lists = limited(listings::routes(), rates.toll_for_lists(&shared.region));
    let as_originals = lists.merge(limited(pages, rates.toll(CHEAP)));
    let own = of_edges(page::routes()).route("/metrics", get(metrics)).route("/certificate.sha256", get(certificate));
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .merge(limited(own, rates.toll(CHEAP)))
        .merge(as_originals.clone())
        .nest("/comms", as_originals)
        .with_state(shared)
}

impl Shared {
    /// What of the region has failed for good.
    fn failure(&self) -> Option<Arc<str>> {
        self.region.failed()
    }

    fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed) && self.failure().is_none()
    }

    fn status(&self) -> EdgeStatus {
        EdgeStatus {
            version: env!("CARGO_PKG_VERSION"),
            commit_hash: COMMIT_HASH.unwrap_or_default(),
            current_time: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64,
            user_count: self.region.sessions() as u64,
            uptime_seconds: self.started.elapsed().as_secs(),
            region: self.region.status(),
            native: self.native.status(),
            kernels: self.kernels.status(),
            nats: self.cluster.nats(),
            http: self.http.status(self.crowds.evictions()),
            certificate: self.certificate.status(),
        }
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<EdgeStatus> {
    Json(shared.status())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&shared.status())).into_response()
}

/// Fails when only a restart helps.
async fn live(State(shared): State<Arc<Shared>>) -> Response {
    match shared.failure() {
        Some(what) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed: {what}")).into_response(),
        None => "alive".into_response(),
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining").into_response();
    }
    if shared.failure().is_some() {
        return (StatusCode::SERVICE_UNAVAILABLE, "failed").into_response();
    }
    match (shared.cluster.is_lost(), shared.cluster.roles().are_all()) {
        (false, _) => "ready".into_response(),
        // Whoever comes is served.
        (true, true) => "ready, but NATS is lost".into_response(),
        // The other half is out of reach.
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "NATS is lost").into_response(),
    }
}

async fn certificate(State(shared): State<Arc<Shared>>) -> String {
    shared.certificate.certificate().sha256_hex()
}
