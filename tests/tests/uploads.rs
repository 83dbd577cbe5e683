//! Large messages from clients: who announces or stalls holds nobody up, and a client that has to wait is heard all the
//! while.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::{Connection, SendStream};
use atoll_client::{Event, Position, Wallet, Way};
use atoll_proto::archipelago::Heartbeat;
use atoll_proto::atoll::{Large, LargeHeader, Received, Resume, client_message, large_header, server_message};
use atoll_proto::channel::{Channel, LARGE_SLICE, join};
use atoll_proto::close::CloseCode;
use atoll_proto::framing::put_frame;
use atoll_proto::lanes::{LARGE_STREAM, MAX_LARGE};
use atoll_tests::{Edge, Peer, eventually, within};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

const HERE: Position = Position { x: 0.0, y: 0.0, z: 0.0 };

/// A connection, and the token to resume its session with.
async fn logged_in(edge: &Edge, way: Way) -> (Connection, String) {
    let wallet = Wallet::random().unwrap();
    let mut connection = edge.raw(way).await;
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    let expiration = SystemTime::now() + Duration::from_secs(60);
    let welcome = connection.answer_challenge(wallet.sign(&challenge, expiration)).await.unwrap();
    (connection, welcome.resume_token)
}

/// The header of a large message, and as much of its payload as is sent.
fn large(tag: u32, number: u64, sent: usize) -> BytesMut {
    let large = Large { tag, number, sender: None, length: MAX_LARGE as u32 };
    let mut bytes = BytesMut::new();
    put_frame(&LargeHeader { message: Some(large_header::Message::Large(large)) }, &mut bytes);
    bytes.resize(bytes.len() + sent, number as u8);
    bytes
}

fn payload(number: u64) -> Bytes {
    vec![number as u8; MAX_LARGE].into()
}

async fn closed_too_slow(edge: &Edge) -> u64 {
    edge.status().await["native"]["closed"]["too_slow"].as_u64().unwrap_or(0)
}

/// Two who sit in one island.
async fn two(edge: &Edge, way: Way) -> (Peer, Peer) {
    let (mut speaker, mut listener) = (edge.peer(way).await, edge.peer(Way::Quic).await);
    for peer in [&speaker, &listener] {
        peer.heartbeat(HERE);
    }
    tokio::join!(speaker.seated(2), listener.seated(2));
    (speaker, listener)
}

