//! The bus on a real nats-server: what others hear of a process, what it hears of them, and what a loss costs.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_compat::Coordinates;
use atoll_compat::nats::{Credentials, MIRROR_HEADER, NatsBus, NatsOptions, Spellings};
use atoll_core::bus::{Bus, Message, Pattern, Subject, Subscription};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage, Position};
use atoll_tests::nats::NatsServer;
use atoll_tests::{eventually, within};
use bytes::Bytes;
use futures_util::StreamExt;
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;

const PEER: &str = "0x1111111111111111111111111111111111111111";

fn options(url: &str) -> NatsOptions {
    NatsOptions {
        servers: vec![url.parse().unwrap()],
        credentials: Credentials::None,
        roots: None,
        certificate: None,
        name: "test".to_owned(),
        spellings: Spellings { engine: true, documented: true, documented_heartbeats: true },
        client_proto: Coordinates::Double,
        engine: Coordinates::Float,
    }
}

async fn bus(options: NatsOptions) -> NatsBus {
    let bus = NatsBus::open(options).await.unwrap();
    connected(&bus, true).await;
    bus
}

async fn connected(bus: &NatsBus, wanted: bool) {
    let mut connected = bus.connected();
    within("the cluster", connected.wait_for(|is| *is == wanted)).await.unwrap();
}

fn hear(bus: &NatsBus, pattern: &str) -> Subscription {
    bus.subscribe(&[Pattern::new(pattern).unwrap()], 1000)
}

fn say(bus: &NatsBus, subject: &str, payload: impl Into<Bytes>) {
    bus.publish(Message::new(Subject::new(subject).unwrap(), payload)).unwrap();
}

async fn next(subscription: &mut Subscription) -> Message {
    within("a message", subscription.next()).await.unwrap()
}

