//! Who is not let in, and who is told to go: budgets before the login, origins, WebSockets that break their rules, and
//! the end of the edge.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::Connection;
use atoll_client::{Closed, ConnectError, Position, Wallet, Way};
use atoll_proto::archipelago::Heartbeat;
use atoll_proto::atoll::{client_message, server_message};
use atoll_proto::channel::{Channel, MAX_WEBSOCKET_MESSAGE, join};
use atoll_proto::close::CloseCode;
use atoll_tests::{Edge, eventually, within};
use bytes::Bytes;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WAYS: [Way; 3] = [Way::Quic, Way::WebTransport, Way::WebSocket];

/// An edge with a configuration file of its own, and the folder that holds it.
async fn configured(text: &str) -> (Edge, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atoll.toml");
    std::fs::write(&file, text).unwrap();
    (Edge::start_with(&["--config", file.to_str().unwrap()]).await, folder)
}

async fn logged_in(edge: &Edge, way: Way) -> Connection {
    let wallet = Wallet::random().unwrap();
    let mut connection = edge.raw(way).await;
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    let expiration = SystemTime::now() + Duration::from_secs(60);
    connection.answer_challenge(wallet.sign(&challenge, expiration)).await.unwrap();
    connection
}

async fn close_code(connection: &Connection) -> Option<CloseCode> {
    within("the close", connection.closed()).await.code()
}

/// The close of a client that broke the rules, and what it is told about it.
async fn malformed(connection: &Connection) -> String {
    match within("the close", connection.closed()).await {
        Closed::Edge { code, reason } if code == u64::from(CloseCode::Malformed.code()) => reason,
        other => panic!("{other:?}"),
    }
}

