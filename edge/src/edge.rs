//! One edge: a region and its doors.

use crate::certificate::{Shown, look_after};
use crate::cluster::{Cluster, ClusterError, Membership};
use crate::config::{AllowedOrigins, EthereumNetwork, HttpUrl, Kernels, Livekit, Network, Public, Roles, Rooms};
use crate::host::SystemHost;
use crate::http::{About, Addresses, HttpDoor, HttpError, HttpOptions, HttpSocket};
use crate::livekit::{self, LivekitError, LivekitPorts};
use crate::native::{self, Door};
use crate::outbound::{Catalyst, CatalystUrls, Ethereum, Scenes, ServiceUrl};
use crate::quic::{EndpointError, Identity, QuicDoor, QuicSocket, UdpBuffers};
use crate::ws;
use atoll_certs::{CertError, Certificate, KeepError, Keeper, Origin, PemFiles, Source, stored_secret};
use atoll_compat::livekit::Routes;
use atoll_compat::signed_login::{LivekitAt, RoomsAt};
use atoll_compat::{Doorway, FixedAdapter, FixedRoom, archipelago_ws, bff, signed_login, ws_room};
use atoll_core::archipelago::service::ServiceSettings;
use atoll_core::auth::{ContractWallets, RoomKeys, ServerName};
use atoll_core::region::{
    ByCapabilities, ConnectionStrings, LivekitRooms, Region, Settings, TransportStrings, WsRooms,
};
use atoll_core::{COMMIT_HASH, Host};
use axum::Router;
use axum::http::HeaderMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long the ends of sessions may take after the time that was announced to them, and then the ends of the doors.
const CLOSE: Duration = Duration::from_secs(3);

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names this edge in challenges and in `/about`.
    pub server_name: ServerName,
    /// What this process does, and with whom.
    pub membership: Membership,
    /// Where the QUIC doors listen (UDP). Port 0 takes a free one.
    pub quic: SocketAddr,
    /// Whether the system may cut several UDP packets out of one buffer.
    pub quic_gso: bool,
    /// Where HTTP listens (TCP). Port 0 takes a free one.
    pub http: SocketAddr,
    /// Where the development certificate and the keys of QUIC are kept between starts.
    pub state_dir: PathBuf,
    /// The operator's certificate; a development certificate when `None`.
    pub certificate: Option<PemFiles>,
    /// Where clients reach the doors.
    pub public: Public,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Which web pages may open sessions.
    pub allowed_origins: AllowedOrigins,
    /// How long the seat of a lost connection is kept; zero for not at all.
    pub resume_window: Duration,
    /// Time between two batches of a room, zero for none; by its members when `None`.
    pub room_tick: Option<Duration>,
    /// How peers are grouped, where this process does it.
    pub archipelago: ServiceSettings,
    /// Most sessions at a time.
    pub max_sessions: usize,
    /// Most members of one room.
    pub max_room_members: usize,
    /// Most connections that have not logged in yet.
    pub pre_auth: usize,
    /// Most connections of one address that have not logged in yet.
    pub pre_auth_per_ip: usize,
    /// HTTP requests a second of one address.
    pub http_rate: u32,
    /// HTTP requests of one address at once.
    pub http_burst: u32,
    /// The Ethereum node that is asked about contract wallets.
    pub ethereum: Option<ServiceUrl>,
    /// The Ethereum network that `/about` names.
    pub ethereum_network: Option<EthereumNetwork>,
    /// The realm's servers of content and lambdas.
    pub catalyst: CatalystUrls,
    /// The one room of all kernels; they go by islands when `None`.
    pub fixed_adapter: Option<FixedAdapter>,
    /// Rooms and the way there.
    pub rooms: Rooms,
    /// LiveKit's clients, here or elsewhere.
    pub livekit: Livekit,
    /// Whether the public lists name peers.
    pub public_peers: bool,
    /// What existing kernels are taken to have.
    pub kernels: Kernels,
    /// How long clients have between being told that the edge ends and the end.
    pub shutdown_grace: Duration,
}

