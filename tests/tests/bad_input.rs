//! Whatever a client sends wrong costs that client: a numbered close code or a typed error, and a count in `/status`.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::Connection;
use atoll_client::{Event, Options, Position, Target, Wallet, Way};
use atoll_proto::archipelago::{ChallengeRequestMessage, Heartbeat};
use atoll_proto::atoll::{ErrorCode, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{Kind, MAX_PAYLOAD, Sequence, Tag, Up};
use atoll_tests::{Edge, chat, eventually, position, within};
use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant, SystemTime};

const WAYS: [Way; 2] = [Way::Quic, Way::WebTransport];

/// What the edge closed the connection with.
async fn close_code(connection: &Connection) -> Option<CloseCode> {
    within("the close", connection.closed()).await.code()
}

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

fn request(wallet: &Wallet) -> client_message::Message {
    client_message::Message::ChallengeRequest(ChallengeRequestMessage { address: wallet.address().to_string() })
}

/// A logged-in connection to send anything on.
async fn logged_in(edge: &Edge, way: Way) -> Connection {
    logged_in_as(edge, &Wallet::random().unwrap(), way).await
}

async fn logged_in_as(edge: &Edge, wallet: &Wallet, way: Way) -> Connection {
    let mut connection = edge.raw(way).await;
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    let expiration = SystemTime::now() + Duration::from_secs(60);
    connection.answer_challenge(wallet.sign(&challenge, expiration)).await.unwrap();
    connection
}

