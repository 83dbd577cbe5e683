//! What an operator decides, from one TOML file, environment variables and flags.
//!
//! [`KEYS`] is the one list of keys: it gives each its name, its flag, its bounds and its place in [`Config`], whichever
//! source it comes from. [`Config::read`] starts from the defaults and lays the file, the environment and the flags over
//! them, in this order; what no source names is not touched. What comes out is typed and within its bounds.
//!
//! The names follow from one another. The key `quic.listen` is `listen` below `[quic]` in the file and the variable
//! `ATOLL_QUIC__LISTEN`. A flag is a variable, too: `--quic` is `ATOLL_QUIC`.

mod archipelago;
mod environment;
mod ethereum;
mod file;
mod kernels;
mod key;
mod keys;
mod livekit;
mod log;
mod nats;
mod networks;
mod origins;
mod problem;
mod public;
mod roles;
mod rooms;
mod sample;
mod secret;
#[cfg(test)]
mod tests;
mod value;

pub use archipelago::{Archipelago, RoomPrefix, RoomPrefixError};
pub use ethereum::{EthereumNetwork, EthereumNetworkError};
pub use kernels::Kernels;
pub use key::Key;
pub use keys::KEYS;
pub use livekit::{IceServer, IceServerError, LIVEKIT_KEY_BYTES, Livekit, LivekitDoor, LivekitUrl, LivekitUrlError};
pub use log::LogFilter;
pub use nats::Nats;
pub use networks::{Network, NetworkError};
pub use origins::{AllowedOrigins, WebOrigin, WebOriginError};
pub use problem::{ConfigError, Origin, Problem};
pub use public::{HttpUrl, Public, PublicUrlError, QuicUrl};
pub use roles::{Role, RoleError, Roles};
pub use rooms::Rooms;
pub use sample::sample;
pub use secret::Secret;
pub use value::Value;

use crate::outbound::{CatalystUrls, ServiceUrl};
use atoll_compat::FixedAdapter;
use atoll_core::auth::ServerName;
use atoll_core::region::DefaultTransport;
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be decided. [`Config::default`] is what holds when nobody decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `state_dir`: where certificate and keys are kept between starts; the user's state directory when `None`.
    pub state_dir: Option<PathBuf>,
    /// `roles`: what this process does.
    pub roles: Roles,
    /// `log`: what is logged.
    pub log: LogFilter,
    /// `trusted_proxies`: whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// `allowed_origins`: which web pages may open sessions.
    pub allowed_origins: AllowedOrigins,
    /// `server.name`: names the edge in challenges and in `/about`.
    pub server_name: ServerName,
    /// `quic.listen`: the UDP address of WebTransport and raw QUIC.
    pub quic_listen: SocketAddr,
    /// `quic.gso`: whether the system may cut several UDP packets out of one buffer.
    pub quic_gso: bool,
    /// `http.listen`: the TCP address of HTTP.
    pub http_listen: SocketAddr,
    /// `tls.certificate`: the chain in PEM. Set when `tls_key` is.
    pub tls_certificate: Option<PathBuf>,
    /// `tls.key`: its private key in PEM. Set when `tls_certificate` is.
    pub tls_key: Option<PathBuf>,
    /// `public.*`: where clients reach the doors.
    pub public: Public,
    /// `session.resume_window`: how long the seat of a lost connection is kept; zero for not at all.
    pub resume_window: Duration,
    /// `room.tick`: time between two batches of a room, zero for none; by its members when `None`.
    pub room_tick: Option<Duration>,
    /// `rooms.*`, `transport.*`, `ws_room.*`: rooms and the way there.
    pub rooms: Rooms,
    /// `livekit.*`: LiveKit's clients, here or elsewhere.
    pub livekit: Livekit,
    /// `public_peers`: whether the public lists name peers.
    pub public_peers: bool,
    /// `comms.fixed_adapter`: the one room of all kernels; they go by islands when `None`.
    pub fixed_adapter: Option<FixedAdapter>,
    /// `catalyst.*`: the realm's servers of content and lambdas.
    pub catalyst: CatalystUrls,
    /// `ethereum.network`: the network that `/about` names.
    pub ethereum_network: Option<EthereumNetwork>,
    /// `kernels.*`: what existing kernels are taken to have.
    pub kernels: Kernels,
    /// `ethereum.rpc_url`: the node that is asked about contract wallets; they are refused when `None`.
    pub ethereum_rpc_url: Option<ServiceUrl>,
    /// `archipelago.*`: how peers are grouped.
    pub archipelago: Archipelago,
    /// `region.allow_split`: whether to start beside another edge of the same cluster.
    pub allow_split: bool,
    /// `nats.*`: the cluster to join.
    pub nats: Nats,
    /// `limits.*`: how much is let in.
    pub limits: Limits,
    /// `shutdown.grace`: how long clients have between being told that the edge ends and the end.
    pub shutdown_grace: Duration,
}

