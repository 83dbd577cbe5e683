//! A running NATS server.

use crate::{eventually, within};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A real nats-server in a process of its own, on a free loopback port. Dropping it kills the process.
pub struct NatsServer {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// `NATS_SERVER`, else what the path has.
fn binary() -> PathBuf {
    std::env::var_os("NATS_SERVER").map_or_else(|| "nats-server".into(), PathBuf::from)
}

impl NatsServer {
    /// Starts one that lets anybody in.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one with further lines of configuration. `FOLDER` in them stands for [`NatsServer::folder`].
    pub async fn start_with(configuration: &str) -> Self {
        Self::prepared(configuration, |_| {}).await
    }

    /// The same, after `prepare` has written into the folder what the configuration names.
    pub async fn prepared(configuration: &str, prepare: impl FnOnce(&std::path::Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        prepare(folder.path());
        let address = free_port();
        let configuration = configuration.replace("FOLDER", &folder.path().display().to_string());
        let text = format!("listen: \"{address}\"\n{configuration}\n");
        let mut file = std::fs::File::create(folder.path().join("nats.conf")).expect("a file");
        file.write_all(text.as_bytes()).expect("a written file");
        let process = spawn(&folder);
        let server = Self { process, address, folder };
        server.answers().await;
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `nats://…`
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends it at once, as a machine that fails does.
    pub async fn kill(&mut self) {
        within("the end of nats-server", self.process.kill()).await.expect("a child that can be killed");
    }

    /// Starts it again on the same port.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.folder);
        self.answers().await;
    }

    async fn answers(&self) {
        eventually("nats-server", || async { TcpStream::connect(self.address).await.ok() }).await;
    }
}

fn spawn(folder: &TempDir) -> Child {
    let mut command = Command::new(binary());
    command.arg("--config").arg(folder.path().join("nats.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}; tests/run installs it", binary().display()))
}

/// A port that was free a moment ago. The server is told it in its configuration, and so can come back there.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address")
}
