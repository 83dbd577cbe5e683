//! `atoll serve`.

use super::archipelago::ArchipelagoOptions;
use crate::edge::{Edge, Options};
use anyhow::Context;
use atoll_core::auth::ServerName;
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// How to run an edge. Every option is an environment variable, too.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Where WebTransport and raw QUIC listen (UDP); port 0 takes a free one
    #[arg(long, env = "ATOLL_QUIC", value_name = "ADDR", default_value = "127.0.0.1:7443")]
    pub quic: SocketAddr,

    /// Where HTTP listens (TCP); port 0 takes a free one
    #[arg(long, env = "ATOLL_HTTP", value_name = "ADDR", default_value = "127.0.0.1:7480")]
    pub http: SocketAddr,

    /// Where the certificate is kept between starts [default: the user's state directory]
    #[arg(long, env = "ATOLL_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Names this edge in challenges: a to z, 0 to 9 and `-`
    #[arg(long, env = "ATOLL_SERVER_NAME", value_name = "NAME", default_value = "atoll")]
    pub server_name: ServerName,

    /// Print one line of JSON on standard output when every door is open
    #[arg(long, env = "ATOLL_READY_JSON")]
    pub ready_json: bool,

    /// How peers are grouped
    #[command(flatten)]
    pub archipelago: ArchipelagoOptions,
}

impl ServeOptions {
    /// Runs an edge until SIGTERM or SIGINT; a second one ends it at once.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let ready_json = self.ready_json;
        let state_dir = self.state_dir.unwrap_or_else(default_state_dir);
        let mut random = [0; 12];
        getrandom::fill(&mut random).context("no random numbers")?;
        let edge = Edge::start(Options {
            server_name: self.server_name,
            quic: self.quic,
            http: self.http,
            state_dir: state_dir.clone(),
            archipelago: self.archipelago.settings(random),
        });
        let edge = edge.await?;
        eprintln!("{}", start_table(&edge, &state_dir.display().to_string()));
        if ready_json {
            println!("{}", ready_line(&edge));
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

fn ready_line(edge: &Edge) -> String {
    json!({
        "http": format!("http://{}", edge.http_address()),
        "quic": format!("https://{}", edge.quic_address()),
        "certificate_sha256": edge.certificate_sha256(),
    })
    .to_string()
}

fn start_table(edge: &Edge, state_dir: &str) -> String {
    let (http, quic) = (edge.http_address(), edge.quic_address());
    format!(
        "atoll {version}\n\
         \x20 map page      http://{http}/\n\
         \x20 about         http://{http}/about\n\
         \x20 webtransport  https://{quic}/atoll   (subprotocol atoll.1)\n\
         \x20 quic          {quic}   (ALPN atoll/1)\n\
         \x20 certificate   development, sha256 {certificate}\n\
         \x20 bus           embedded\n\
         \x20 state         {state_dir}\n\
         \n\
         Open http://{http}/ in two tabs of a Chromium browser, or run `atoll bots --count 50`.",
        version = env!("CARGO_PKG_VERSION"),
        certificate = edge.certificate_sha256(),
    )
}

/// `$XDG_STATE_HOME/atoll`, else `~/.local/state/atoll`, else `.atoll` here.
fn default_state_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map_or_else(|| PathBuf::from(".atoll"), |state| state.join("atoll"))
}