/// Waits for the edge's report of refused items.
async fn refused(connection: &mut Connection) -> (ErrorCode, u32) {
    within("an error message", async {
        loop {
            if let server_message::Message::Error(error) = connection.recv().await.unwrap() {
                return (error.code(), error.count);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_control_streams_close_with_their_code_and_are_counted() {
    let edge = Edge::start().await;
    // Two who talk all the while.
    let (mut speaker, mut listener) = (edge.peer(Way::Quic).await, edge.peer(Way::WebTransport).await);
    for peer in [&speaker, &listener] {
        peer.heartbeat(Position::default());
    }
    tokio::join!(speaker.seated(2), listener.seated(2));

    let wallet = Wallet::random().unwrap();
    let heartbeat = client_message::Message::Heartbeat(Heartbeat::default());
    for way in WAYS {
        let mut garbage = edge.raw(way).await;
        garbage.send_frame(&[0xff; 40]).await.unwrap();
        assert_eq!(close_code(&garbage).await, Some(CloseCode::Malformed));

        let mut truncated = edge.raw(way).await;
        truncated.send_bytes(&[200, 1, 0x0a]).await.unwrap();
        truncated.writer.stream().finish().unwrap();
        assert_eq!(close_code(&truncated).await, Some(CloseCode::Malformed));

        let mut giant = edge.raw(way).await;
        giant.send_bytes(&[0x81, 0x80, 0x04]).await.unwrap();
        assert_eq!(close_code(&giant).await, Some(CloseCode::TooLarge));

        let mut endless = edge.raw(way).await;
        endless.send_bytes(&[0xff; 11]).await.unwrap();
        assert_eq!(close_code(&endless).await, Some(CloseCode::Malformed));

        let mut early = edge.raw(way).await;
        early.send(heartbeat.clone()).await.unwrap();
        assert_eq!(close_code(&early).await, Some(CloseCode::UnexpectedMessage));

        let mut twice = edge.raw(way).await;
        twice.send(request(&wallet)).await.unwrap();
        twice.send(request(&wallet)).await.unwrap();
        assert_eq!(close_code(&twice).await, Some(CloseCode::UnexpectedMessage));

        let mut again = logged_in(&edge, way).await;
        again.send(request(&wallet)).await.unwrap();
        assert_eq!(close_code(&again).await, Some(CloseCode::UnexpectedMessage));

        let mut nobody = edge.raw(way).await;
        assert_eq!(nobody.request_challenge("0xnobody").await.unwrap_err().code(), Some(CloseCode::Unauthorized));
    }
    for (name, expected) in [("malformed", 6), ("too_large", 2), ("unexpected_message", 6), ("unauthorized", 2)] {
        let pointer = format!("/native/closed/{name}");
        eventually(name, || async { (count(&edge, &pointer).await == expected).then_some(()) }).await;
    }

    // Nobody else noticed.
    let payload = chat("still here");
    listener.hears(|packet| packet.payload == payload, || speaker.send_event(payload.clone())).await;
    assert_eq!(listener.stats().islands, 1);
    assert_eq!(listener.island().members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_chains_that_do_not_hold_are_refused() {
    let edge = Edge::start().await;
    let wallet = Wallet::random().unwrap();
    let address = wallet.address().to_string();
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    for way in WAYS {
        let mut other_challenge = edge.raw(way).await;
        other_challenge.request_challenge(&address).await.unwrap();
        let chain = wallet.sign("dcl-atoll-00000000000000000000000000000000", in_an_hour);
        let refused = other_challenge.answer_challenge(chain).await.unwrap_err();
        assert_eq!(refused.code(), Some(CloseCode::Unauthorized));

        // A challenge is for one connection.
        let mut mine = edge.raw(way).await;
        let mut theirs = edge.raw(way).await;
        let challenge = mine.request_challenge(&address).await.unwrap();
        theirs.request_challenge(&address).await.unwrap();
        let refused = theirs.answer_challenge(wallet.sign(&challenge, in_an_hour)).await.unwrap_err();
        assert_eq!(refused.code(), Some(CloseCode::Unauthorized));
        mine.answer_challenge(wallet.sign(&challenge, in_an_hour)).await.unwrap();

        let mut expired = edge.raw(way).await;
        let challenge = expired.request_challenge(&address).await.unwrap();
        let refused = expired.answer_challenge(wallet.sign(&challenge, SystemTime::now())).await.unwrap_err();
        assert_eq!(refused.code(), Some(CloseCode::Unauthorized));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_that_are_no_place_are_reported_and_have_no_effect() {
    let edge = Edge::start().await;
    for way in WAYS {
        let mut connection = logged_in(&edge, way).await;
        let places = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30].map(|x| Some(Position { x, y: 0.0, z: 0.0 }));
        for position in places.into_iter().chain([None]) {
            let heartbeat = Heartbeat { position, desired_room: None };
            connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
        }
        // The first report may come before all five were read.
        let mut reported = 0;
        while reported < 5 {
            let (code, count) = refused(&mut connection).await;
            assert_eq!(code, ErrorCode::InvalidPosition);
            reported += count;
        }
        assert_eq!(reported, 5);
        // The session goes on.
        let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
        connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
        let next = within("an island", connection.recv()).await.unwrap();
        assert!(matches!(next, server_message::Message::IslandChanged(_)), "{next:?}");
    }
    assert_eq!(count(&edge, "/native/refused/ERROR_CODE_INVALID_POSITION").await, 10);
    assert_eq!(count(&edge, "/region/heartbeats").await, 2);
}

fn datagram(kind: u8, tag: Tag, payload: &Bytes) -> Bytes {
    let mut bytes = BytesMut::new();
    Up { kind: Kind::Event, tag, sequence: Sequence(1), payload: payload.clone() }.encode(&mut bytes);
    bytes[0] = kind;
    bytes.freeze()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_datagrams_are_dropped_counted_and_told() {
    let edge = Edge::start().await;
    for way in WAYS {
        let mut connection = logged_in(&edge, way).await;
        let tag = Tag(1);
        connection.send_datagram(datagram(1, tag, &Bytes::new())).unwrap();
        assert_eq!(refused(&mut connection).await, (ErrorCode::NoSeat, 1));

        let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
        connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
        let island = within("an island", async {
            loop {
                if let server_message::Message::IslandChanged(island) = connection.recv().await.unwrap() {
                    return island;
                }
            }
        });
        let tag = Tag(island.await.tag);

        connection.send_datagram(Bytes::from_static(&[1, 2, 3])).unwrap();
        assert_eq!(refused(&mut connection).await, (ErrorCode::MalformedDatagram, 1));
        connection.send_datagram(datagram(9, tag, &Bytes::new())).unwrap();
        assert_eq!(refused(&mut connection).await, (ErrorCode::MalformedDatagram, 1));
        connection.send_datagram(datagram(1, tag, &Bytes::from(vec![0; MAX_PAYLOAD + 1]))).unwrap();
        assert_eq!(refused(&mut connection).await, (ErrorCode::PayloadTooLarge, 1));
        // Not the sender's fault, so only counted.
        let before = count(&edge, "/native/wrong_tag").await;
        connection.send_datagram(datagram(1, Tag(tag.0 ^ 1), &Bytes::new())).unwrap();
        eventually("the count of wrong tags", || async {
            (count(&edge, "/native/wrong_tag").await == before + 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_a_foreign_webtransport_session_are_dropped_and_the_session_stays() {
    let edge = Edge::start().await;
    let (mut speaker, mut listener) = (edge.peer(Way::WebTransport).await, edge.peer(Way::Quic).await);
    for peer in [&speaker, &listener] {
        peer.heartbeat(Position::default());
    }
    tokio::join!(speaker.seated(2), listener.seated(2));
    // On the QUIC connection itself, so that the prefix is ours to choose.
    for prefix in [1, 0x3f, 0x40, 0xff] {
        let mut foreign = vec![prefix; 8];
        foreign.extend_from_slice(&chat("not from this session"));
        speaker.transport().unwrap().quic().unwrap().send_datagram(foreign.into()).unwrap();
    }
    eventually("the count of foreign datagrams", || async {
        (count(&edge, "/native/foreign_datagrams").await == 4).then_some(())
    })
    .await;
    let payload = position(1.0, 1.0, 1);
    listener.hears(|packet| packet.payload == payload, || speaker.send_update(payload.clone())).await;
    assert!(speaker.closed().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_ways_in_are_refused_with_a_code_after_a_200() {
    let edge = Edge::start().await;
    let wallet = Wallet::random().unwrap();
    let refusal = async |url: String, options: Options| {
        let target = Target::webtransport(&url).unwrap();
        atoll_client::Client::connect(&target, &wallet, &options).await.unwrap_err().code()
    };
    let nowhere = refusal(format!("{}/nowhere", edge.quic()), edge.options()).await;
    assert_eq!(nowhere, Some(CloseCode::NotFound));
    let options = Options { subprotocols: vec!["other.1".to_owned()], ..edge.options() };
    assert_eq!(refusal(edge.quic().to_owned(), options).await, Some(CloseCode::UnsupportedProtocol));
    // Who offers none gets the only one there is.
    let options = Options { subprotocols: Vec::new(), ..edge.options() };
    let target = Target::webtransport(edge.quic()).unwrap();
    atoll_client::Client::connect(&target, &wallet, &options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_alpn_ends_in_the_handshake() {
    let edge = Edge::start().await;
    let refused = within("the handshake's end", unknown_alpn(edge.quic())).await;
    // no_application_protocol, as QUIC carries a TLS alert.
    let quinn::ConnectionError::ConnectionClosed(close) = refused else { panic!("{refused}") };
    assert_eq!(u64::from(close.error_code), 0x100 + 120);
    eventually("the count of failed handshakes", || async {
        (count(&edge, "/native/handshakes_failed").await == 1).then_some(())
    })
    .await;
}

async fn unknown_alpn(edge: &str) -> quinn::ConnectionError {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty());
    let mut tls = tls.with_no_client_auth();
    tls.alpn_protocols = vec![b"atoll/999".to_vec()];
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(std::sync::Arc::new(config)));
    let address = edge.strip_prefix("https://").unwrap().parse().unwrap();
    endpoint.connect(address, "localhost").unwrap().await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_logs_in_has_ten_seconds() {
    let edge = Edge::start().await;
    let started = Instant::now();
    let wallet = Wallet::random().unwrap();
    // One opens no stream (QUIC tells of it with its first byte), one says nothing on it, and one stops half-way.
    let streamless = edge.raw(Way::Quic).await;
    let silent = edge.raw(Way::WebTransport).await;
    let mut half_way = edge.raw(Way::WebTransport).await;
    half_way.send(request(&wallet)).await.unwrap();
    let (a, b, c) = tokio::join!(close_code(&streamless), close_code(&silent), close_code(&half_way));
    assert_eq!([a, b, c], [Some(CloseCode::LoginTimeout); 3]);
    let waited = started.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
    assert_eq!(count(&edge, "/native/closed/login_timeout").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refused_items_is_counted_and_reported_once_a_second() {
    const FLOOD: u32 = 5000;
    let edge = Edge::start().await;
    let mut flooder = logged_in(&edge, Way::Quic).await;
    let started = Instant::now();
    for _ in 0..FLOOD {
        flooder.send(client_message::Message::Heartbeat(Heartbeat::default())).await.unwrap();
    }
    let (mut reports, mut reported) = (0, 0);
    while reported < FLOOD {
        reported += refused(&mut flooder).await.1;
        reports += 1;
    }
    assert_eq!(reported, FLOOD);
    assert!(reports <= 2 + started.elapsed().as_secs(), "{reports} reports");
    assert_eq!(count(&edge, "/native/refused/ERROR_CODE_INVALID_POSITION").await, u64::from(FLOOD));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_without_end_are_taken_ten_a_second() {
    let edge = Edge::start().await;
    let mut eager = logged_in(&edge, Way::WebTransport).await;
    for _ in 0..500 {
        let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
        eager.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
    }
    assert_eq!(refused(&mut eager).await.0, ErrorCode::TooFast);
    let taken = count(&edge, "/region/heartbeats").await;
    assert!((60..110).contains(&taken), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kicked_hears_it_before_the_close() {
    let edge = Edge::start().await;
    for way in WAYS {
        let wallet = Wallet::random().unwrap();
        let mut first = logged_in_as(&edge, &wallet, way).await;
        let _second = edge.client_of(&wallet, way).await;
        let told = within("the kick", first.recv()).await.unwrap();
        assert!(matches!(told, server_message::Message::Kicked(_)), "{told:?}");
        assert_eq!(close_code(&first).await, Some(CloseCode::Kicked));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_silent_loses_session_and_seat() {
    let edge = Edge::start_with(&["--archipelago-peer-timeout", "3"]).await;
    let mut steady = edge.peer(Way::Quic).await;
    let mut silent = edge.peer(Way::WebTransport).await;
    silent.heartbeat(Position::default());
    steady.heartbeat(Position::default());
    steady.seated(2).await;
    let alone = async {
        let mut beat = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                _ = beat.tick() => steady.heartbeat(Position::default()),
                _ = steady.next_event() => if steady.island().members.len() == 1 { return },
            }
        }
    };
    within("the silent one's leave", alone).await;
    let why = within("the silent one's end", async {
        loop {
            if let Event::Closed(why) = silent.next_event().await {
                return why;
            }
        }
    })
    .await;
    assert_eq!(why.code(), Some(CloseCode::Silent));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_tcp_connections_do_not_take_health_down() {
    let edge = Edge::start().await;
    let address = edge.http().strip_prefix("http://").unwrap().parse().unwrap();
    let mut silent = Vec::new();
    // More than are served at a time, in all and of one address.
    for number in 0..400u16 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 1, (number % 20) as u8 + 1], 0).into()).unwrap();
        silent.push(socket.connect(address).await.unwrap());
    }
    assert_eq!(edge.get("/health/live").await.0, 200);
    let mut first = silent.swap_remove(0);
    let ended = within("the end of a silent connection", async {
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut first, &mut rest).await
    });
    assert!(ended.await.is_ok());
}
