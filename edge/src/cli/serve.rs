//! `atoll serve`.

use super::Flags;
use super::table::Table;
use crate::cluster::Membership;
use crate::config::{Config, Public, Sources};
use crate::edge::{Edge, Options};
use crate::http::diallable;
use crate::ws::WEBSOCKET_PATH;
use anyhow::Context;
use atoll_certs::PemFiles;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// How to run an edge: the configuration, and what to do with it.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// A configuration file in TOML; `atoll config` prints one [env: ATOLL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Read the configuration, print "ok" or what is wrong with it, and end
    #[arg(long)]
    pub check: bool,

    /// Print one line of JSON on standard output when every door is open
    #[arg(long, env = "ATOLL_READY_JSON")]
    pub ready_json: bool,

    /// What goes before the environment and the file
    #[command(flatten)]
    pub flags: Flags,
}

impl ServeOptions {
    /// Runs an edge until SIGTERM or SIGINT; a second one ends it at once.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let environment = std::env::vars_os().collect();
        let config = Config::read(Sources { file: self.config, environment, flags: self.flags.into_values() })?;
        if self.check {
            println!("ok");
            return Ok(());
        }
        super::log(&config.log);
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut random = [0; 12];
        getrandom::fill(&mut random).context("no random numbers")?;
        let state_dir = config.state_dir.unwrap_or_else(default_state_dir);
        let limits = config.limits;
        let certificate = config.tls_certificate.zip(config.tls_key);
        let membership = Membership {
            nats: config.nats.options(format!("atoll-{}", config.server_name)),
            roles: config.roles,
            allow_split: config.allow_split,
        };
        let edge = Edge::start(Options {
            membership,
            server_name: config.server_name,
            quic: config.quic_listen,
            quic_gso: config.quic_gso,
            http: config.http_listen,
            state_dir: state_dir.clone(),
            certificate: certificate.map(|(certificate, key)| PemFiles { certificate, key }),
            public: config.public.clone(),
            trusted_proxies: config.trusted_proxies,
            allowed_origins: config.allowed_origins,
            resume_window: config.resume_window,
            room_tick: config.room_tick,
            archipelago: config.archipelago.service(random),
            max_sessions: limits.max_sessions,
            max_room_members: limits.max_room_members,
            pre_auth: limits.pre_auth,
            pre_auth_per_ip: limits.pre_auth_per_ip,
            rooms: config.rooms,
            livekit: config.livekit,
            public_peers: config.public_peers,
            http_rate: limits.http_rate,
            http_burst: limits.http_burst,
            kernels: config.kernels,
            ethereum: config.ethereum_rpc_url,
            ethereum_network: config.ethereum_network,
            catalyst: config.catalyst,
            fixed_adapter: config.fixed_adapter,
            shutdown_grace: config.shutdown_grace,
        });
        let edge = edge.await?;
        eprintln!("{}", Table { edge: &edge, public: &config.public, limits: &limits, state_dir: &state_dir });
        if self.ready_json {
            println!("{}", ready_line(&edge, &config.public));
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("atoll: shutting down");
        tokio::select! {
            () = edge.close() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

/// Addresses that can be dialled from this machine, and what the operator says of how others reach them.
fn ready_line(edge: &Edge, public: &Public) -> String {
    let http = diallable(edge.http_address());
    // Without this role it has no doors for clients.
    let quic = edge.quic_address().map(diallable);
    json!({
        "http": format!("http://{http}"),
        "quic": quic.map(|quic| format!("https://{quic}")),
        "livekit": edge.livekit_address().map(|address| diallable(address).to_string()),
        "websocket": quic.map(|_| format!("ws://{http}{WEBSOCKET_PATH}")),
        "public_http": public.http_url.as_ref().map(ToString::to_string),
        "public_quic": public.quic_url.as_ref().map(ToString::to_string),
        "public_ips": public.ips,
        "certificate_sha256": edge.certificate().sha256_hex(),
    })
    .to_string()
}

/// `$XDG_STATE_HOME/atoll`, else `~/.local/state/atoll`, else `.atoll` here.
fn default_state_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map_or_else(|| PathBuf::from(".atoll"), |state| state.join("atoll"))
}