/// Why an edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate to show.
    #[error(transparent)]
    Certificate(#[from] KeepError),
    /// The keys of QUIC could not be had.
    #[error(transparent)]
    Keys(#[from] CertError),
    /// The QUIC doors did not open.
    #[error(transparent)]
    Quic(#[from] EndpointError),
    /// The HTTP door did not open.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Archipelago writes tokens for sessions of other programs, and nobody could check those of a secret of its own.
    #[error(
        "archipelago without an edge writes tokens for WebSocket rooms that are elsewhere: ws_room.secret has to be that of \
         the rooms"
    )]
    NoRoomSecret,
    /// LiveKit's clients cannot be served.
    #[error(transparent)]
    Livekit(#[from] LivekitError),
    /// The bus could not be had, or another process is in the way there.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A running edge; in a process without this role, archipelago alone, which has HTTP and no other door.
pub struct Edge {
    door: Door,
    end_kernels: watch::Sender<bool>,
    quic: Option<QuicDoor>,
    http: HttpDoor,
    livekit_address: Option<SocketAddr>,
    certificate: Shown,
    buffers: Option<UdpBuffers>,
    cluster: Cluster,
    warnings: Vec<String>,
    grace: Duration,
    _keeping: Keeping,
}

impl Edge {
    /// Opens every door, on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing stays open then.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if !options.membership.roles.edge && options.rooms.secret.is_none() {
            return Err(StartError::NoRoomSecret);
        }
        // First of all the ports: a start that fails for them must not have renewed a certificate that another edge shows.
        let roles = options.membership.roles;
        let quic_socket = roles.edge.then(|| QuicSocket::bind(options.quic)).transpose()?;
        let http_socket = HttpSocket::bind(options.http).await?;
        let door = options.livekit.door(&options.public).filter(|_| roles.edge);
        let livekit_ports = LivekitPorts::bind(door)?;
        let livekit_address = livekit_ports.as_ref().map(LivekitPorts::address);
        let quic_address = quic_socket.as_ref().map(QuicSocket::address);
        let addresses = Addresses { http: http_socket.address(), quic: quic_address, public: options.public.clone() };
        let mut warnings = addresses.warnings();
        let host: Arc<dyn Host> = Arc::new(SystemHost::new());
        let mut cluster = Cluster::join(options.membership.clone(), options.server_name.to_string(), &host).await?;
        let state = cluster.view();
        if state.is_lost() {
            warnings.push("no NATS server answers yet; it is tried on".to_owned());
        }
        if !roles.edge && options.rooms.url.is_none() {
            warnings.push("ws_room.url is not set: sessions of other programs are told of no rooms".to_owned());
        }
        let source = match &options.certificate {
            Some(files) => Source::Files(files.clone()),
            None => Source::Development { state_dir: options.state_dir.clone(), names: addresses.names() },
        };
        let (keeper, origin) = Keeper::open(source, SystemTime::now())?;
        let certificate = Shown::new(keeper.current());
        warnings.extend(certificate_warnings(&options, origin, &certificate.certificate()));
        let buffers = quic_socket.as_ref().map(QuicSocket::buffers);
        warnings.extend(buffers.as_ref().and_then(UdpBuffers::warning));
        let keys = stored_secret(&options.state_dir, "quic.keys")?;

        let room_keys = options.rooms.keys(|| stored_secret(&options.state_dir, "ws_room.secret"))?;
        let livekit_keys = options.livekit.keys(|| stored_secret(&options.state_dir, "livekit.keys"))?;
        let origin = addresses.websocket_origin(&HeaderMap::new());
        let livekit = livekit::rooms(&options.livekit, roles.edge, origin, livekit_keys.clone());
        let strings = connection_strings(&options, &addresses, &room_keys, livekit.as_ref(), &host);
        let region = Region::start(settings(&options, strings, room_keys), host, cluster.bus());
        cluster.serve(region.clone());
        let identity = Identity { certificate: certificate.resolver(), keys, gso: options.quic_gso };
        let door = Door::new(region.clone(), native_settings(&options));
        let quic = quic_socket.map(|socket| QuicDoor::open(socket, identity, door.clone())).transpose()?;
        let reached = addresses.clone();
        let livekit = livekit.map(|rooms| LivekitAt { url: rooms.is_outside.then_some(rooms.url), keys: rooms.keys });
        let rooms = RoomsAt {
            origin: Arc::new(move |headers: &HeaderMap| reached.websocket_origin(headers)),
            default: options.rooms.transport,
            livekit,
        };
        let about = About {
            server_name: options.server_name,
            addresses,
            heartbeat_interval: region.settings().heartbeat_interval,
            fixed_adapter: options.fixed_adapter.clone(),
            network: options.ethereum_network,
        };
        let (end_kernels, ending) = watch::channel(false);
        let origins = options.allowed_origins.clone();
        let allows_origin = Arc::new(move |origin: Option<&str>| origins.allows(origin));
        let doorway = Doorway::new(region.clone(), Arc::clone(door.waiting()), allows_origin, ending);
        let livekit_door = match livekit_ports {
            Some(ports) => ports.open(doorway.clone(), &livekit_keys)?,
            None => Routes { clients: Router::new(), api: Router::new() },
        };
        let http = HttpOptions {
            about,
            region,
            cluster: state,
            native: door.clone(),
            kernels: Arc::clone(doorway.counters()),
            certificate: certificate.clone(),
            trusted_proxies: options.trusted_proxies,
            doors: of_edges(roles, || {
                ws::routes(door.clone()).merge(compat(doorway.clone(), options.kernels)).merge(livekit_door.clients)
            }),
            dear: of_edges(roles, || {
                signed_login::routes(doorway.clone(), options.fixed_adapter.as_ref(), rooms).merge(livekit_door.api)
            }),
            rate: options.http_rate,
            burst: options.http_burst,
            public_peers: options.public_peers,
            scenes: Scenes::new(options.catalyst.content.clone()),
            catalyst: Catalyst::watch(options.catalyst),
        };
        let http = HttpDoor::open(http_socket, http)?;
        let keeping = tokio::spawn(look_after(keeper, certificate.clone()));
        let (keeping, grace) = (Keeping(keeping.abort_handle()), options.shutdown_grace);
        Ok(Self {
            door,
            end_kernels,
            quic,
            http,
            livekit_address,
            certificate,
            buffers,
            cluster,
            warnings,
            grace,
            _keeping: keeping,
        })
    }

    /// Where QUIC listens, unless this process is no edge.
    pub fn quic_address(&self) -> Option<SocketAddr> {
        self.quic.as_ref().map(QuicDoor::address)
    }

    /// Where HTTP listens.
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where LiveKit's clients send media and data, if they are served here.
    pub fn livekit_address(&self) -> Option<SocketAddr> {
        self.livekit_address
    }

    /// The certificate that every door shows now. Another one takes its place in time.
    pub fn certificate(&self) -> Arc<Certificate> {
        self.certificate.certificate()
    }

    /// Whether NATS answers; `None` for a bus within the process.
    pub fn is_nats_connected(&self) -> Option<bool> {
        self.cluster.view().nats().map(|nats| nats.connected)
    }

    /// What the system granted for the UDP socket, if there is one.
    pub fn udp_buffers(&self) -> Option<UdpBuffers> {
        self.buffers
    }

    /// What an operator should know, found at the start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Ends in order: not ready, no newcomers, every session told and then ended. Takes at most 6 seconds more than
    /// [`Options::shutdown_grace`].
    pub async fn close(self) {
        self.cluster.stand_down();
        self.http.drain();
        if let Some(quic) = &self.quic {
            quic.drain();
        }
        self.door.drain(self.grace).await;
        if tokio::time::timeout(CLOSE, self.door.close()).await.is_err() {
            tracing::warn!("sessions left after {CLOSE:?} were dropped");
        }
        self.end_kernels.send_replace(true);
        // Each connection of a kernel holds a receiver until its client has been told.
        let kernels = tokio::time::timeout(CLOSE, self.end_kernels.closed());
        let quic = async {
            if let Some(quic) = self.quic {
                quic.close(CLOSE).await;
            }
        };
        let ((), (), _) = tokio::join!(quic, self.http.close(CLOSE), kernels);
    }
}

