//! Who takes all the room there is keeps nobody out: the HTTP port, the wait before the login, and the region itself.
//!
//! On Linux every address in 127.0.0.0/8 is this machine, so that clients of several places can be had.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::Connection;
use atoll_client::{Endpoint, Target, Wallet, Way};
use atoll_proto::close::CloseCode;
use atoll_tests::{Edge, eventually, within};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

const WAYS: [Way; 3] = [Way::Quic, Way::WebTransport, Way::WebSocket];

/// An edge with a configuration file of its own, and the folder that holds it.
async fn configured(text: &str) -> (Edge, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atoll.toml");
    std::fs::write(&file, text).unwrap();
    (Edge::start_with(&["--config", file.to_str().unwrap()]).await, folder)
}

fn http_address(edge: &Edge) -> SocketAddr {
    edge.http().strip_prefix("http://").unwrap().parse().unwrap()
}

/// A TCP connection from 127.0.0.`host`.
async fn connect_from(host: u8, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
    socket.connect(to).await
}

/// A count of `/status`.
async fn count(edge: &Edge, part: &str, name: &str) -> u64 {
    let status = edge.status().await;
    status[part][name].as_u64().unwrap_or_else(|| panic!("{part}.{name} in {status}"))
}

/// Takes connections again and again, and keeps each alive for as long as the edge likes.
async fn hold_http(host: u8, edge: SocketAddr) {
    let request = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    loop {
        let Ok(mut stream) = connect_from(host, edge).await else { continue };
        let mut answer = [0; 1024];
        while stream.write_all(request.as_bytes()).await.is_ok() && stream.read(&mut answer).await.is_ok_and(|n| n > 0)
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_http_connections_keep_nobody_out() {
    let edge = Edge::start().await;
    let mut holding = JoinSet::new();
    (0..256).for_each(|_| drop(holding.spawn(hold_http(2, http_address(&edge)))));
    eventually("a place that has all it may and wants more", || async {
        let status = edge.status().await;
        let (open, refused) = (status["http"]["connections"].as_u64(), status["http"]["refused"].as_u64());
        (open >= Some(64) && refused >= Some(256 - 64)).then_some(())
    })
    .await;
    assert_eq!(count(&edge, "http", "evicted").await, 0);

    for host in 3..=9 {
        (0..32).for_each(|_| drop(holding.spawn(hold_http(host, http_address(&edge)))));
    }
    eventually("a full house", || async { (count(&edge, "http", "evicted").await > 0).then_some(()) }).await;
    for _ in 0..50 {
        assert_eq!(edge.get("/health/ready").await, (200, "ready".to_owned()));
    }
    let peer = edge.peer(Way::WebSocket).await;
    assert_eq!(peer.way(), Some(Way::WebSocket));
}

/// A WebSocket from 127.0.0.`host` that says nothing.
async fn silent(edge: &Edge, host: u8) -> TcpStream {
    let mut stream = connect_from(host, http_address(edge)).await.unwrap();
    let request = "GET /atoll/ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("an answer", stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// The code that a silent WebSocket is closed with.
async fn close_of(mut stream: TcpStream) -> u32 {
    let mut heard = Vec::new();
    within("the close", stream.read_to_end(&mut heard)).await.unwrap();
    // A close frame, unmasked: its kind, its length, the code.
    let close = heard.iter().position(|byte| *byte == 0x88).unwrap();
    u16::from_be_bytes([heard[close + 2], heard[close + 3]]).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_of_four_places_keep_no_login_out() {
    let (edge, _folder) = configured("[limits]\npre_auth = 16\npre_auth_per_ip = 4\n").await;
    let mut silents = VecDeque::new();
    for host in 2..=5 {
        for _ in 0..4 {
            silents.push_back((host, silent(&edge, host).await));
        }
    }
    assert_eq!(close_of(silent(&edge, 2).await).await, CloseCode::Overloaded.code(), "a place has four");
    let mut inside = Vec::new();
    for way in WAYS.into_iter().chain(WAYS) {
        let mut connection = edge.raw(way).await;
        log_in(&mut connection, &Wallet::random().unwrap()).await.unwrap();
        inside.push(connection);
        let (host, oldest) = silents.pop_front().unwrap();
        assert_eq!(close_of(oldest).await, CloseCode::Overloaded.code(), "{way}");
        // It comes back.
        silents.push_back((host, silent(&edge, host).await));
    }
    assert!(inside.iter().all(|connection| !connection.transport.is_closed()));
    assert_eq!(count(&edge, "native", "pre_auth_refused").await, 1);
    assert_eq!(count(&edge, "native", "pre_auth_evicted").await, 6);
}

async fn log_in(connection: &mut Connection, wallet: &Wallet) -> Result<(), Option<CloseCode>> {
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    let expiration = SystemTime::now() + Duration::from_secs(60);
    let answered = connection.answer_challenge(wallet.sign(&challenge, expiration)).await;
    answered.map(drop).map_err(|error| error.code())
}

async fn logged_in(edge: &Edge, way: Way) -> Connection {
    let mut connection = edge.raw(way).await;
    log_in(&mut connection, &Wallet::random().unwrap()).await.unwrap();
    connection
}

/// Somebody who came in by a WebSocket from another address of this machine.
struct Elsewhere {
    connection: Connection,
    /// What the connection goes through; ends it when dropped.
    relay: JoinSet<()>,
}

impl Elsewhere {
    async fn log_in(edge: &Edge, host: u8, wallet: &Wallet) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = Target::websocket(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let to = http_address(edge);
        let mut relay = JoinSet::new();
        relay.spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = connect_from(host, to).await.unwrap();
            // It ends as its connections do, and they are looked at elsewhere.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
        let mut connection = Endpoint::open(&target, &edge.options()).await.unwrap().connect_raw().await.unwrap();
        log_in(&mut connection, wallet).await.unwrap();
        Self { connection, relay }
    }

    async fn anybody(edge: &Edge, host: u8) -> Self {
        Self::log_in(edge, host, &Wallet::random().unwrap()).await
    }

    async fn close_code(&self) -> Option<CloseCode> {
        within("the close", self.connection.closed()).await.code()
    }

    fn is_open(&self) -> bool {
        !self.connection.transport.is_closed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_one_place_has_filled_is_open_to_others() {
    let (edge, _folder) = configured("[limits]\nmax_sessions = 4\n").await;
    let wallet = Wallet::random().unwrap();
    let mut crowd = Vec::new();
    for _ in 0..3 {
        crowd.push(Elsewhere::anybody(&edge, 2).await);
    }
    crowd.push(Elsewhere::log_in(&edge, 2, &wallet).await);
    let first = logged_in(&edge, Way::Quic).await;
    assert_eq!(crowd[0].close_code().await, Some(CloseCode::Overloaded), "the oldest of the crowd");
    let second = logged_in(&edge, Way::WebTransport).await;
    assert_eq!(crowd[1].close_code().await, Some(CloseCode::Overloaded));

    // Two of each place, and nobody is better than another.
    let mut third = edge.raw(Way::Quic).await;
    let refused = log_in(&mut third, &Wallet::random().unwrap()).await;
    assert_eq!(refused, Err(Some(CloseCode::Overloaded)));
    // But the same address may always come again, from wherever.
    let mut moved = edge.raw(Way::Quic).await;
    log_in(&mut moved, &wallet).await.unwrap();
    assert_eq!(crowd[3].close_code().await, Some(CloseCode::Kicked));
    // The first two of here are the crowd now.
    let _again = Elsewhere::anybody(&edge, 2).await;
    let evicted = within("the close", first.closed()).await.code();
    assert_eq!(evicted, Some(CloseCode::Overloaded));

    assert_eq!(count(&edge, "region", "sessions_evicted").await, 3);
    assert!(crowd[2].is_open() && !second.transport.is_closed() && !moved.transport.is_closed());
    assert_eq!(count(&edge, "region", "sessions").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_without_a_connection_go_before_the_others_of_their_place() {
    let (edge, _folder) = configured("[limits]\nmax_sessions = 3\n").await;
    let mut crowd = Vec::new();
    for _ in 0..3 {
        crowd.push(Elsewhere::anybody(&edge, 2).await);
    }
    let lost = crowd.pop().unwrap();
    drop(lost.relay);
    eventually("a parked session", || async { (count(&edge, "native", "parked").await == 1).then_some(()) }).await;
    let inside = logged_in(&edge, Way::Quic).await;
    eventually("its end", || async { (count(&edge, "native", "parked").await == 0).then_some(()) }).await;
    assert_eq!(count(&edge, "region", "sessions").await, 3);
    assert_eq!(count(&edge, "region", "sessions_evicted").await, 1);
    assert!(crowd.iter().all(Elsewhere::is_open) && !inside.transport.is_closed());
}
