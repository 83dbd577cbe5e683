//! WebSocket rooms as the original services had them: logins, who is there, what is relayed, and what is not let in.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_core::auth::RoomKeys;
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::rfc5::{WsIdentification, WsPeerLeave, WsSignedChallenge};
use atoll_tests::kernel::in_an_hour;
use atoll_tests::room::Rfc5;
use atoll_tests::websocket::{Origin, WebSocket};
use atoll_tests::{Edge, chat, eventually, position};
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of sixteen bytes or more";

async fn edge() -> Edge {
    let rooms = "[rooms]\nrules = [\"testRoom open\", \"world-* open\", \"backstage token\"]\n";
    Edge::start_configured(&format!("{rooms}[ws_room]\nsecret = \"{SECRET}\"\n")).await
}

fn wallet() -> Wallet {
    Wallet::random().unwrap()
}

fn name(wallet: &Wallet) -> String {
    wallet.address().to_string()
}

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_noise_is_closed_and_hears_nothing() {
    let edge = edge().await;
    let began = Instant::now();
    let mut silent = Rfc5::open(edge.http(), "/rooms/testRoom").await.unwrap();
    let closed = silent.next_or_end().await.unwrap_err();
    assert_eq!(closed.code, Some(1008));
    assert!((900..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let mut noisy = Rfc5::open(edge.http(), "/rooms/testRoom").await.unwrap();
    noisy.socket.send(vec![1, 2, 3, 4, 5, 6]).await.unwrap();
    assert_eq!(noisy.next_or_end().await.unwrap_err().code, Some(1007));
    for first in [
        Message::PeerLeaveMessage(WsPeerLeave { alias: 1 }),
        Message::PeerIdentification(WsIdentification { address: "nobody".to_owned() }),
        Message::SignedChallengeForServer(WsSignedChallenge::default()),
    ] {
        let mut wrong = Rfc5::open(edge.http(), "/rooms/testRoom").await.unwrap();
        wrong.send(first).await;
        assert_eq!(wrong.next_or_end().await.unwrap_err().code, Some(1007));
    }
    let mut forger = Rfc5::open(edge.http(), "/rooms/testRoom").await.unwrap();
    forger.send(Message::PeerIdentification(WsIdentification { address: name(&wallet()) })).await;
    assert!(
        matches!(forger.next().await, Message::ChallengeMessage(challenge) if challenge.challenge_to_sign.starts_with("dcl-0."))
    );
    let auth_chain_json = wallet().sign("dcl-0.another", in_an_hour());
    forger.send(Message::SignedChallengeForServer(WsSignedChallenge { auth_chain_json })).await;
    assert_eq!(forger.next_or_end().await.unwrap_err().code, Some(1008));
    assert_eq!(count(&edge, "/kernels/ws_room/logins").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_a_room_hear_each_other_and_those_of_others_do_not() {
    let edge = edge().await;
    let [a, b, c] = [wallet(), wallet(), wallet()];
    let mut alice = Rfc5::signed_in(edge.http(), "testRoom", &a).await;
    assert!(alice.others.is_empty() && alice.alias > 0);
    let mut bob = Rfc5::signed_in(edge.http(), "testRoom", &b).await;
    assert_eq!(bob.others.values().cloned().collect::<Vec<_>>(), [name(&a)]);
    alice.among(&[name(&b)]).await;
    let mut stranger = Rfc5::signed_in(edge.http(), "world-elsewhere", &wallet()).await;
    for (body, unreliable) in [(&b"from alice"[..], true), (b"and more", false), (b"", true)] {
        alice.say(body, unreliable).await;
        assert_eq!(bob.hears().await, (name(&a), body.to_vec(), unreliable));
    }
    bob.say(&b"from bob"[..], false).await;
    assert_eq!(alice.hears().await, (name(&b), b"from bob".to_vec(), false), "and not her own");

    let mut clohe = Rfc5::signed_in(edge.http(), "testRoom", &c).await;
    clohe.among(&[name(&a), name(&b)]).await;
    alice.among(&[name(&b), name(&c)]).await;
    bob.among(&[name(&a), name(&c)]).await;
    clohe.say(&b"hi both"[..], false).await;
    for other in [&mut alice, &mut bob] {
        assert_eq!(other.hears().await, (name(&c), b"hi both".to_vec(), false));
    }
    let status: Value = serde_json::from_str(&edge.get("/rooms/status").await.1).unwrap();
    assert_eq!((&status["users"], &status["rooms"]), (&4.into(), &2.into()));
    assert_eq!(status["details"][0], serde_json::json!({ "roomName": "testRoom", "count": 3 }));
    assert!(status["version"].is_string() && status["currentTime"].is_u64() && status["commitHash"].is_string());
    drop(alice);
    bob.among(&[name(&c)]).await;
    clohe.among(&[name(&b)]).await;
    stranger.say(&b"still here"[..], false).await;
    drop((bob, clohe, stranger));
    eventually("empty rooms are gone", || async {
        (count(&edge, "/region/rooms").await == 0 && count(&edge, "/kernels/ws_room/sockets").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_address_again_kicks_in_its_own_room_only() {
    let edge = edge().await;
    let who = wallet();
    let mut first = Rfc5::signed_in(edge.http(), "testRoom", &who).await;
    let mut elsewhere = Rfc5::signed_in(edge.http(), "world-a", &who).await;
    let mut second = Rfc5::open(edge.http(), "/rooms/testRoom").await.unwrap();
    assert!(second.sign(&who).await, "it is connected already");
    second.welcomed().await;
    assert!(matches!(first.next().await, Message::PeerKicked(kicked) if !kicked.reason.is_empty()));
    assert_eq!(first.next_or_end().await.unwrap_err().code, Some(1000));
    let mut other = Rfc5::signed_in(edge.http(), "world-a", &wallet()).await;
    elsewhere.say(&b"still here"[..], false).await;
    assert_eq!(other.hears().await.0, name(&who));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_enter_a_room() {
    let edge = edge().await;
    for room in ["backstage", "nowhere"] {
        let mut client = Rfc5::open(edge.http(), &format!("/rooms/{room}")).await.unwrap();
        client.sign(&wallet()).await;
        assert!(matches!(client.next().await, Message::PeerKicked(kicked) if !kicked.reason.is_empty()));
        assert_eq!(client.next_or_end().await.unwrap_err().code, Some(1008));
    }
    let keys = RoomKeys::new(SECRET.as_bytes(), None);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mint = |keys: &RoomKeys, room: &str, now| {
        keys.mint(&format!("wss://edge.example/rooms/{room}"), wallet().address(), None, now).unwrap()
    };
    let token = mint(&keys, "backstage", now);
    let mut client = Rfc5::open(edge.http(), &format!("/rooms/backstage?access_token={token}")).await.unwrap();
    client.welcomed().await;
    // Kernels identify themselves whether they are asked or not.
    client.send(Message::PeerIdentification(WsIdentification { address: name(&wallet()) })).await;
    let mut other =
        Rfc5::open(edge.http(), &format!("/rooms/backstage?access_token={}", mint(&keys, "backstage", now)))
            .await
            .unwrap();
    other.welcomed().await;
    client.say(&b"hi"[..], false).await;
    assert_eq!(other.hears().await.1, b"hi");

    let (_, rest) = token.split_once('.').unwrap();
    let refused = [
        mint(&keys, "elsewhere", now),
        mint(&keys, "backstage", now - 1000),
        mint(&RoomKeys::new(b"another secret than that", None), "backstage", now),
        format!("eyJhbGciOiJub25lIn0.{rest}"),
        // {"alg":"HS384"}
        format!("eyJhbGciOiJIUzM4NCJ9.{rest}"),
        String::new(),
    ];
    for token in &refused {
        let error = Rfc5::open(edge.http(), &format!("/rooms/backstage?access_token={token}")).await.err().unwrap();
        assert!(error.to_string().contains("401"), "{error}");
        let path = format!("/ws-rooms/backstage?access_token={token}");
        let mut first = WebSocket::open(edge.http(), &path, "comms", Origin::default()).await.unwrap();
        assert_eq!(first.close_code().await, 1008);
    }
    let refusals = count(&edge, "/kernels/ws_room/refused/unauthorized").await;
    assert_eq!(refusals, 2 * refused.len() as u64 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_in_a_room_is_passed_over_and_too_large_frames_end_the_socket() {
    let edge = edge().await;
    let mut one = Rfc5::signed_in(edge.http(), "testRoom", &wallet()).await;
    let mut other = Rfc5::signed_in(edge.http(), "testRoom", &wallet()).await;
    one.socket.send_text("hello").await.unwrap();
    for odd in [&b""[..], &[0x1a, 0x7f], &[0x7a, 3, 1, 2, 3], &[0xff; 20], &[0x42, 0x00]] {
        one.socket.send(odd.to_vec()).await.unwrap();
    }
    one.say(vec![7; 16_000], false).await;
    assert_eq!(other.hears().await.1.len(), 16_000);
    one.say(vec![8; 5_000], true).await;
    let (_, body, unreliable) = other.hears().await;
    assert_eq!((body.len(), unreliable), (5_000, false), "what fits no datagram goes with the reliable ones");
    one.say(vec![7; 16 * 1024], false).await;
    loop {
        if let Err(closed) = one.next_or_end().await {
            assert_eq!(closed.code, Some(1009));
            break;
        }
    }
    other.among(&[]).await;
    assert_eq!(count(&edge, "/kernels/ws_room_packets/unread").await, 5);
    // Frames that are not a client's, or not whole.
    let mut broken = Rfc5::signed_in(edge.http(), "testRoom", &wallet()).await;
    broken.socket.send_raw(&[0x82, 0x01, 0x00]).await.unwrap();
    other.among(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_says_so() {
    let text = "[archipelago]\nmax_peers = 2\n[limits]\nmax_room_members = 2\n[rooms]\nrules = [\"* open\"]\n";
    let edge = Edge::start_configured(text).await;
    let _one = Rfc5::signed_in(edge.http(), "small", &wallet()).await;
    let _other = Rfc5::signed_in(edge.http(), "small", &wallet()).await;
    let mut late = Rfc5::open(edge.http(), "/rooms/small").await.unwrap();
    late.sign(&wallet()).await;
    let Message::PeerKicked(kicked) = late.next().await else { panic!("a word is due") };
    assert_eq!(kicked.reason, "This world is full. Try again later.");
    assert_eq!(late.next_or_end().await.unwrap_err().code, Some(1013));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_misses_old_positions_and_ends_when_more_would_be_lost() {
    let edge = edge().await;
    let who = wallet();
    let origin = Origin { unread: Some(4096), ..Origin::default() };
    let socket = WebSocket::open(edge.http(), "/rooms/testRoom", "rfc5", origin).await.unwrap();
    let mut slow = Rfc5 { socket, others: Default::default(), alias: 0 };
    slow.sign(&who).await;
    slow.welcomed().await;
    // Each may say two megabytes at once.
    let mut speakers = Vec::new();
    for _ in 0..4 {
        speakers.push(Rfc5::signed_in(edge.http(), "testRoom", &wallet()).await);
    }
    let mut witness = Rfc5::signed_in(edge.http(), "testRoom", &wallet()).await;
    let message = vec![9; 15_000];
    let mut said = 0_u32;
    while said == 0 || witness.others.values().any(|other| *other == name(&who)) {
        assert!(said < 3_000, "a client that does not read is closed");
        let speaker = &mut speakers[said as usize % 4];
        speaker.say(message.clone(), false).await;
        speaker.say(position(said as f32, 0.0, said).to_vec(), true).await;
        said += 1;
        // The witness reads all, and in order.
        loop {
            let (_, body, unreliable) = witness.hears().await;
            if !unreliable {
                assert_eq!(body, message);
                break;
            }
        }
        for speaker in &mut speakers {
            while let Ok(packet) = tokio::time::timeout(Duration::from_millis(1), speaker.next()).await {
                drop(packet);
            }
        }
    }
    assert!(said > 16, "{said}: less than a quarter of a megabyte may wait in any case");
    eventually("the close is counted", || async {
        (count(&edge, "/kernels/ws_room/closed/too_slow").await == 1).then_some(())
    })
    .await;
    // It was closed with a code, which it finds behind what it has not read; or its connection was given up.
    loop {
        match slow.socket.next().await {
            Ok(_) => {}
            Err(closed) => {
                assert!(matches!(closed.code, Some(4010) | None), "{closed:?}");
                break;
            }
        }
    }
    witness.say(chat("still here").to_vec(), false).await;
    while speakers[0].hears().await.1 != chat("still here") {}
}
