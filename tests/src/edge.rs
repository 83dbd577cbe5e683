//! A running edge.

use crate::nats::NatsServer;
use crate::{Peer, within};
use anyhow::{Context, ensure};
use atoll_client::raw::Connection;
use atoll_client::{CertificateDigest, Client, Endpoint, Options, Target, Wallet, Way};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// What a process that is archipelago alone signs tokens for rooms with.
const ROOM_SECRET: &str = "the secret of rooms elsewhere";

/// The binary under test, running. Dropping it kills the process.
pub struct Edge {
    process: Child,
    http: String,
    /// Absent without the role of an edge.
    quic: Option<String>,
    /// Absent where LiveKit's clients are not served.
    livekit: Option<String>,
    certificate: CertificateDigest,
    state: TempDir,
    /// What the edge needs beside itself in this set-up.
    _half: Half,
}

/// Where the bus of edges under test is, and archipelago: `ATOLL_SETUP` is `nats` or `apart`, and neither by default.
#[derive(Default)]
struct Half {
    _archipelago: Option<(Child, TempDir)>,
    _nats: Option<NatsServer>,
}

impl Half {
    /// Starts what `edge` is to find, and tells it.
    async fn of(edge: &mut Command) -> Self {
        let setup = std::env::var("ATOLL_SETUP").unwrap_or_default();
        if setup.is_empty() {
            return Self::default();
        }
        let nats = NatsServer::start().await;
        edge.env("ATOLL_NATS", nats.url());
        let archipelago = match setup.as_str() {
            "nats" => None,
            "apart" => Some(archipelago(edge)),
            other => panic!("ATOLL_SETUP is nats or apart, not {other}"),
        };
        if archipelago.is_some() {
            edge.env("ATOLL_ROLES", "edge");
        }
        Self { _archipelago: archipelago, _nats: Some(nats) }
    }
}

/// The other half of a region, configured as its `edge` is.
fn archipelago(edge: &Command) -> (Child, TempDir) {
    let state = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(binary());
    // The same but for what it keeps: it has a certificate of its own.
    let mut is_state = false;
    for argument in edge.as_std().get_args().filter(|argument| *argument != "--ready-json") {
        command.arg(if is_state { state.path().as_os_str() } else { argument });
        is_state = argument == "--state-dir";
    }
    let told = edge.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
    // It has to be told of one, as it has no rooms of its own.
    command.env("ATOLL_WS_ROOM__SECRET", ROOM_SECRET);
    command.envs(told.filter(|(name, _)| *name != "ATOLL_READY_JSON")).env("ATOLL_ROLES", "archipelago");
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    (command.spawn().expect("the binary starts"), state)
}

/// `ATOLL_BIN`, else the binary beside the tests in the target directory.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("ATOLL_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let beside = test.ancestors().nth(2).expect("tests live in target/<profile>/deps").join("atoll");
    assert!(beside.exists(), "{} is missing: run tests/run, or cargo build --release first", beside.display());
    beside
}

