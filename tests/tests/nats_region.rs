//! Regions on a real nats-server: halves apart, other processes in the way, foreign halves, and what a loss costs.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Wallet, Way};
use atoll_proto::archipelago::{IslandChangedMessage, IslandData, IslandStatusMessage, Position};
use atoll_proto::close::CloseCode;
use atoll_tests::nats::NatsServer;
use atoll_tests::{Edge, chat, eventually, within};
use bytes::Bytes;
use prost::Message as _;
use serde_json::Value;
use std::time::Duration;

const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };

async fn health(edge: &Edge) -> (u16, String) {
    edge.get("/health/ready").await
}

async fn becomes(edge: &Edge, code: u16, body: &str) {
    eventually("that health", || async { (health(edge).await == (code, body.to_owned())).then_some(()) }).await;
}

async fn about(edge: &Edge) -> Value {
    serde_json::from_str(&edge.get("/about").await.1).unwrap()
}

/// Three come to one place, and hear what the first says.
async fn meet(edge: &Edge) -> Vec<atoll_tests::Peer> {
    let mut peers = come(edge, 3).await;
    hear(&mut peers, "hello").await;
    peers
}

/// Three come, by each of the ways, and sit down where they are `all` then.
async fn come(edge: &Edge, all: usize) -> Vec<atoll_tests::Peer> {
    let mut peers = Vec::new();
    for way in [Way::WebTransport, Way::Quic, Way::WebSocket] {
        let peer = edge.peer(way).await;
        peer.heartbeat(HERE);
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.seated(all).await;
    }
    peers
}