/// Says it on `client-proto.a` again and again: a process that has just come may not be listening yet.
async fn said_until_heard(bus: &NatsBus, payload: &'static str, other: &mut Subscription) -> Message {
    let again = async {
        loop {
            say(bus, "client-proto.a", payload);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        message = next(other) => message,
        () = again => unreachable!("it goes on"),
    }
}

fn heartbeat(x: f32) -> Vec<u8> {
    Heartbeat { position: Some(Position { x, y: 0.0, z: 0.0 }), desired_room: None }.encode_to_vec()
}

/// Another program on the cluster, which hears everything.
async fn other(server: &NatsServer) -> (async_nats::Client, async_nats::Subscriber) {
    let client = within("a connection", async_nats::connect(server.url())).await.unwrap();
    let all = client.subscribe(">").await.unwrap();
    client.flush().await.unwrap();
    (client, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_goes_out_in_every_spelling_and_is_heard_here_at_once() {
    let server = NatsServer::start().await;
    let (_client, mut all) = other(&server).await;
    let bus = bus(options(&server.url())).await;
    let mut here = hear(&bus, ">");
    let island = IslandChangedMessage { island_id: "I1".to_owned(), ..Default::default() }.encode_to_vec();
    say(&bus, &format!("client-proto.peer.{PEER}.heartbeat"), heartbeat(1.0));
    say(&bus, &format!("client-proto.{PEER}.island_changed"), island.clone());
    say(&bus, &format!("client-proto.peer.{PEER}.scene"), "x");
    say(&bus, &format!("peer.{PEER}.connect"), "");
    say(&bus, "client-proto.last", "");
    let mut heard = BTreeMap::new();
    while !heard.contains_key("client-proto.last") {
        let message = within("a message", all.next()).await.unwrap();
        let mirror = message.headers.is_some_and(|headers| headers.get(MIRROR_HEADER).is_some());
        heard.insert(message.subject.to_string(), (mirror, message.payload));
    }
    let doubles = Bytes::from_static(&[0x0a, 9, 9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    let expected = [
        (format!("client-proto.peer.{PEER}.heartbeat"), (false, doubles.clone())),
        (format!("client-proto.peer.{PEER}.hearbeat"), (true, doubles)),
        (format!("peer.{PEER}.heartbeat"), (true, heartbeat(1.0).into())),
        (format!("client-proto.{PEER}.island_changed"), (false, island.clone().into())),
        (format!("client-proto.peer.{PEER}.island_changed"), (true, island.clone().into())),
        (format!("engine.peer.{PEER}.island_changed"), (true, island.into())),
        (format!("client-proto.peer.{PEER}.scene"), (false, "x".into())),
        (format!("client.peer.{PEER}.scene"), (true, "x".into())),
        (format!("peer.{PEER}.connect"), (false, Bytes::new())),
        ("client-proto.last".to_owned(), (false, Bytes::new())),
    ];
    assert_eq!(heard, BTreeMap::from(expected));
    for _ in 0..5 {
        assert!(!next(&mut here).await.is_from_elsewhere);
    }
    assert!(here.try_next().is_none(), "each is heard once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_others_is_heard_by_one_name_and_what_is_said_twice_acts_once() {
    let server = NatsServer::start().await;
    let bus = bus(options(&server.url())).await;
    let mut here = hear(&bus, ">");
    let (client, _all) = other(&server).await;
    let island =
        |id: &str| Bytes::from(IslandChangedMessage { island_id: id.to_owned(), ..Default::default() }.encode_to_vec());
    for (subject, payload) in [
        (format!("peer.{PEER}.heartbeat"), heartbeat(2.0).into()),
        (format!("client-proto.peer.{PEER}.hearbeat"), heartbeat(3.0).into()),
        // Not a heartbeat, and one far too long.
        (format!("peer.{PEER}.heartbeat"), Bytes::from_static(b"\xff\xff")),
        (format!("peer.{PEER}.heartbeat"), vec![0; 100_000].into()),
        (format!("client-proto.{PEER}.island_changed"), island("I1")),
        (format!("engine.peer.{PEER}.island_changed"), island("I1")),
        (format!("client-proto.peer.{PEER}.island_changed"), island("I2")),
        (format!("client.peer.{PEER}.scene.x"), "hello".into()),
        ("engine.discovery".to_owned(), Bytes::from_static(&[0x0a, 1, b'a'])),
        ("client-proto.odd token".replace(' ', "\u{1}"), Bytes::new()),
        (format!("client-proto.{}", "x".repeat(1500)), Bytes::new()),
        ("client-proto.last".to_owned(), Bytes::new()),
    ] {
        client.publish(subject, payload).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.last().is_none_or(|(subject, _): &(String, Bytes)| subject != "client-proto.last") {
        let message = next(&mut here).await;
        assert!(message.is_from_elsewhere);
        heard.push((message.subject.as_str().to_owned(), message.payload));
    }
    let of = |wanted: &str| -> Vec<Bytes> {
        heard.iter().filter(|(subject, _)| subject == wanted).map(|(_, payload)| payload.clone()).collect()
    };
    // Subscriptions of two families: their messages may pass each other.
    let mut heartbeats = of(&format!("client-proto.peer.{PEER}.heartbeat"));
    heartbeats.sort();
    assert_eq!(heartbeats, [Bytes::from(heartbeat(2.0)), heartbeat(3.0).into()]);
    let mut islands = of(&format!("client-proto.{PEER}.island_changed"));
    islands.dedup();
    assert!(islands.contains(&island("I1")) && islands.contains(&island("I2")) && islands.len() <= 3, "{islands:?}");
    assert_eq!(of(&format!("client-proto.peer.{PEER}.scene.x")), [Bytes::from("hello")]);
    let discovery: serde_json::Value = serde_json::from_slice(&of("service.discovery")[0]).unwrap();
    assert_eq!(discovery["serverName"], "a");
    let status = bus.status();
    assert!(status.malformed >= 3, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cluster_takes_the_others_away_and_nothing_else() {
    let mut server = NatsServer::start().await;
    let (one, two) = (bus(options(&server.url())).await, bus(options(&server.url())).await);
    let (mut at_one, mut at_two) = (hear(&one, "client-proto.>"), hear(&two, "client-proto.>"));
    let message = said_until_heard(&one, "1", &mut at_two).await;
    assert_eq!((&message.payload[..], message.is_from_elsewhere), (&b"1"[..], true));
    while let Some(message) = at_one.try_next() {
        assert!(!message.is_from_elsewhere);
    }

    server.kill().await;
    connected(&one, false).await;
    connected(&two, false).await;
    let sent = one.status().sent;
    say(&one, "client-proto.a", "2");
    assert_eq!(next(&mut at_one).await.payload, "2", "heard here all the same");
    say(&one, &format!("client-proto.peer.{PEER}.heartbeat"), heartbeat(1.0));
    next(&mut at_one).await;
    assert_eq!(one.status().stale, 1, "old heartbeats help nobody");
    // What does not fit is counted, and nobody waits for it.
    let large = Bytes::from(vec![0; 900_000]);
    for _ in 0..60 {
        say(&one, "client-proto.large", large.clone());
    }
    let status = one.status();
    assert!(status.dropped >= 20 && status.pending_bytes <= 32 << 20, "{status:?}");
    assert_eq!(status.sent, sent, "the library has nothing that is not counted");

    server.start_again().await;
    connected(&one, true).await;
    connected(&two, true).await;
    // What waited is sent. Whether the other is back before, to hear it, is a matter of luck.
    eventually("everything sent", || async { (one.status().pending_bytes == 0).then_some(()) }).await;
    assert!(one.status().sent - sent + status.dropped >= 61, "{:?} {status:?}", one.status());
    while said_until_heard(&one, "3", &mut at_two).await.payload != "3" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_says_nothing_holds_nobody_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let bus = within("a bus", NatsBus::open(options(&url))).await.unwrap();
    let mut here = hear(&bus, "a");
    say(&bus, "a", "x");
    assert_eq!(next(&mut here).await.payload, "x");
    assert!(!bus.status().connected);
}

/// One thread for all, so that who holds it up holds the bus up, too.
#[tokio::test]
async fn who_is_too_slow_for_the_cluster_loses_messages_and_comes_back() {
    let server = NatsServer::start_with("max_pending: 1MB\nwrite_deadline: \"200ms\"").await;
    let bus = bus(options(&server.url())).await;
    let mut here = hear(&bus, "client-proto.>");
    let url = server.url();
    // Others say more than the socket's buffers hold, from a thread of their own, until the server has had enough.
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = async_nats::connect(url).await.unwrap();
            let payload = Bytes::from(vec![1; 64 * 1024]);
            for _ in 0..1000 {
                client.publish("client-proto.flood", payload.clone()).await.unwrap();
            }
            client.flush().await.unwrap();
        });
    });
    // Nothing runs on this thread meanwhile: the bus does not read.
    flood.join().unwrap();
    connected(&bus, true).await;
    eventually("another connection", || async { (bus.status().connections == 2).then_some(()) }).await;
    let (client, _all) = other(&server).await;
    let again = async {
        loop {
            client.publish("client-proto.still", "there?".into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = async { while next(&mut here).await.subject.as_str() != "client-proto.still" {} };
    tokio::select! {
        () = heard => {}
        () = again => unreachable!("it goes on"),
    }
}