/// The task that looks after the certificate. It ends with this.
struct Keeping(AbortHandle);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Routes that only an edge has.
fn of_edges(roles: Roles, routes: impl FnOnce() -> Router) -> Router {
    if roles.edge { routes() } else { Router::new() }
}

/// What existing kernels speak, on the HTTP port.
fn compat(doorway: Doorway, kernels: Kernels) -> Router {
    bff::routes(doorway.clone(), kernels.bff)
        .merge(archipelago_ws::routes(doorway.clone(), kernels.archipelago))
        .merge(ws_room::routes(doorway, room_settings()))
}

fn certificate_warnings(options: &Options, origin: Option<Origin>, certificate: &Certificate) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(Origin::Renewed(why)) = origin {
        warnings.push(format!("the development certificate was renewed ({why}): its hash has changed"));
    }
    if !certificate.is_valid(SystemTime::now()) {
        warnings.push("the certificate is not valid now: clients will refuse it".to_owned());
    }
    if let Some(files) = options.certificate.as_ref().filter(|files| files.key_is_exposed()) {
        warnings.push(format!("others than its owner have access to the private key {}", files.key.display()));
    }
    warnings
}

fn native_settings(options: &Options) -> native::Settings {
    native::Settings {
        resume_window: options.resume_window,
        pre_auth: options.pre_auth,
        pre_auth_per_ip: options.pre_auth_per_ip,
        allowed_origins: options.allowed_origins.clone(),
    }
}