async fn hear(peers: &mut [atoll_tests::Peer], text: &str) {
    let said = chat(text);
    peers[0].send_ordered(said.clone()).unwrap();
    for peer in &mut peers[1..] {
        assert_eq!(peer.message().await.payload, said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_apart_make_islands_and_a_lost_nats_ends_no_session() {
    let mut nats = NatsServer::start().await;
    let url = nats.url();
    let archipelago = Edge::start_with(&["--nats", &url, "--roles", "archipelago"]).await;
    let edge = Edge::start_with(&["--nats", &url, "--roles", "edge"]).await;
    assert_eq!(archipelago.get("/about").await.0, 404, "it has no doors");
    eventually("the other half", || async { (about(&edge).await["comms"]["healthy"] == true).then_some(()) }).await;
    assert_eq!(about(&edge).await["comms"]["atoll"]["nats"], "connected");
    let mut peers = meet(&edge).await;
    assert_eq!(archipelago.status().await["region"]["archipelago"]["peers"], 3);

    nats.kill().await;
    becomes(&edge, 503, "NATS is lost").await;
    becomes(&archipelago, 503, "NATS is lost").await;
    assert_eq!(about(&edge).await["comms"]["atoll"]["nats"], "lost");
    assert!(edge.get("/metrics").await.1.contains("\natoll_nats_connected 0\n"));
    hear(&mut peers, "is anybody there?").await;
    // A newcomer has a session, and no island while archipelago cannot hear of it.
    let mut late = edge.peer(Way::Quic).await;
    late.heartbeat(HERE);

    nats.start_again().await;
    becomes(&edge, 200, "ready").await;
    // As clients do: what it told before NATS was back, nobody has heard.
    within("a seat for the newcomer", async {
        loop {
            late.heartbeat(HERE);
            if tokio::time::timeout(Duration::from_millis(500), late.seated(4)).await.is_ok() {
                return;
            }
        }
    })
    .await;
    for peer in &mut peers {
        peer.seated(4).await;
    }
    hear(&mut peers, "we are all here").await;
    let status = edge.status().await;
    assert_eq!(status["region"]["logins"], 4, "nobody had to log in again");
    assert_eq!(status["nats"]["connections"], 2);
    assert!(edge.get("/metrics").await.1.contains("\natoll_nats_connections_total 2\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_goes_on_without_nats() {
    let mut nats = NatsServer::start().await;
    let edge = Edge::start_with(&["--nats", &nats.url()]).await;
    let mut peers = meet(&edge).await;
    nats.kill().await;
    becomes(&edge, 200, "ready, but NATS is lost").await;
    hear(&mut peers, "nothing is missing").await;
    let others = come(&edge, 6).await;
    nats.start_again().await;
    becomes(&edge, 200, "ready").await;
    hear(&mut peers, "still here").await;
    drop(others);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_accepts_and_never_answers_holds_nobody_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let edge = Edge::start_with(&["--nats", &url]).await;
    assert_eq!(health(&edge).await, (200, "ready, but NATS is lost".to_owned()));
    meet(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_that_does_the_same_is_refused() {
    let nats = NatsServer::start().await;
    let url = nats.url();
    let start = |options: &[&'static str]| {
        let options: Vec<String> =
            options.iter().map(ToString::to_string).chain(["--nats".into(), url.clone()]).collect();
        async move {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            Edge::refused(&options).await
        }
    };
    let first = Edge::start_with(&["--nats", &url, "--roles", "edge", "--server-name", "first"]).await;
    let split = start(&["--roles", "edge"]).await;
    assert!(split.contains("another edge, \"first\", serves seats on this NATS cluster"), "{split}");
    assert!(split.contains("region.allow_split = true"), "{split}");
    let archipelago = Edge::start_with(&["--nats", &url, "--roles", "archipelago", "--server-name", "second"]).await;
    let two = start(&["--roles", "archipelago"]).await;
    assert!(two.contains("another process, \"second\", runs archipelago on this NATS cluster"), "{two}");
    assert!(start(&[]).await.contains("another "));
    // What is gone is in nobody's way.
    first.terminate().await;
    assert!(first.ended().await.success());
    let again = Edge::start_with(&["--nats", &url, "--roles", "edge"]).await;
    meet(&again).await;
    drop(archipelago);
    // Without a cluster there is no other half.
    let alone = Edge::refused(&["--roles", "edge"]).await;
    assert!(alone.contains("roles (--roles) needs nats.url"), "{alone}");
    // Nor may archipelago sign for rooms elsewhere with a secret that they do not have.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("roles = ['archipelago']\nnats.url = ['{url}']\n")).unwrap();
    let secretless = Edge::refused(&["--config", file.path().to_str().unwrap()]).await;
    assert!(secretless.contains("ws_room.secret has to be that of the rooms"), "{secretless}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_another_edge_ends_the_session_here() {
    let nats = NatsServer::start().await;
    let config =
        |roles: &str| format!("roles = {roles}\n[nats]\nurl = ['{}']\n[region]\nallow_split = true\n", nats.url());
    let one = Edge::start_configured(&config("['edge', 'archipelago']")).await;
    let other = Edge::start_configured(&config("['edge']")).await;
    let (wallet, bystander) = (Wallet::random().unwrap(), Wallet::random().unwrap());
    let first = one.client_of(&wallet, Way::WebTransport).await;
    let mut stays = one.client_of(&bystander, Way::Quic).await;
    let second = other.client_of(&wallet, Way::Quic).await;
    let why = within("the end of the first", async {
        loop {
            if let Event::Closed(why) = first.next_event().await {
                return why;
            }
        }
    })
    .await;
    assert_eq!(why.code(), Some(CloseCode::Kicked));
    second.heartbeat(HERE);
    stays.heartbeat(HERE);
    // One archipelago places both, each in its edge's half of the island.
    let mut second = second;
    for client in [&mut second, &mut stays] {
        let island = within("an island", async {
            loop {
                if let Event::IslandChanged(island) = client.next_event().await {
                    return island;
                }
            }
        });
        assert_eq!(island.await.members.len(), 1);
    }
    assert_eq!(one.status().await["region"]["sessions"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_archipelago_is_obeyed_and_its_transport_told_as_what_it_is() {
    let nats = NatsServer::start().await;
    let edge = Edge::start_with(&["--nats", &nats.url(), "--roles", "edge"]).await;
    let foreign = within("a connection", async_nats::connect(nats.url())).await.unwrap();
    let mut peers = Vec::new();
    for way in [Way::Quic, Way::WebTransport] {
        let peer = edge.peer(way).await;
        let connection_string = "livekit:wss://livekit.example?access_token=x".to_owned();
        let island =
            IslandChangedMessage { island_id: "I7".to_owned(), conn_str: connection_string, ..Default::default() };
        let subject = format!("client-proto.{}.island_changed", peer.address());
        foreign.publish(subject, island.encode_to_vec().into()).await.unwrap();
        peers.push(peer);
    }
    for peer in &mut peers {
        let island = peer.seated(2).await;
        assert_eq!(island.id, "I7");
        assert_eq!(island.foreign_transport.as_deref(), Some("livekit:wss://livekit.example?access_token=x"));
    }
    hear(&mut peers, "here, at least").await;
    // It tells that it is there by JSON, and that is what kernels are told.
    assert_eq!(about(&edge).await["comms"]["healthy"], false);
    let told = r#"{"serverName":"archipelago","status":{"currentTime":1,"commitHash":"deadbeef","userCount":2}}"#;
    foreign.publish("service.discovery", told.into()).await.unwrap();
    let comms = eventually("a healthy archipelago", || async {
        let comms = about(&edge).await["comms"].clone();
        (comms["healthy"] == true).then_some(comms)
    });
    let comms = comms.await;
    assert_eq!((&comms["commitHash"], &comms["usersCount"]), (&"deadbeef".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_subject_costs_nobody_anything() {
    let nats = NatsServer::start().await;
    let edge = Edge::start_logged(&["--nats", &nats.url()]).await;
    let mut peers = meet(&edge).await;
    let address = peers[0].address().to_string();
    let other = within("a connection", async_nats::connect(nats.url())).await.unwrap();
    let subjects = [
        format!("client-proto.peer.{address}.heartbeat"),
        format!("client-proto.peer.{address}.hearbeat"),
        format!("peer.{address}.heartbeat"),
        format!("client-proto.{address}.island_changed"),
        format!("client-proto.peer.{address}.island_changed"),
        format!("engine.peer.{address}.island_changed"),
        "archipelago.islands".to_owned(),
        "engine.islands".to_owned(),
        "engine.discovery".to_owned(),
    ];
    let islands = IslandStatusMessage { data: vec![IslandData { id: "x".repeat(4000), ..Default::default() }; 50] };
    let payloads = [
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::from_static(b"{\"not\":\"protobuf\"}\x80"),
        // Larger than a heartbeat, and no message.
        vec![0xff; 100_000].into(),
    ];
    let malformed = || async { edge.status().await["nats"]["malformed"].as_u64().unwrap() };
    for payload in &payloads {
        for subject in &subjects {
            other.publish(subject.clone(), payload.clone()).await.unwrap();
        }
    }
    let all = (subjects.len() * payloads.len()) as u64;
    eventually("every one counted", || async { (malformed().await == all).then_some(()) }).await;
    // Names that are none, and payloads of what is not read here.
    for (subject, payload) in [
        ("peer.nobody.connect".to_owned(), "x".into()),
        ("peer.not-an-address.heartbeat".to_owned(), Bytes::new()),
        (format!("client-proto.peer.{}.heartbeat", "x".repeat(400)), Bytes::from_static(b"\x0a\x00")),
        ("client-proto.island.\u{1f3dd}.peer_join".to_owned(), "?".into()),
        ("client-proto.\u{7f}.island_changed".to_owned(), Bytes::new()),
        ("service.discovery".to_owned(), "[".repeat(3000).into()),
        ("atoll.process.hello".to_owned(), "{}".into()),
        ("atoll.archipelago.ask".to_owned(), "now!".into()),
        ("archipelago.islands".to_owned(), islands.encode_to_vec().into()),
    ] {
        other.publish(subject, payload).await.unwrap();
    }
    other.flush().await.unwrap();
    hear(&mut peers, "did something happen?").await;
    // Three of one sort come in one minute, and nine subjects are of four sorts.
    let lines = edge.log().lines().filter(|line| line.contains("is not what its subject says")).count();
    assert_eq!(lines, 4, "{}", edge.log());
    let metrics = edge.get("/metrics").await.1;
    let counted = "\natoll_nats_lost_total{reason=\"malformed\"} ";
    let count: u64 = metrics.split(counted).nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(count >= all, "{count}");
    // Whoever comes is placed as before.
    let others = come(&edge, 6).await;
    drop(others);
}
