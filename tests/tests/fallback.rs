//! UDP is blocked, from the start or in the middle, and works again: the session goes on, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Client, Discovery, Doors, Event, Message, Options, Position, Target, Wallet, Way};
use atoll_tests::proxy::UdpProxy;
use atoll_tests::{Edge, Peer, within};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// An edge behind a network that can be cut, and how clients behind it find it.
struct Scene {
    edge: Edge,
    proxy: UdpProxy,
    doors: Doors,
    options: Options,
}

impl Scene {
    async fn start(quic_way: Way) -> Self {
        let edge = Edge::start().await;
        let proxy = UdpProxy::start(edge.quic().strip_prefix("https://").unwrap().parse().unwrap()).await.unwrap();
        let found = Discovery::of(edge.http()).await.unwrap();
        let through = proxy.address().to_string();
        let doors = Doors {
            webtransport: Some(Target::webtransport(&through).unwrap()),
            quic: Some(Target::quic(&through).unwrap()),
            websocket: Doors::from(&found).websocket,
        };
        // Short, so that a cut is noticed and its end found out soon.
        let options = Options {
            quic_way,
            idle_timeout: Duration::from_secs(2),
            quic_retry: Duration::from_millis(500),
            ..found.options()
        };
        Self { edge, proxy, doors, options }
    }

    async fn connect(&self) -> Client {
        let wallet = Wallet::random().unwrap();
        within("a login", Client::connect(&self.doors, &wallet, &self.options)).await.unwrap()
    }
}

fn say(client: &Client, text: String) -> u64 {
    client.send_ordered(Bytes::from(text)).unwrap()
}

/// The next ordered message; what is heard before it must not be that somebody left.
async fn ordered(peer: &mut Peer) -> Message {
    within("an ordered message", async {
        loop {
            match peer.next_event().await {
                Event::Ordered(message) => return message,
                Event::MembersChanged { left, .. } => assert!(left.is_empty(), "somebody left: {left:?}"),
                Event::Packet(_) | Event::Refused { .. } => {}
                other => panic!("{other:?} instead of an ordered message"),
            }
        }
    })
    .await
}

async fn hears_in_order(peer: &mut Peer, sender: &Peer, texts: impl Iterator<Item = String>) {
    for text in texts {
        let message = ordered(peer).await;
        assert_eq!((&message.payload[..], &*message.sender.name), (text.as_bytes(), &*sender.address().to_string()));
    }
}

/// The first event that `wanted` knows.
async fn told(peer: &mut Peer, what: &str, wanted: impl Fn(&Event) -> bool) {
    within(what, async {
        loop {
            match peer.next_event().await {
                event if wanted(&event) => return,
                event @ (Event::Closed(_) | Event::Restarted { .. } | Event::IslandChanged(_) | Event::Gap { .. }) => {
                    panic!("{event:?} instead of {what}")
                }
                _ => {}
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_udp_a_client_comes_by_websocket() {
    let scene = Scene::start(Way::Quic).await;
    scene.proxy.block();
    let started = Instant::now();
    let mut client = Peer::new(scene.connect().await);
    // Half a second for QUIC, the WebSocket, and one login.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(client.way(), Some(Way::WebSocket));
    assert_eq!(scene.edge.status().await["region"]["sessions"], 1);

    client.heartbeat(Position { x: 0.0, y: 0.0, z: 0.0 });
    client.seated(1).await;
    scene.proxy.unblock();
    let moved = Event::WayChanged { from: Way::WebSocket, to: Way::Quic };
    told(&mut client, "the way back", |event| *event == moved).await;
    assert_eq!(scene.edge.status().await["region"]["seats"], 1);
}

async fn a_cut_in_the_middle(quic_way: Way) {
    let scene = Scene::start(quic_way).await;
    let mut client = Peer::new(scene.connect().await);
    assert_eq!(client.way(), Some(quic_way));
    let mut neighbour = scene.edge.peer(Way::Quic).await;
    client.heartbeat(Position { x: 0.0, y: 0.0, z: 0.0 });
    neighbour.heartbeat(Position { x: 5.0, y: 0.0, z: 0.0 });
    let (here, there) = tokio::join!(client.seated(2), neighbour.seated(2));
    assert_eq!(here.tag, there.tag);
    let text = |who: &str, number: u64| format!("{who} {number}");
    assert_eq!((say(&client, text("client", 1)), say(&neighbour, text("neighbour", 1))), (1, 1));
    hears_in_order(&mut neighbour, &client, [text("client", 1)].into_iter()).await;
    hears_in_order(&mut client, &neighbour, [text("neighbour", 1)].into_iter()).await;

    scene.proxy.block();
    for number in 2..=10 {
        assert_eq!(say(&client, text("client", number)), number);
        assert_eq!(say(&neighbour, text("neighbour", number)), number);
    }
    told(&mut client, "the loss", |event| matches!(event, Event::Disconnected { .. })).await;
    told(&mut client, "the resumed session", |event| *event == Event::Resumed { way: Way::WebSocket }).await;
    hears_in_order(&mut client, &neighbour, (2..=10).map(|number| text("neighbour", number))).await;
    hears_in_order(&mut neighbour, &client, (2..=10).map(|number| text("client", number))).await;

    scene.proxy.unblock();
    let back = Event::WayChanged { from: Way::WebSocket, to: quic_way };
    told(&mut client, "the way back", |event| *event == back).await;
    assert_eq!(client.way(), Some(quic_way));
    assert_eq!((say(&client, text("client", 11)), say(&neighbour, text("neighbour", 11))), (11, 11));
    hears_in_order(&mut client, &neighbour, [text("neighbour", 11)].into_iter()).await;
    hears_in_order(&mut neighbour, &client, [text("client", 11)].into_iter()).await;
    // The same seat all the time.
    assert_eq!((client.stats().islands, client.stats().resumed, client.stats().restarted), (1, 2, 0));
    assert_eq!(neighbour.island().members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_quic_session_survives_a_cut_on_the_websocket_and_returns() {
    a_cut_in_the_middle(Way::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webtransport_session_survives_a_cut_on_the_websocket_and_returns() {
    a_cut_in_the_middle(Way::WebTransport).await;
}