async fn refused(edge: &Edge) -> u64 {
    edge.status().await["native"]["pre_auth_refused"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_may_wait_to_log_in_and_a_login_makes_room() {
    let (edge, _folder) = configured("[limits]\npre_auth_per_ip = 3\n").await;
    // Those who have logged in do not count.
    let mut inside = Vec::new();
    for way in WAYS.into_iter().chain(WAYS) {
        inside.push(logged_in(&edge, way).await);
    }
    // Nor do those who have gone.
    for way in WAYS {
        let gone = edge.raw(way).await;
        gone.transport.close(CloseCode::Closed, "");
    }
    eventually("an edge with those inside only", || async {
        (edge.status().await["native"]["connections"] == inside.len()).then_some(())
    })
    .await;
    let waiting = [edge.raw(Way::Quic).await, edge.raw(Way::WebTransport).await, edge.raw(Way::WebSocket).await];

    for way in [Way::Quic, Way::WebTransport] {
        let refused = within("a refusal", edge.endpoint(way).await.connect_raw()).await;
        assert!(matches!(refused, Err(ConnectError::Closed(_))), "{way}: {refused:?}");
    }
    let late = edge.raw(Way::WebSocket).await;
    assert_eq!(close_code(&late).await, Some(CloseCode::Overloaded));
    assert_eq!(refused(&edge).await, 3);

    drop(waiting);
    within("a place", async {
        // The edge may not have heard yet that they are gone.
        while edge.endpoint(Way::Quic).await.connect_raw().await.is_err() {}
    })
    .await;
    for connection in &inside {
        assert!(!connection.transport.is_closed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_messages_that_belong_to_no_channel_end_the_session() {
    let edge = Edge::start().await;
    let wrong: [(Bytes, &str); 3] = [
        (Bytes::new(), "an empty message"),
        (Bytes::from_static(&[9, 1, 2, 3]), "unknown channel 9"),
        (vec![Channel::Large as u8; MAX_WEBSOCKET_MESSAGE + 1].into(), "a message above 66560 bytes"),
    ];
    for (message, reason) in wrong {
        let connection = logged_in(&edge, Way::WebSocket).await;
        connection.transport.as_websocket().unwrap().send_binary(message).await.unwrap();
        assert_eq!(malformed(&connection).await, reason);
    }
    // Far above what may be in one message: nobody takes it, and the close arrives all the same.
    for _ in 0..10 {
        let connection = logged_in(&edge, Way::WebSocket).await;
        connection.transport.as_websocket().unwrap().send_binary(vec![0; 1 << 20].into()).await.unwrap();
        assert_eq!(malformed(&connection).await, "a message above 66560 bytes");
    }
    let connection = logged_in(&edge, Way::WebSocket).await;
    connection.transport.as_websocket().unwrap().send_text("hello").await.unwrap();
    assert_eq!(malformed(&connection).await, "a text message");
    // One after the other, all of which are on their way when the first is refused.
    let connection = logged_in(&edge, Way::WebSocket).await;
    for _ in 0..3 {
        let _ = connection.transport.as_websocket().unwrap().send_binary(vec![9; 60_000].into()).await;
    }
    assert_eq!(malformed(&connection).await, "unknown channel 9");

    // A channel without bytes says nothing.
    let mut connection = logged_in(&edge, Way::WebSocket).await;
    for channel in [Channel::Control, Channel::Ordered, Channel::Large] {
        connection.transport.as_websocket().unwrap().send_binary(join(channel, &[])).await.unwrap();
    }
    let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
    connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
    let next = within("an island", connection.recv()).await.unwrap();
    assert!(matches!(next, server_message::Message::IslandChanged(_)), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_frames_are_skipped_but_not_for_ever() {
    let edge = Edge::start().await;
    for way in WAYS {
        let mut patient = edge.raw(way).await;
        patient.send_bytes(&[0; 64]).await.unwrap();
        patient.request_challenge(&Wallet::random().unwrap().address().to_string()).await.unwrap();
        patient.send_bytes(&[0; 65]).await.unwrap();
        assert_eq!(close_code(&patient).await, Some(CloseCode::Malformed), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_bidirectional_stream_is_refused_and_the_session_goes_on() {
    let edge = Edge::start().await;
    let mut connection = logged_in(&edge, Way::Quic).await;
    let (mut send, mut receive) = connection.transport.open_bi().await.unwrap();
    within("the stop", async { while send.write_all(&[0; 1024]).await.is_ok() {} }).await;
    assert!(within("the reset", receive.read_chunk(1)).await.is_err());
    let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
    connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
    let next = within("an island", connection.recv()).await.unwrap();
    assert!(matches!(next, server_message::Message::IslandChanged(_)), "{next:?}");
}

/// Opens a WebSocket as a page of `origin`, and reads the code of its close.
async fn close_of_page(edge: &Edge, origin: &str, offered: &str) -> u16 {
    let authority = edge.http().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request = format!(
        "GET /atoll/ws HTTP/1.1\r\nhost: {authority}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: {offered}\r\norigin: {origin}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within("the end of the answer", stream.read_to_end(&mut answer)).await.unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    // A close frame, unmasked: its kind, its length, the code.
    let close = answer[head..].iter().position(|byte| *byte == 0x88).unwrap() + head;
    u16::from_be_bytes([answer[close + 2], answer[close + 3]])
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused_by_a_close_code() {
    let (edge, _folder) = configured("allowed_origins = ['https://play.example']\n").await;
    let (elsewhere, welcome) = ("https://elsewhere.example", "https://play.example");
    assert_eq!(u32::from(close_of_page(&edge, elsewhere, "atoll.1").await), CloseCode::Unauthorized.code());
    assert_eq!(u32::from(close_of_page(&edge, welcome, "other.1").await), CloseCode::UnsupportedProtocol.code());
    assert_eq!(u32::from(close_of_page(&edge, welcome, "atoll.1").await), CloseCode::LoginTimeout.code());
    // Who is no page names no origin.
    for way in WAYS {
        logged_in(&edge, way).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_announced_on_every_way_and_comes_in_time() {
    let (edge, _folder) = configured("[shutdown]\ngrace = 1.5\n").await;
    let mut connections = Vec::new();
    for way in WAYS {
        connections.push(logged_in(&edge, way).await);
    }
    let told = Instant::now();
    edge.terminate().await;
    for connection in &mut connections {
        let draining = within("the announcement", connection.recv()).await.unwrap();
        let server_message::Message::Draining(draining) = draining else { panic!("{draining:?}") };
        assert!((1..=1500).contains(&draining.close_in_ms), "{}", draining.close_in_ms);
    }
    for connection in &connections {
        assert_eq!(close_code(connection).await, Some(CloseCode::ShuttingDown));
    }
    assert!(told.elapsed() > Duration::from_secs(1), "they had their time: {:?}", told.elapsed());
    assert!(edge.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_grace_when_everybody_has_gone() {
    let (edge, _folder) = configured("[shutdown]\ngrace = 60\n").await;
    let connection = logged_in(&edge, Way::WebSocket).await;
    edge.terminate().await;
    connection.transport.close(CloseCode::Closed, "");
    assert!(edge.ended().await.success());
}
