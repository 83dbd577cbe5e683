//! The process: HTTP, options, shutting down, and the bots.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Discovery, Event, Position, Way};
use atoll_proto::close::CloseCode;
use atoll_tests::kernel::{Kernel, words};
use atoll_tests::{Edge, binary, eventually, within};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn http_tells_where_the_doors_are() {
    let edge = Edge::start().await;
    assert_eq!(edge.get("/health/live").await, (200, "alive".to_owned()));
    assert_eq!(edge.get("/health/ready").await, (200, "ready".to_owned()));
    assert_eq!(edge.get("/nowhere").await.0, 404);

    let (code, about) = edge.get("/about").await;
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(code, 200);
    assert_eq!(about["comms"]["protocol"], "v3");
    let atoll = &about["comms"]["atoll"];
    assert_eq!(atoll["webtransport"], format!("{}/atoll", edge.quic()));
    assert_eq!(atoll["protocol"], "atoll.1");
    assert_eq!(atoll["limits"]["maxPayloadBytes"], 1100);
    let (code, hash) = edge.get("/certificate.sha256").await;
    assert_eq!((code, atoll["certificateSha256"].as_str()), (200, Some(&*hash)));
    assert_eq!(hash.len(), 64);

    let found = Discovery::of(edge.http()).await.unwrap();
    assert_eq!(format!("https://{}", found.quic), edge.quic());

    let (code, page) = edge.get("/").await;
    assert_eq!((code, page.as_str()), (200, include_str!("../../web/dist/index.html")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_told_once() {
    let edge = Edge::start().await;
    let mut peer = edge.peer(Way::Quic).await;
    peer.heartbeat(Position::default());
    peer.seated(1).await;
    let _kernel = Kernel::logged_in(edge.http()).await;
    let mut stranger = Kernel::connect(edge.http()).await.unwrap();
    assert_eq!(words(stranger.challenge("nobody").await), "Authentication failed");
    stranger.socket.send_text("hello").await.unwrap();
    assert_eq!(stranger.socket.close_code().await, 1003);
    let closed = ["atoll_kernel_closed_total{door=\"bff\",reason=\"text\"} 1", "atoll_kernel_sockets{door=\"bff\"} 1"];
    let page = eventually("the metrics", || async {
        let (code, page) = edge.get("/metrics").await;
        assert_eq!(code, 200);
        closed.iter().all(|line| page.contains(line)).then_some(page)
    })
    .await;
    for line in [
        "atoll_sessions 2",
        "atoll_seats 1",
        "atoll_logins_total 2",
        "atoll_native_connections 1",
        "atoll_kernel_sockets_waiting{door=\"bff\"} 0",
        "atoll_kernel_logins_total{door=\"bff\"} 1",
        "atoll_kernel_refused_total{door=\"bff\",reason=\"unauthorized\"} 1",
        "atoll_rpc_errors_total 1",
    ] {
        assert!(page.lines().any(|told| told == line), "{line} is not in\n{page}");
    }
    let document = include_str!("../../docs/metrics.md");
    let mut told = std::collections::BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<u64>().unwrap();
        assert!(told.insert(series), "{series} twice");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        assert!(document.contains(&format!("`{name}")), "{name} is not documented");
        if let Some((_, reason)) = labels.split_once("reason=\"") {
            assert!(document.contains(&format!("`{}`", reason.trim_end_matches("\"}"))), "{reason} is not documented");
        }
        assert!(page.contains(&format!("# TYPE {name} ")), "{name} has no type");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_and_its_private_key_stay_between_starts() {
    use std::os::unix::fs::PermissionsExt;
    let edge = Edge::start().await;
    let hash = edge.get("/certificate.sha256").await.1;
    let kept: Vec<_> = std::fs::read_dir(edge.state_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!kept.is_empty());
    for file in kept {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let again = edge.restart().await;
    assert_eq!(again.get("/certificate.sha256").await.1, hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_is_an_environment_variable() {
    let edge = Edge::start_by_environment().await;
    let about: Value = serde_json::from_str(&edge.get("/about").await.1).unwrap();
    assert_eq!(about["configurations"]["realmName"], "from-environment");
    assert!(std::fs::read_dir(edge.state_dir()).unwrap().next().is_some(), "the state directory is used");
    let mut peer = edge.peer(Way::Quic).await;
    peer.heartbeat(Position::default());
    peer.seated(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_tells_everybody_and_ends_in_time() {
    let edge = Edge::start().await;
    let peers = [edge.peer(Way::Quic).await, edge.peer(Way::WebTransport).await];
    let halfway = edge.raw(Way::Quic).await;
    let started = Instant::now();
    edge.terminate().await;
    for mut peer in peers {
        let why = within("the end of the session", async {
            loop {
                if let Event::Closed(why) = peer.next_event().await {
                    return why;
                }
            }
        })
        .await;
        assert_eq!(why.code(), Some(CloseCode::ShuttingDown));
    }
    assert_eq!(within("the close", halfway.closed()).await.code(), Some(CloseCode::ShuttingDown));
    let status = edge.ended().await;
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let edge = Edge::start().await;
    let address = edge.http().strip_prefix("http://").unwrap();
    // Half a request, which the first signal waits for.
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"GET / HTTP/1.1\r\n").await.unwrap();
    edge.terminate().await;
    eventually("the listener's end", || async { tokio::net::TcpStream::connect(address).await.err() }).await;
    let second = Instant::now();
    edge.terminate().await;
    assert!(edge.ended().await.success());
    assert!(second.elapsed() < Duration::from_secs(1), "{:?}", second.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_said_and_ends_with_an_error() {
    let edge = Edge::start().await;
    let quic = edge.quic().strip_prefix("https://").unwrap();
    let mut command = Command::new(binary());
    command
        .args(["serve", "--http", "127.0.0.1:0", "--livekit", "127.0.0.1:0", "--quic", quic, "--state-dir"])
        .arg(edge.state_dir());
    let output = within("the end of the second edge", command.kill_on_drop(true).output()).await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains(quic) && error.contains("cannot listen on udp"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_bots_form_an_island_and_hear_each_other() {
    let edge = Edge::start().await;
    let mut command = Command::new(binary());
    command.args(["bots", "--count", "50", "--duration", "8", "--json", "--url", edge.http()]);
    let output = within("the bots", command.kill_on_drop(true).output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["joined"], &summary["islands"]), (&50.into(), &1.into()), "{summary}");
    let (sent, received) = (summary["sent"].as_u64().unwrap(), summary["received"].as_u64().unwrap());
    // Each update reaches up to 49 others; some are sent before everybody has come.
    assert!(sent > 500 && received > sent * 10, "{summary}");
    assert!(summary["latency"]["p99Ms"].as_f64().unwrap() > 0.0, "{summary}");
    eventually("the last bot's leave", || async {
        let status = edge.status().await;
        (status["region"]["sessions"] == 0 && status["region"]["seats"] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_without_an_edge_say_so() {
    let mut command = Command::new(binary());
    command.args(["bots", "--count", "1", "--url", "http://127.0.0.1:1"]);
    let output = within("the bots", command.kill_on_drop(true).output()).await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no edge at http://127.0.0.1:1"));
}
