//! One edge: a region and its doors.

use crate::host::SystemHost;
use crate::http::{About, HttpDoor, HttpError};
use crate::quic::{EndpointError, QuicDoor};
use atoll_certs::{CertError, DevelopmentCertificate, Origin};
use atoll_core::Host;
use atoll_core::archipelago::service::ServiceSettings;
use atoll_core::auth::ServerName;
use atoll_core::bus::LocalBus;
use atoll_core::region::{Region, Settings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime};

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names this edge in challenges and in `/about`.
    pub server_name: ServerName,
    /// Where the QUIC doors listen (UDP). Port 0 takes a free one.
    pub quic: SocketAddr,
    /// Where HTTP listens (TCP). Port 0 takes a free one.
    pub http: SocketAddr,
    /// Where the certificate is kept between starts.
    pub state_dir: PathBuf,
    /// How peers are grouped.
    pub archipelago: ServiceSettings,
    /// Most sessions at a time.
    pub max_sessions: usize,
    /// Most members of one room.
    pub max_room_members: usize,
}

/// Why an edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate to show.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// The QUIC doors did not open.
    #[error(transparent)]
    Quic(#[from] EndpointError),
    /// The HTTP door did not open.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// A running edge.
pub struct Edge {
    quic: QuicDoor,
    http: HttpDoor,
    certificate_sha256: String,
}

impl Edge {
    /// Opens every door, on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing stays open then.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let names = certificate_names(options.quic);
        let certificate = DevelopmentCertificate::load_or_create(&options.state_dir, &names, SystemTime::now())?;
        if let Origin::Renewed(why) = certificate.origin() {
            tracing::warn!("the development certificate was renewed ({why:?}): its hash has changed");
        }
        let certificate_sha256 = certificate.sha256_hex();

        let host: Arc<dyn Host> = Arc::new(SystemHost::new());
        let region = Region::start(settings(&options), host, Arc::new(LocalBus::default()));
        let quic = QuicDoor::open(options.quic, certificate.chain(), certificate.key(), region.clone())?;
        let about = About {
            server_name: options.server_name,
            quic: quic.address(),
            certificate_sha256: certificate_sha256.clone(),
            heartbeat_interval: region.settings().heartbeat_interval,
        };
        let http = HttpDoor::open(options.http, about, region, quic.counters()).await?;
        Ok(Self { quic, http, certificate_sha256 })
    }

    /// Where QUIC listens.
    pub fn quic_address(&self) -> SocketAddr {
        self.quic.address()
    }

    /// Where HTTP listens.
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// SHA-256 of the DER certificate in lower-case hex.
    pub fn certificate_sha256(&self) -> &str {
        &self.certificate_sha256
    }

    /// Ends in order: not ready, no newcomers, every session told. Takes at most 9 seconds.
    pub async fn close(self) {
        self.http.drain();
        self.quic.close(Duration::from_secs(6)).await;
        self.http.close(Duration::from_secs(3)).await;
    }
}

fn settings(options: &Options) -> Settings {
    let cores = available_parallelism().map_or(1, usize::from);
    Settings {
        server_name: options.server_name.clone(),
        shards: cores,
        max_sessions: options.max_sessions,
        max_room_members: options.max_room_members,
        max_verifications: cores * 2,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: Some(options.archipelago.clone()),
    }
}

/// What a development certificate is for, beyond the loopback names it always has.
fn certificate_names(quic: SocketAddr) -> Vec<String> {
    let ip = quic.ip();
    if ip.is_unspecified() || ip.is_loopback() { Vec::new() } else { vec![ip.to_string()] }
}