/// So many clients with two large messages each of which this many bytes were sent. Their streams stay open.
async fn stalling(edge: &Edge, clients: usize, sent: usize) -> Vec<(Connection, String, Vec<SendStream>)> {
    let mut stalling = Vec::new();
    for _ in 0..clients {
        let (connection, token) = logged_in(edge, Way::Quic).await;
        let mut streams = Vec::new();
        for number in [1, 2] {
            let mut bytes = BytesMut::from(&[LARGE_STREAM][..]);
            bytes.unsplit(large(1, number, sent));
            streams.push(within("a large stream", connection.open_stream(&bytes)).await.unwrap());
        }
        stalling.push((connection, token, streams));
    }
    stalling
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_alone_hold_nobody_up() {
    let edge = Edge::start().await;
    let (speaker, mut listener) = two(&edge, Way::Quic).await;
    let _stalling = stalling(&edge, 40, 1).await;
    let sent = Instant::now();
    speaker.send_large(payload(7)).unwrap();
    assert_eq!(listener.message().await.payload, payload(7));
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
    assert_eq!(closed_too_slow(&edge).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stalls_gives_way_and_may_resume() {
    let edge = Edge::start().await;
    let (speaker, mut listener) = two(&edge, Way::Quic).await;
    let stalling = stalling(&edge, 33, MAX_LARGE - 1).await;
    let sent = Instant::now();
    speaker.send_large(payload(7)).unwrap();
    assert_eq!(listener.message().await.payload, payload(7));
    assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
    let gave_way = eventually("somebody who gives way", || async {
        let status = edge.status().await;
        let parked = status["native"]["parked"].as_u64().unwrap();
        (parked > 0).then_some(parked)
    })
    .await;
    // Some, and not all.
    assert!((1..=16).contains(&gave_way), "{gave_way}");
    assert_eq!(closed_too_slow(&edge).await, gave_way);
    let told =
        eventually("a close", || async { stalling.iter().find(|(connection, ..)| connection.transport.is_closed()) })
            .await;
    assert_eq!(told.0.closed().await.code(), Some(CloseCode::TooSlow));

    // It takes its session up and sends the message again.
    let mut again = edge.raw(Way::Quic).await;
    let resume = Resume { token: told.1.clone(), received: Some(Received::default()) };
    let welcome = within("a welcome", again.login_by_resume(resume, None)).await.unwrap().unwrap();
    assert_eq!(welcome.resumed, Some(Received::default()));
    let mut bytes = BytesMut::from(&[LARGE_STREAM][..]);
    bytes.unsplit(large(1, 1, MAX_LARGE));
    let _stream = within("a large stream", again.open_stream(&bytes)).await.unwrap();
    within("its acknowledgement", async {
        loop {
            if let server_message::Message::Received(received) = again.recv().await.unwrap() {
                return assert_eq!(received.large, 1);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_wait_for_its_pace_on_a_websocket_is_heard_and_loses_nothing() {
    // Shorter than the 8 s that one large message may have to wait.
    let edge = Edge::start_with(&["--archipelago-peer-timeout", "4"]).await;
    let (mut speaker, mut listener) = two(&edge, Way::WebSocket).await;
    for number in 1..=4 {
        speaker.send_large(payload(number)).unwrap();
    }
    let started = Instant::now();
    let mut beats = tokio::time::interval(Duration::from_secs(1));
    // None is lost, and none comes twice; their order is not promised.
    let mut heard = BTreeSet::new();
    within("all four, and some time after them", async {
        while heard.len() < 4 || started.elapsed() < Duration::from_secs(24) {
            tokio::select! {
                _ = beats.tick() => {
                    speaker.heartbeat(HERE);
                    listener.heartbeat(HERE);
                }
                event = speaker.next_event() => panic!("the speaker is told {event:?}"),
                event = listener.next_event() => match event {
                    Event::Large(message) => {
                        let number = u64::from(message.payload[0]);
                        assert!((1..=4).contains(&number) && message.payload == payload(number), "altered: {number}");
                        assert!(heard.insert(number), "heard twice: {number}");
                    }
                    other => panic!("the listener is told {other:?}"),
                },
            }
        }
    })
    .await;
    // The last ones had to wait for their pace.
    assert!(started.elapsed() > Duration::from_secs(14), "{:?}", started.elapsed());
    assert_eq!((speaker.stats().resumed, speaker.stats().restarted), (0, 0));
}

/// By hand, because a client of the library would come back.
#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_on_a_websocket_that_is_read_is_silent_all_the_same() {
    let edge = Edge::start_with(&["--archipelago-peer-timeout", "3"]).await;
    let (mut connection, _) = logged_in(&edge, Way::WebSocket).await;
    let heartbeat = Heartbeat { position: Some(HERE), desired_room: None };
    connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
    let tag = within("an island", async {
        loop {
            if let server_message::Message::IslandChanged(island) = connection.recv().await.unwrap() {
                return island.tag;
            }
        }
    })
    .await;
    // Three messages are held up for eight seconds; then there is nothing to wait for.
    let websocket = connection.transport.as_websocket().unwrap().clone();
    let started = Instant::now();
    for number in 1..=3 {
        for piece in large(tag, number, MAX_LARGE).chunks(LARGE_SLICE) {
            within("a piece", websocket.send_binary(join(Channel::Large, piece))).await.unwrap();
        }
    }
    assert_eq!(within("the close", connection.closed()).await.code(), Some(CloseCode::Silent));
    assert!(started.elapsed() > Duration::from_secs(8), "{:?}", started.elapsed());
}