/// How much is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `limits.max_sessions`: most sessions at a time.
    pub max_sessions: usize,
    /// `limits.max_room_members`: most members of a room. Never less than `archipelago.max_peers`.
    pub max_room_members: usize,
    /// `limits.pre_auth`: most connections that have not logged in yet.
    pub pre_auth: usize,
    /// `limits.pre_auth_per_ip`: most connections of one address that have not logged in yet.
    pub pre_auth_per_ip: usize,
    /// `limits.http_rate`: HTTP requests a second of one address.
    pub http_rate: u32,
    /// `limits.http_burst`: HTTP requests of one address at once.
    pub http_burst: u32,
}

/// Where a configuration is read from.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file that the command line names; otherwise `ATOLL_CONFIG` may name one.
    pub file: Option<PathBuf>,
    /// Environment variables. Those that do not begin with `ATOLL_`, and empty ones, are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Values of flags.
    pub flags: Vec<(&'static Key, String)>,
}

/// Keys that are of no use without another.
const NOT_ALONE: [(&str, &str); 16] = [
    ("tls.certificate", "tls.key"),
    ("tls.key", "tls.certificate"),
    ("livekit.api_key", "livekit.api_secret"),
    ("livekit.api_secret", "livekit.api_key"),
    ("livekit.former_api_key", "livekit.former_api_secret"),
    ("livekit.url", "livekit.api_key"),
    ("nats.user", "nats.password"),
    ("nats.password", "nats.user"),
    ("nats.certificate", "nats.key"),
    ("nats.key", "nats.certificate"),
    ("nats.user", "nats.url"),
    ("nats.token", "nats.url"),
    ("nats.nkey", "nats.url"),
    ("nats.credentials", "nats.url"),
    ("nats.roots", "nats.url"),
    ("nats.certificate", "nats.url"),
];

/// Ways to say who this process is, of which a cluster is shown one.
const CREDENTIALS: [&str; 4] = ["nats.user", "nats.token", "nats.nkey", "nats.credentials"];

/// One source's value for one key.
struct Setting {
    key: &'static Key,
    value: Value,
    origin: Origin,
}

impl Config {
    /// Reads every source. A flag goes before a variable, a variable before the file, the file before the default; a
    /// value that another goes before has to be a right one all the same.
    ///
    /// # Errors
    /// Everything that is wrong in any source, at once.
    pub fn read(sources: Sources) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let environment = environment::read(sources.environment, &mut problems);
        let file = sources.file.or(environment.file);
        let mut settings = file.map_or_else(Vec::new, |path| file::read(&path, &mut problems));
        settings.extend(environment.settings);
        settings.extend(sources.flags.into_iter().map(|(key, text)| Setting {
            key,
            value: Value::untyped(text),
            origin: Origin::Flag(key.flag.unwrap_or(key.name)),
        }));

