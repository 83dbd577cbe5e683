//! The processes that are measured: an edge, or a server of this crate, pinned to a core of its own.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The core of the server. The load belongs on another: `taskset -c 1`, as `bench/run` does.
pub const SERVER_CORE: u32 = 0;

/// What lets any number of clients of one address in.
pub const UNLIMITED: &[(&str, &str)] = &[("ATOLL_LIMITS__PRE_AUTH_PER_IP", "100000")];

/// Clock ticks in a second, as `/proc` counts them on Linux whatever the kernel's own rate is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server process. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    process: Child,
    ready: Value,
    _state: TempDir,
}

impl Server {
    /// Starts an edge with these variables of its environment, at free ports, and waits until its doors are open.
    ///
    /// The binary is `ATOLL_BIN`, else the one beside this program.
    ///
    /// # Errors
    /// When it does not start.
    pub fn edge(variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let binary = std::env::var_os("ATOLL_BIN").map_or_else(|| beside("atoll"), |named| Ok(named.into()))?;
        let state = tempfile::tempdir()?;
        let mut command = pinned(binary);
        command.args(["serve", "--quic", "127.0.0.1:0", "--http", "127.0.0.1:0", "--livekit", "127.0.0.1:0"]);
        command.args(["--ready-json", "--state-dir"]);
        command.arg(state.path()).envs(variables.iter().copied()).stderr(Stdio::null());
        Self::start(command, state)
    }

    /// Starts a server that is this program with another command, which prints one line of JSON when it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn own(command: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let mut process = pinned(std::env::current_exe()?);
        process.arg(command).args(arguments);
        Self::start(process, tempfile::tempdir()?)
    }

    fn start(mut command: Command, state: TempDir) -> anyhow::Result<Self> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("taskset(1) starts")?;
        let stdout = process.stdout.take().context("its output is piped")?;
        let mut server = Self { process, ready: Value::Null, _state: state };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(!line.is_empty(), "{command:?} ended at once");
        server.ready = serde_json::from_str(&line)?;
        Ok(server)
    }

    /// A text of the line with which the server said that it is ready.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn ready(&self, name: &str) -> anyhow::Result<&str> {
        self.ready[name].as_str().with_context(|| format!("no {name} in {}", self.ready))
    }

    /// The processor time it has used, in user and in system mode together.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.process.id().to_string())
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a resident size")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }

    /// Its process id, for a profiler.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended; there is nothing left to do then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The processor time this process has used.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self")
}

fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; what follows it is numbers, from the third field on.
    let (_, fields) = stat.rsplit_once(") ").context("a name in parentheses")?;
    let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
    let mut next = || fields.next().context("14 fields or more");
    let ticks = next()?? + next()??;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}

fn pinned(binary: PathBuf) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &SERVER_CORE.to_string()]).arg(binary);
    command
}

fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is missing: cargo build --release", path.display());
    Ok(path)
}