impl Edge {
    /// Starts an edge at free ports and waits until every door is open.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts an edge with further options.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::on(tempfile::tempdir().expect("a temporary directory"), options).await
    }

    /// Starts an edge with further options that writes its log into the file [`Edge::log`].
    pub async fn start_logged(options: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let mut command = Self::command(&state, options);
        let log = std::fs::File::create(state.path().join("log")).expect("a file of its own");
        command.stderr(log);
        Self::spawn(command, state).await
    }

    /// What one of [`Edge::start_logged`] has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).expect("a log")
    }

    /// Starts an edge that is expected to refuse, and gives what it says.
    pub async fn refused(options: &[&str]) -> String {
        let state = tempfile::tempdir().expect("a temporary directory");
        let output = within("the end of the edge", Self::command(&state, options).output()).await.expect("an output");
        assert!(!output.status.success(), "it started");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    /// Starts an edge with variables in its environment.
    pub async fn start_with_variables(variables: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let mut command = Self::command(&state, &[]);
        command.envs(variables.iter().copied());
        Self::spawn(command, state).await
    }

    /// Starts an edge whose options all come from the environment.
    pub async fn start_by_environment() -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(binary());
        command.env("ATOLL_QUIC", "127.0.0.1:0").env("ATOLL_HTTP", "127.0.0.1:0").env("ATOLL_READY_JSON", "true");
        command.env("ATOLL_LIVEKIT", "127.0.0.1:0");
        command.env("ATOLL_STATE_DIR", state.path()).env("ATOLL_SERVER_NAME", "from-environment");
        Self::spawn(command, state).await
    }

    /// Starts an edge with a configuration file.
    pub async fn start_configured(text: &str) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let file = state.path().join("atoll.toml");
        std::fs::write(&file, text).expect("a file of its own");
        Self::on(state, &["--config", file.to_str().expect("a plain path")]).await
    }

    /// Ends this edge and starts another on the same state directory.
    pub async fn restart(mut self) -> Self {
        self.terminate().await;
        within("the end of the edge", self.process.wait()).await.expect("a child's status");
        Self::on(self.state, &[]).await
    }

    async fn on(state: TempDir, options: &[&str]) -> Self {
        let command = Self::command(&state, options);
        Self::spawn(command, state).await
    }

    fn command(state: &TempDir, options: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(["serve", "--quic", "127.0.0.1:0", "--http", "127.0.0.1:0", "--livekit", "127.0.0.1:0"]);
        command.args(["--ready-json", "--state-dir"]);
        command.arg(state.path()).args(options);
        // Without the other role it has to be told of one.
        if options.contains(&"archipelago") {
            command.env("ATOLL_WS_ROOM__SECRET", ROOM_SECRET);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn spawn(mut command: Command, state: TempDir) -> Self {
        let half = Half::of(&mut command).await;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the binary starts");
        let stdout = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = within("the ready line", lines.next_line()).await.expect("readable").expect("one line");
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
        let quic = ready["quic"].as_str().map(str::to_owned);
        let livekit = ready["livekit"].as_str().map(str::to_owned);
        let certificate = text("certificate_sha256").parse().expect("a digest");
        Self { process, http: text("http"), quic, livekit, certificate, state, _half: half }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// `https://127.0.0.1:<port>`.
    pub fn quic(&self) -> &str {
        self.quic.as_deref().expect("a process with the role of an edge")
    }

    /// Where media and data of LiveKit's clients arrive, by UDP and TCP.
    pub fn livekit(&self) -> SocketAddr {
        let address = self.livekit.as_deref().expect("an edge that serves LiveKit's clients");
        address.parse().expect("an address")
    }

    /// Where it keeps its state.
    pub fn state_dir(&self) -> &std::path::Path {
        self.state.path()
    }

    /// Options of a client that believes this edge's certificate.
    pub fn options(&self) -> Options {
        Options::pinned(self.certificate)
    }

    /// A socket for clients of this edge.
    pub async fn endpoint(&self, way: Way) -> Endpoint {
        let target = self.target(way);
        Endpoint::open(&target, &self.options()).await.expect("a socket")
    }

    fn target(&self, way: Way) -> Target {
        let target = match way {
            Way::WebSocket => Target::websocket(&self.http),
            Way::WebTransport | Way::Quic => Target::parse(self.quic(), way),
        };
        target.expect("the edge's own address")
    }

    /// A logged-in peer with a wallet of its own.
    pub async fn peer(&self, way: Way) -> Peer {
        let wallet = Wallet::random().expect("random numbers");
        Peer::new(self.client_of(&wallet, way).await)
    }

    /// A client logged in as `wallet`.
    pub async fn client_of(&self, wallet: &Wallet, way: Way) -> Client {
        let target = self.target(way);
        Client::connect(&target, wallet, &self.options()).await.expect("a login")
    }

    /// A connection that has said nothing yet.
    pub async fn raw(&self, way: Way) -> Connection {
        self.endpoint(way).await.connect_raw().await.expect("a connection")
    }

    /// The status code and the body of a GET.
    pub async fn get(&self, path: &str) -> (u16, String) {
        within("an HTTP answer", get(&self.http, path)).await.expect("an HTTP answer")
    }

    /// `/status` as JSON.
    pub async fn status(&self) -> Value {
        let (code, body) = self.get("/status").await;
        assert_eq!(code, 200);
        serde_json::from_str(&body).expect("/status is JSON")
    }

    /// Bytes of memory that the process has (Linux).
    pub fn memory(&self) -> u64 {
        let id = self.process.id().expect("the process runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size in kB");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }

    /// Asks the process to end, without waiting.
    pub async fn terminate(&self) {
        let id = self.process.id().expect("the process runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end of the process.
    pub async fn ended(mut self) -> ExitStatus {
        within("the end of the edge", self.process.wait()).await.expect("a child's status")
    }
}

async fn get(http: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let authority = http.strip_prefix("http://").context("an http URL")?;
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
    ensure!(head.to_lowercase().contains("content-length"), "read by length, so that it is whole: {head}");
    let code = head.split(' ').nth(1).context("a status line")?.parse()?;
    Ok((code, body.to_owned()))
}
