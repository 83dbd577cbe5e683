//! Clients of WebSocket rooms that take more than their share, do not go, or come twice: it costs them, and not the others.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Position, Wallet, Way};
use atoll_proto::rfc5::WsPeerLeave;
use atoll_proto::rfc5::ws_packet::Message;
use atoll_tests::room::{Explorer, Rfc5, path_of};
use atoll_tests::websocket::{Origin, WebSocket};
use atoll_tests::{Edge, chat, eventually, within};
use serde_json::Value;
use std::time::{Duration, Instant};

const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };

/// A client whose system keeps little for it.
const SMALL: Origin = Origin { from: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), unread: Some(4096) };

async fn edge() -> Edge {
    Edge::start_configured("[rooms]\nrules = [\"world-* open\"]\n").await
}

fn wallet() -> Wallet {
    Wallet::random().unwrap()
}

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(Value::as_u64).unwrap()
}

/// Pings of the largest size, one after the other.
async fn flood_with_pings(socket: &mut WebSocket, megabytes: usize) {
    // A client's frames are masked: with zeros here.
    let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    ping.extend([7; 125]);
    let many = ping.repeat(1000);
    for _ in 0..megabytes * 8 {
        // The edge may have had enough of it.
        if within("a client that is read or closed", socket.send_raw(&many)).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_of_a_client_that_does_not_read_cost_no_memory() {
    let edge = edge().await;
    let mut room = WebSocket::open(edge.http(), "/rooms/world-a", "rfc5", SMALL).await.unwrap();
    let mut member = Rfc5 { socket: room, others: Default::default(), alias: 0 };
    member.sign(&wallet()).await;
    member.welcomed().await;
    room = member.socket;
    let mut native = WebSocket::open(edge.http(), "/atoll/ws", "atoll.1", SMALL).await.unwrap();
    let mut kernel = WebSocket::open(edge.http(), "/rpc", "comms", SMALL).await.unwrap();
    let before = edge.memory();
    for socket in [&mut room, &mut native, &mut kernel] {
        flood_with_pings(socket, 40).await;
    }
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 20, "{grown} MiB for 120 MB of pings");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_too_much_of_what_may_not_be_lost_waits() {
    const SIZE: usize = 15_000;
    const MESSAGES: usize = 160;
    let edge = edge().await;
    let mut speaker = Rfc5::signed_in(edge.http(), "world-a", &wallet()).await;
    let mut listener = Rfc5::signed_in(edge.http(), "world-a", &wallet()).await;
    let began = Instant::now();
    let saying = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            speaker.say(vec![7; SIZE], false).await;
        }
        speaker
    });
    for _ in 0..MESSAGES {
        assert_eq!(listener.hears().await.1.len(), SIZE);
    }
    // 2 MiB at once, then 128 KiB a second.
    let due = (MESSAGES * SIZE - (2 << 20)) as f64 / f64::from(128 << 10);
    assert!(began.elapsed().as_secs_f64() > 0.9 * due, "{:?} and not {due} s", began.elapsed());
    // Nothing was lost, and the speaker is heard as before.
    let mut speaker = saying.await.unwrap();
    speaker.say(chat("at last"), false).await;
    assert_eq!(listener.hears().await.1, chat("at last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_replaced_and_does_not_read_goes_all_the_same() {
    let edge = edge().await;
    let mut neighbour = edge.peer(Way::Quic).await;
    neighbour.heartbeat(HERE);
    neighbour.seated(1).await;
    let mut session = Explorer::log_in(edge.http(), &wallet()).await;
    session.stand(HERE).await;
    let (_, string) = session.island().await;
    let socket = WebSocket::open(edge.http(), &path_of(&string), "rfc5", SMALL).await.unwrap();
    let mut stubborn = Rfc5 { socket, others: Default::default(), alias: 0 };
    stubborn.welcomed().await;
    neighbour.seated(2).await;
    let much = chat(&"a".repeat(15_000));
    for _ in 0..40 {
        eventually("a place for a message", || async { neighbour.send_ordered(much.clone()).ok() }).await;
    }
    let mut second = Rfc5::by_string(edge.http(), &string).await;
    // It goes on talking, and is not kept for that.
    within("the end of the first socket", async {
        while stubborn.socket.send(vec![0x7a, 0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    eventually("one socket in rooms", || async { (count(&edge, "/kernels/ws_room/sockets").await == 1).then_some(()) })
        .await;
    second.say(chat("the same seat"), false).await;
    assert_eq!(neighbour.message().await.payload, chat("the same seat"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_comes_again_leaves_before_it_joins() {
    let edge = edge().await;
    let (who, mut witness) = (wallet(), Rfc5::signed_in(edge.http(), "world-a", &wallet()).await);
    let mut first = Rfc5::signed_in(edge.http(), "world-a", &who).await;
    witness.among(&[who.address().to_string()]).await;
    let second = Rfc5::signed_in(edge.http(), "world-a", &who).await;
    let left = witness.next().await;
    assert!(matches!(left, Message::PeerLeaveMessage(WsPeerLeave { alias }) if alias == first.alias), "{left:?}");
    let Message::PeerJoinMessage(joined) = witness.next().await else { panic!("a join is due") };
    assert_eq!((joined.alias, joined.address), (second.alias, who.address().to_string()));
    assert!(matches!(first.next().await, Message::PeerKicked(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_edge_is_told_in_rooms_whatever_ends_first() {
    let edge = Edge::start_logged(&[]).await;
    let mut members = Vec::new();
    for _ in 0..8 {
        let mut session = Explorer::log_in(edge.http(), &wallet()).await;
        session.stand(HERE).await;
        let (_, string) = session.island().await;
        let room = Rfc5::by_string(edge.http(), &string).await;
        members.push((session, room));
    }
    edge.terminate().await;
    for (_session, room) in &mut members {
        let code = room.socket.close_code().await;
        assert!(matches!(code, 1000 | 1001), "{code}");
    }
    let log = edge.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(edge.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_sixteen_seats_at_most() {
    let edge = edge().await;
    let who = wallet();
    let mut seats = Vec::new();
    for room in 0..16 {
        seats.push(Rfc5::signed_in(edge.http(), &format!("world-{room}"), &who).await);
    }
    let mut more = Rfc5::open(edge.http(), "/rooms/world-more").await.unwrap();
    more.sign(&who).await;
    assert_eq!(more.next_or_end().await.unwrap_err().code, Some(1013));
    drop(seats.pop());
    within("a place", async {
        loop {
            let mut again = Rfc5::open(edge.http(), "/rooms/world-more").await.unwrap();
            again.sign(&who).await;
            if again.next_or_end().await.is_ok() {
                return;
            }
        }
    })
    .await;
}
