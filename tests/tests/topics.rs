//! Topics by the native protocol: who hears what, what is refused, and what a loss or a slow reader costs.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::Connection;
use atoll_client::{
    Client, Discovery, Doors, Event, Position, SendError, Subscription, Target, TopicMessage, TopicScope, Wallet, Way,
};
use atoll_proto::archipelago::Heartbeat;
use atoll_proto::atoll::{self, ErrorCode, Publish, Subscribe, Subscribed, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_tests::proxy::UdpProxy;
use atoll_tests::{Edge, eventually, within};
use bytes::Bytes;
use std::time::{Duration, SystemTime};

const WAYS: [Way; 3] = [Way::Quic, Way::WebTransport, Way::WebSocket];

async fn client(edge: &Edge, way: Way) -> Client {
    edge.client_of(&Wallet::random().unwrap(), way).await
}

/// Hears a topic, once the edge has said so.
async fn listen(client: &Client, scope: TopicScope, topic: &str) -> Subscription {
    let asked = client.subscribe(scope, topic).unwrap();
    within("a subscription", async {
        loop {
            match client.next_event().await {
                Event::Subscribed(subscription) if subscription == asked => return asked,
                Event::Closed(why) => panic!("{why}"),
                _ => {}
            }
        }
    })
    .await
}

/// The next message of any topic.
async fn heard(client: &Client) -> TopicMessage {
    within("a message", async {
        loop {
            match client.next_event().await {
                Event::Topic(message) => return message,
                Event::Closed(why) => panic!("{why}"),
                _ => {}
            }
        }
    })
    .await
}

/// Waits to be told of a refusal. Reports come once a second for each code, so one of an earlier code may come before.
async fn refused(client: &Client, wanted: ErrorCode) {
    within("a refusal", async {
        loop {
            match client.next_event().await {
                Event::Refused { code, .. } | Event::SubscriptionRefused { code, .. } if code == wanted => return,
                Event::Closed(why) => panic!("{why}"),
                _ => {}
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_hears_every_way_and_itself() {
    let edge = Edge::start().await;
    let mut clients = Vec::new();
    for way in WAYS {
        let client = client(&edge, way).await;
        let subscription = listen(&client, TopicScope::Peer, "scene.*").await;
        clients.push((client, subscription));
    }
    for (speaker, _) in &clients {
        let address = speaker.address().to_string();
        let payload = Bytes::from(address.clone());
        speaker.publish("elsewhere.a", &payload).unwrap();
        speaker.publish("scene.a", &payload).unwrap();
        for (listener, subscription) in &clients {
            let message = heard(listener).await;
            let sender = Some(address.as_str().into());
            let topic = "scene.a".to_owned();
            let expected =
                TopicMessage { subscription: *subscription, topic, sender, payload: payload.clone(), missed: 0 };
            assert_eq!(message, expected);
        }
    }
    // Who has given up hears nothing more; the others do.
    let (quiet, subscription) = &clients[0];
    assert!(quiet.unsubscribe(*subscription));
    let other = listen(quiet, TopicScope::Peer, "other").await;
    let (speaker, _) = &clients[1];
    speaker.publish("scene.b", &Bytes::new()).unwrap();
    speaker.publish("other", &Bytes::new()).unwrap();
    assert_eq!(heard(quiet).await.subscription, other);
    assert_eq!(heard(speaker).await.topic, "scene.b");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_what_is_somebody_elses() {
    let edge = Edge::start().await;
    let curious = client(&edge, Way::Quic).await;
    listen(&curious, TopicScope::System, ">").await;
    listen(&curious, TopicScope::Peer, ">").await;
    let other = client(&edge, Way::WebTransport).await;
    other.heartbeat(Position { x: 8.0, y: 0.0, z: 8.0 });
    within("an island", async { while !matches!(other.next_event().await, Event::IslandChanged(_)) {} }).await;
    let third = format!("0x{}", "3".repeat(40));
    other.publish(&format!("{third}.offer"), &Bytes::new()).unwrap();
    other.publish(&format!("{}.offer", curious.address()), &Bytes::from_static(b"for me")).unwrap();
    // The island's own news is for everybody; the rest of what was said until now is not.
    let mut topics = Vec::new();
    while topics.last().is_none_or(|topic: &String| !topic.ends_with(".offer")) {
        topics.push(heard(&curious).await.topic);
    }
    assert_eq!(topics.pop().unwrap(), format!("{}.offer", curious.address()));
    assert!(topics.iter().all(|topic| topic.starts_with("island.")), "{topics:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_told_and_costs_nobody_the_session() {
    let edge = Edge::start().await;
    for way in WAYS {
        let client = client(&edge, way).await;
        for topic in ["", "a..b", "a.>.b", "a b"] {
            client.subscribe(TopicScope::Peer, topic).unwrap();
            refused(&client, ErrorCode::InvalidTopic).await;
        }
        // Told at most once a second for each code, so one is enough.
        for topic in ["*", "island_changed", "heartbeat", "island.I1.peer_left", "a b"] {
            client.publish(topic, &Bytes::new()).unwrap();
        }
        refused(&client, ErrorCode::InvalidTopic).await;
        let payload = Bytes::from(vec![0; 65_536]);
        assert!(matches!(client.publish("a", &payload), Err(SendError::TooLarge { length: 65_536, limit: 65_525 })));

        let topic = listen(&client, TopicScope::Peer, "a").await;
        client.publish("a", &payload.slice(..65_400)).unwrap();
        assert_eq!(heard(&client).await.payload.len(), 65_400);
        let publish_on = async {
            loop {
                while client.publish("a", &Bytes::new()).is_ok() {}
                match client.next_event().await {
                    Event::Refused { code: ErrorCode::TooFast, .. } => return,
                    Event::Closed(why) => panic!("{why}"),
                    _ => {}
                }
            }
        };
        within("too many messages", publish_on).await;
        assert!(client.unsubscribe(topic));
        for number in 0..257 {
            while client.subscribe(TopicScope::System, &format!("t.{number}")) == Err(SendError::Full) {
                client.next_event().await;
            }
        }
        refused(&client, ErrorCode::TooManySubscriptions).await;
        client.close().await;
    }
    let refused = edge.status().await["native"]["refused"].clone();
    assert!(refused["ERROR_CODE_INVALID_TOPIC"].as_u64().unwrap() >= 3 * 9, "{refused}");
}

/// A logged-in connection that is spoken by hand.
async fn by_hand(edge: &Edge, way: Way) -> Connection {
    let wallet = Wallet::random().unwrap();
    let mut connection = edge.raw(way).await;
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    let expiration = SystemTime::now() + Duration::from_secs(60);
    connection.answer_challenge(wallet.sign(&challenge, expiration)).await.unwrap();
    connection
}

async fn subscribe(connection: &mut Connection, subscription: u32, topic: &str) {
    let subscribe = Subscribe { subscription, scope: atoll::TopicScope::Peer.into(), topic: topic.to_owned() };
    connection.send(client_message::Message::Subscribe(subscribe)).await.unwrap();
}

async fn subscribed(connection: &mut Connection) -> Subscribed {
    match within("an answer", connection.recv()).await.unwrap() {
        server_message::Message::Subscribed(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_stands_for_one_topic() {
    let edge = Edge::start().await;
    let mut connection = by_hand(&edge, Way::Quic).await;
    for _ in 0..2 {
        subscribe(&mut connection, 7, "a").await;
        assert_eq!(subscribed(&mut connection).await, Subscribed { subscription: 7, ..Subscribed::default() });
    }
    let unknown = Subscribe { subscription: 8, scope: 9, topic: "a".to_owned() };
    connection.send(client_message::Message::Subscribe(unknown)).await.unwrap();
    assert_eq!(subscribed(&mut connection).await.error(), ErrorCode::Unsupported);
    subscribe(&mut connection, 7, "b").await;
    assert_eq!(within("the close", connection.closed()).await.code(), Some(CloseCode::Malformed));

    let mut early = edge.raw(Way::Quic).await;
    let publish = Publish { topic: "a".to_owned(), payload: Vec::new() };
    early.send(client_message::Message::Publish(publish)).await.unwrap();
    assert_eq!(within("the close", early.closed()).await.code(), Some(CloseCode::UnexpectedMessage));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_misses_messages_and_learns_how_many() {
    const SPEAKERS: u64 = 8;
    const EACH: u64 = 30;
    let edge = Edge::start().await;
    let mut slow = by_hand(&edge, Way::Quic).await;
    subscribe(&mut slow, 1, "busy").await;
    subscribed(&mut slow).await;
    let quick = client(&edge, Way::WebSocket).await;
    listen(&quick, TopicScope::Peer, "small").await;
    let payload = Bytes::from(vec![0; 60_000]);
    let mut speakers = Vec::new();
    for _ in 0..SPEAKERS {
        let speaker = client(&edge, Way::Quic).await;
        for _ in 0..EACH {
            while speaker.publish("busy", &payload) == Err(SendError::Full) {
                tokio::task::yield_now().await;
            }
        }
        speaker.publish("small", &Bytes::new()).unwrap();
        // Heard behind the large ones, which are published then.
        assert_eq!(heard(&quick).await.missed, 0);
        speakers.push(speaker);
    }
    // What was dropped behind the last message that waits is told with the next one.
    let (mut last, mut read) = (0, 0);
    let mut again = tokio::time::interval(Duration::from_millis(100));
    let everything = async {
        loop {
            let message = tokio::select! {
                message = slow.recv() => message.unwrap(),
                _ = again.tick() => {
                    quick.publish("busy", &Bytes::from_static(b"the end")).unwrap();
                    continue;
                }
            };
            let server_message::Message::TopicMessage(message) = message else { panic!("{message:?}") };
            assert!(message.number > last, "{} behind {last}", message.number);
            (last, read) = (message.number, read + 1);
            if message.payload == b"the end" && last > SPEAKERS * EACH {
                return;
            }
        }
    };
    within("all that is left", everything).await;
    assert!(last - read > SPEAKERS, "{read} of {last}");
    assert_eq!(edge.status().await["region"]["topics"]["dropped"], last - read);
    let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
    slow.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
    within("an island", async {
        while !matches!(slow.recv().await.unwrap(), server_message::Message::IslandChanged(_)) {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_outlives_its_connection() {
    let edge = Edge::start().await;
    let proxy = UdpProxy::start(edge.quic().strip_prefix("https://").unwrap().parse().unwrap()).await.unwrap();
    let found = Discovery::of(edge.http()).await.unwrap();
    let doors =
        Doors { webtransport: None, quic: Some(Target::quic(&proxy.address().to_string()).unwrap()), websocket: None };
    let options = atoll_client::Options { idle_timeout: Duration::from_secs(2), ..found.options() };
    let wallet = Wallet::random().unwrap();
    let listener = within("a login", Client::connect(doors, &wallet, &options)).await.unwrap();
    listen(&listener, TopicScope::Peer, "scene").await;
    let speaker = client(&edge, Way::WebSocket).await;
    speaker.publish("scene", &Bytes::from_static(b"before")).unwrap();
    assert_eq!(heard(&listener).await.payload, "before");

    proxy.block();
    within("the loss", async { while !matches!(listener.next_event().await, Event::Disconnected { .. }) {} }).await;
    assert_eq!(listener.publish("scene", &Bytes::new()), Err(SendError::Disconnected));
    let second = listener.subscribe(TopicScope::Peer, "second").unwrap();
    speaker.publish("scene", &Bytes::from_static(b"meanwhile")).unwrap();
    eventually("a parked session", || async { (edge.status().await["native"]["parked"] == 1).then_some(()) }).await;
    proxy.unblock();
    within("the session again", async {
        loop {
            match listener.next_event().await {
                Event::Subscribed(subscription) if subscription == second => return,
                Event::Topic(message) => assert_eq!((&message.payload[..], message.missed), (&b"meanwhile"[..], 0)),
                Event::Restarted { .. } => panic!("another session"),
                _ => {}
            }
        }
    })
    .await;
    speaker.publish("second", &Bytes::from_static(b"after")).unwrap();
    let message = loop {
        let message = heard(&listener).await;
        if message.subscription == second {
            break message;
        }
    };
    assert_eq!((&message.payload[..], message.missed), (&b"after"[..], 0));
}