        let mut config = Self::default();
        let mut origins = HashMap::new();
        for Setting { key, value, origin } in settings {
            match (key.set)(&mut config, &value) {
                Some(()) => {
                    origins.insert(key.name, origin);
                }
                None => problems.push(Problem::Value { origin, key, value: key.shown(&value.to_string()) }),
            }
        }
        // Of half a configuration nothing can be said about how its values go together.
        if problems.is_empty() {
            problems.extend(config.conflicts(&origins));
        }
        problems.sort_by_key(Problem::place);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    fn conflicts(&self, origins: &HashMap<&str, Origin>) -> Vec<Problem> {
        let side = |key: &'static str, value: String| {
            let origin = origins.get(key).cloned().unwrap_or(Origin::Default);
            (key, value, origin)
        };
        let (archipelago, limits) = (&self.archipelago, &self.limits);
        let mut problems = Vec::new();
        if archipelago.leave_distance < archipelago.join_distance {
            problems.push(Problem::Conflict {
                lower: side("archipelago.leave_distance", archipelago.leave_distance.to_string()),
                higher: side("archipelago.join_distance", archipelago.join_distance.to_string()),
                why: "the same peers would merge and split for ever",
            });
        }
        if limits.max_room_members < archipelago.max_peers {
            problems.push(Problem::Conflict {
                lower: side("limits.max_room_members", limits.max_room_members.to_string()),
                higher: side("archipelago.max_peers", archipelago.max_peers.to_string()),
                why: "an island's room would turn members away",
            });
        }
        for (given, missing) in NOT_ALONE {
            if let (Some(origin), None) = (origins.get(given), origins.get(missing)) {
                problems.push(Problem::Alone { origin: origin.clone(), given, missing });
            }
        }
        let leads_to_livekit = self.livekit.url.is_some() || (self.roles.edge && self.livekit.enabled);
        if self.rooms.transport == DefaultTransport::Livekit && !leads_to_livekit {
            let origin = origins.get("transport.default").cloned().unwrap_or(Origin::Default);
            problems.push(Problem::Nowhere { origin });
        }
        if !self.roles.are_all() && self.nats.url.is_empty() {
            let origin = origins.get("roles").cloned().unwrap_or(Origin::Default);
            problems.push(Problem::Alone { origin, given: "roles", missing: "nats.url" });
        }
        let mut who = CREDENTIALS.into_iter().filter_map(|key| Some((key, origins.get(key)?.clone())));
        if let (Some(first), Some(second)) = (who.next(), who.next()) {
            problems.push(Problem::Both { first, second });
        }
        problems
    }
}

impl Default for Limits {
    /// A carrier may have ten thousand kernels behind one address, and all of them come back within seconds when the edge was
    /// started again. 500 requests a second are some hundredths of a core.
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            max_room_members: 1_000,
            pre_auth: 1_024,
            pre_auth_per_ip: 256,
            http_rate: 500,
            http_burst: 5_000,
        }
    }
}

impl Default for Config {
    /// Loopback only: nobody is let in from outside by accident.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, and the tests read it")]
        let server_name = "atoll".parse().expect("a server name");
        Self {
            state_dir: None,
            roles: Roles::default(),
            log: LogFilter::default(),
            trusted_proxies: Vec::new(),
            allowed_origins: AllowedOrigins::Any,
            server_name,
            quic_listen: (Ipv4Addr::LOCALHOST, 7443).into(),
            quic_gso: true,
            http_listen: (Ipv4Addr::LOCALHOST, 7480).into(),
            tls_certificate: None,
            tls_key: None,
            public: Public::default(),
            resume_window: Duration::from_secs(60),
            room_tick: None,
            rooms: Rooms::default(),
            livekit: Livekit::default(),
            public_peers: true,
            fixed_adapter: None,
            catalyst: CatalystUrls::default(),
            ethereum_network: None,
            kernels: Kernels::default(),
            ethereum_rpc_url: None,
            archipelago: Archipelago::default(),
            allow_split: false,
            nats: Nats::default(),
            limits: Limits::default(),
            shutdown_grace: Duration::from_secs(2),
        }
    }
}
