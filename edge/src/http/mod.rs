//! The HTTP door: what an operator, a browser and a load balancer ask over TCP.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the map page |
//! | `/about` | where the doors are (Decentraland's shape, with `comms.atoll`) |
//! | `/status` | what this edge holds and has counted |
//! | `/metrics` | the same for Prometheus |
//! | `/health/live`, `/health/ready` | 200 `alive`; 200 `ready`, or 503 while shutting down |
//! | `/certificate.sha256` | the development certificate's hash, in hex |

mod about;
mod metrics;
mod page;
mod serve;
mod status;

pub use about::About;

use crate::quic::Counters;
use atoll_core::region::Region;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use status::EdgeStatus;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Why the HTTP door did not open.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on tcp {address}: {source}")]
pub struct HttpError {
    address: SocketAddr,
    source: io::Error,
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
    quic: Arc<Counters>,
    started: Instant,
    draining: AtomicBool,
}

impl HttpDoor {
    pub(crate) async fn open(
        address: SocketAddr,
        about: About,
        region: Region,
        quic: Arc<Counters>,
    ) -> Result<Self, HttpError> {
        let failed = |source| HttpError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared =
            Arc::new(Shared { about, region, quic, started: Instant::now(), draining: AtomicBool::new(false) });
        let (end, ending) = watch::channel(false);
        let app = router(Arc::clone(&shared));
        let task = tokio::spawn(serve::serve(listener, app, ending));
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

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/about", get(about::about))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/health/live", get("alive"))
        .route("/health/ready", get(ready))
        .route("/certificate.sha256", get(certificate))
        .layer(map_response(with_headers))
        .with_state(shared)
}

/// Pages of other origins may read everything here: nothing depends on who asks.
async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Shared {
    fn status(&self) -> EdgeStatus {
        EdgeStatus {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            region: self.region.status(),
            quic: self.quic.status(),
        }
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<EdgeStatus> {
    Json(shared.status())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&shared.status())).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining").into_response();
    }
    "ready".into_response()
}

async fn certificate(State(shared): State<Arc<Shared>>) -> String {
    shared.about.certificate_sha256.clone()
}
