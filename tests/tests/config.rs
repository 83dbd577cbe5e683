//! The configuration of the real binary: where values come from, and what it says about wrong ones.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_tests::{binary, eventually, within};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

/// The binary with nothing of this process's environment.
fn atoll(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = within("the end of atoll", command.output()).await.unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A directory with `text` as `atoll.toml`.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("atoll.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

/// The server's name in `/about` of an edge that `command` starts at free ports.
async fn served_name(mut command: Command) -> String {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let ready = within("the ready line", lines.next_line()).await.unwrap().unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let authority = ready["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let about = eventually("an answer", || async {
        let mut stream = TcpStream::connect(&authority).await.ok()?;
        let request = format!("GET /about HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    })
    .await;
    process.kill().await.unwrap();
    let (_, body) = about.split_once("\r\n\r\n").unwrap();
    let about: Value = serde_json::from_str(body).unwrap();
    about["configurations"]["realmName"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_flag_goes_before_a_variable_before_the_file() {
    // The file has the free ports and the state directory throughout: neither a default nor another source undoes them.
    let state = tempfile::tempdir().unwrap();
    let (_directory, path) = file(&format!(
        "state_dir = '{}'\nserver.name = 'file'\nquic.listen = '127.0.0.1:0'\nhttp.listen = '127.0.0.1:0'\nlivekit.listen = '127.0.0.1:0'\n",
        state.path().display()
    ));
    let serve = || {
        let mut command = atoll(&["serve", "--ready-json", "--config"]);
        command.arg(&path);
        command
    };
    assert_eq!(served_name(serve()).await, "file");
    let mut with_variable = serve();
    with_variable.env("ATOLL_SERVER__NAME", "variable");
    assert_eq!(served_name(with_variable).await, "variable");
    let mut with_flag = serve();
    with_flag.env("ATOLL_SERVER__NAME", "variable").args(["--server-name", "flag"]);
    assert_eq!(served_name(with_flag).await, "flag");
    assert!(std::fs::read_dir(state.path()).unwrap().next().is_some(), "the file's state directory is used");
}

#[tokio::test]
async fn the_file_may_be_named_by_the_environment() {
    let (directory, path) = file(
        "quic.listen = '127.0.0.1:0'\nhttp.listen = '127.0.0.1:0'\nlivekit.listen = '127.0.0.1:0'\nserver.name = 'named'\n",
    );
    let mut command = atoll(&["--ready-json"]);
    command.env("ATOLL_CONFIG", &path).env("ATOLL_STATE_DIR", directory.path());
    assert_eq!(served_name(command).await, "named");
}

#[tokio::test]
async fn check_reads_everything_and_opens_no_door() {
    // Both addresses are taken: whoever opened a door would fail.
    let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let quic = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut command = atoll(&["serve", "--check", "--state-dir"]);
    command.arg(state.path()).env("ATOLL_HTTP", http.local_addr().unwrap().to_string());
    command.env("ATOLL_QUIC", quic.local_addr().unwrap().to_string());
    assert_eq!(output(command).await, (true, "ok\n".to_owned(), String::new()));
    assert!(std::fs::read_dir(state.path()).unwrap().next().is_none(), "nothing is written");
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let (_directory, path) = file("[archipelago]\nflush_intervall = 2.0\nmax_peers = 0\n");
    let path = path.to_str().unwrap();
    let mut command = atoll(&["serve", "--check", "--config", path, "--archipelago-join-distance", "-1"]);
    command.env("ATOLL_LIMITS__MAX_SESSION", "5").env("ATOLL_QUIC", "nowhere");
    let (success, stdout, stderr) = output(command).await;
    assert!(!success && stdout.is_empty(), "{stdout}");
    let expected = format!(
        "atoll: the configuration is refused
  {path}:2: there is no key archipelago.flush_intervall; the nearest is archipelago.flush_interval
  {path}:3: archipelago.max_peers = 0 is refused: it has to be a whole number, 1 to 1000
  ATOLL_LIMITS__MAX_SESSION: there is no key limits.max_session; the nearest is ATOLL_LIMITS__MAX_SESSIONS
  ATOLL_QUIC: quic.listen = nowhere is refused: it has to be an IP address and a port, such as `0.0.0.0:7443` or `[::]:7443`
  --archipelago-join-distance: archipelago.join_distance = -1 is refused: it has to be 1 to 100000 metres
"
    );
    assert_eq!(stderr, expected);
}

#[tokio::test]
async fn serving_refuses_what_check_refuses() {
    for arguments in [&["serve", "--log", "atoll=loud"][..], &["--config", "/nowhere/atoll.toml"]] {
        let (success, stdout, stderr) = output(atoll(arguments)).await;
        assert!(!success && stdout.is_empty(), "{arguments:?}");
        assert!(
            stderr.starts_with("atoll: the configuration is refused\n") && stderr.contains(arguments.last().unwrap())
        );
    }
}

#[tokio::test]
async fn the_sample_is_a_configuration() {
    let (success, sample, stderr) = output(atoll(&["config"])).await;
    assert!(success && stderr.is_empty(), "{stderr}");
    assert!(sample.contains("\n[archipelago]\n") && sample.contains("\nflush_interval = 2.0\n"), "{sample}");
    let (_directory, path) = file(&sample);
    let check = atoll(&["serve", "--check", "--config", path.to_str().unwrap()]);
    assert_eq!(output(check).await, (true, "ok\n".to_owned(), String::new()));
}

#[tokio::test]
async fn the_help_names_flags_variables_and_defaults() {
    let (success, help, _) = output(atoll(&["serve", "--help"])).await;
    assert!(success);
    for part in [
        "--quic <ADDR>",
        "[env: ATOLL_QUIC or ATOLL_QUIC__LISTEN]",
        "[default: 127.0.0.1:7443]",
        "--config <FILE>",
        "--check",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}