fn room_settings() -> ws_room::Settings {
    ws_room::Settings { version: env!("CARGO_PKG_VERSION"), commit_hash: COMMIT_HASH.unwrap_or("unknown") }
}

fn settings(options: &Options, connection_strings: Arc<dyn ConnectionStrings>, room_keys: RoomKeys) -> Settings {
    let cores = available_parallelism().map_or(1, usize::from);
    Settings {
        server_name: options.server_name.clone(),
        shards: cores,
        max_sessions: options.max_sessions,
        max_room_members: options.max_room_members,
        max_verifications: cores * 2,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: options.membership.roles.archipelago.then(|| options.archipelago.clone()),
        tick: options.room_tick,
        connection_strings,
        rooms: options.rooms.named.clone(),
        room_keys: Some(room_keys),
        contract_wallets: options
            .ethereum
            .clone()
            .map(|node| Arc::new(Ethereum::new(node)) as Arc<dyn ContractWallets>),
    }
}

fn connection_strings(
    options: &Options,
    addresses: &Addresses,
    keys: &RoomKeys,
    livekit: Option<&LivekitRooms>,
    host: &Arc<dyn Host>,
) -> Arc<dyn ConnectionStrings> {
    let url = addresses.websocket_origin(&HeaderMap::new());
    let foreign = options.rooms.url.as_ref().map(HttpUrl::websocket);
    let foreign_url = foreign.or_else(|| options.membership.roles.edge.then(|| url.clone()));
    let mut transports: Vec<Box<dyn TransportStrings>> = Vec::new();
    transports.push(Box::new(WsRooms { url, foreign_url, keys: keys.clone() }));
    if let Some(livekit) = livekit {
        transports.push(Box::new(livekit.clone()));
    }
    let by_island = Arc::new(ByCapabilities { default: options.rooms.transport, transports, host: Arc::clone(host) });
    match options.fixed_adapter {
        Some(_) => Arc::new(FixedRoom(by_island)),
        None => by_island,
    }
}
