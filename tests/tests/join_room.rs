//! Native clients in rooms that are no islands: by rule and by token, beside kernels, over losses, and back.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Client, Event, Options, Position, Target, Wallet, Way};
use atoll_core::auth::RoomKeys;
use atoll_proto::atoll::{ErrorCode, JoinRoom, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_tests::proxy::UdpProxy;
use atoll_tests::room::Rfc5;
use atoll_tests::{Edge, Peer, chat, eventually, position, within};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of sixteen bytes or more";
const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };

async fn edge(more: &str) -> Edge {
    let rooms = "[rooms]\nrules = [\"world-* open\", \"backstage token\"]\n";
    Edge::start_configured(&format!("{rooms}[ws_room]\nsecret = \"{SECRET}\"\n{more}")).await
}

fn token(room: &str, wallet: &Wallet) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let keys = RoomKeys::new(SECRET.as_bytes(), None);
    keys.mint(&format!("wss://edge.example/rooms/{room}"), wallet.address(), None, now).unwrap()
}

async fn refused(peer: &mut Peer) -> ErrorCode {
    within("a refusal", async {
        loop {
            if let Event::Refused { code, .. } = peer.next_event().await {
                return code;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn native_clients_and_kernels_of_a_world_hear_each_other() {
    let edge = edge("").await;
    let wallet = Wallet::random().unwrap();
    let mut kernel = Rfc5::signed_in(edge.http(), "world-a", &wallet).await;
    let mut peers = Vec::new();
    for way in [Way::WebTransport, Way::Quic, Way::WebSocket] {
        let peer = edge.peer(way).await;
        peer.join_room("quic:world-a").unwrap();
        peers.push(peer);
    }
    for peer in &mut peers {
        assert_eq!(peer.seated(4).await.id, "world-a");
    }
    kernel.among(&peers.iter().map(|peer| peer.address().to_string()).collect::<Vec<_>>()).await;
    kernel.say(chat("from a kernel").to_vec(), false).await;
    for peer in &mut peers {
        assert_eq!(peer.message().await.payload, chat("from a kernel"));
    }
    peers[0].send_ordered(chat("from a tab")).unwrap();
    assert_eq!(kernel.hears().await.1, chat("from a tab"));
    let place = position(3.0, 4.0, 1);
    let (speaker, listeners) = peers.split_at_mut(2);
    listeners[0].hears(|packet| packet.payload == place, || speaker[1].send_update(place.clone())).await;
    assert_eq!(kernel.hears().await, (speaker[1].address().to_string(), place.to_vec(), true));

    // An island comes, and moves nobody; who goes back is there.
    for peer in &peers {
        peer.heartbeat(HERE);
    }
    eventually("three peers in an island", || async {
        let status = edge.status().await;
        let archipelago = &status["region"]["archipelago"];
        (archipelago["peers"] == 3 && archipelago["islands"] == 1).then_some(())
    })
    .await;
    kernel.say(chat("still here").to_vec(), false).await;
    for peer in &mut peers[1..] {
        while peer.message().await.payload != chat("still here") {}
    }
    for peer in &mut peers[..2] {
        peer.leave_room().unwrap();
    }
    let island = peers[0].seated(2).await;
    assert_ne!(island.id, "world-a");
    assert_eq!(peers[1].seated(2).await.id, island.id);
    assert_eq!(peers[2].seated(2).await.id, "world-a");
    kernel.among(&[peers[2].address().to_string()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_enter_sits_where_it_sat() {
    let edge = edge("[archipelago]\nmax_peers = 2\n[limits]\nmax_room_members = 2\n").await;
    let wallet = Wallet::random().unwrap();
    let mut peer = Peer::new(edge.client_of(&wallet, Way::Quic).await);
    let mut neighbour = edge.peer(Way::WebTransport).await;
    for peer in [&mut peer, &mut neighbour] {
        peer.heartbeat(HERE);
    }
    let island = peer.seated(2).await;
    neighbour.seated(2).await;
    let stranger = Wallet::random().unwrap();
    for (string, code) in [
        ("quic:nowhere".to_owned(), ErrorCode::RoomRefused),
        ("quic:backstage".to_owned(), ErrorCode::RoomRefused),
        (format!("quic:backstage?access_token={}", token("backstage", &stranger)), ErrorCode::RoomRefused),
        (format!("quic:backstage?access_token={}", token("elsewhere", &wallet)), ErrorCode::RoomRefused),
        ("livekit:wss://elsewhere".to_owned(), ErrorCode::InvalidConnectionString),
        ("world-a".to_owned(), ErrorCode::InvalidConnectionString),
    ] {
        peer.join_room(&string).unwrap();
        assert_eq!(refused(&mut peer).await, code, "{string}");
    }
    // A full room is found out last: the client hears its neighbours as before.
    let _one = Rfc5::signed_in(edge.http(), "world-full", &Wallet::random().unwrap()).await;
    let _other = Rfc5::signed_in(edge.http(), "world-full", &Wallet::random().unwrap()).await;
    peer.join_room("quic:world-full").unwrap();
    assert_eq!(refused(&mut peer).await, ErrorCode::RoomFull);
    assert_eq!(peer.island().id, island.id);
    neighbour.send_ordered(chat("hello")).unwrap();
    assert_eq!(peer.message().await.payload, chat("hello"));
    peer.hears(|packet| packet.payload == chat("and again"), || neighbour.send_event(chat("and again"))).await;
    peer.send_ordered(chat("hello back")).unwrap();
    assert_eq!(neighbour.message().await.payload, chat("hello back"));

    peer.join_room(&format!("ws-room:wss://any.host/rooms/backstage?access_token={}", token("backstage", &wallet)))
        .unwrap();
    assert_eq!(peer.seated(1).await.id, "backstage");
    neighbour.seated(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_in_a_room_outlives_a_connection_and_is_lost_to_who_proves_the_address() {
    let edge = edge("").await;
    let wallet = Wallet::random().unwrap();
    let proxy = UdpProxy::start(edge.quic().strip_prefix("https://").unwrap().parse().unwrap()).await.unwrap();
    let target = Target::quic(&proxy.address().to_string()).unwrap();
    let options = Options { reconnect: true, idle_timeout: Duration::from_secs(2), ..edge.options() };
    let mut peer = Peer::new(Client::connect(&target, &wallet, &options).await.unwrap());
    peer.join_room("quic:world-a").unwrap();
    let seat = peer.seated(1).await;
    let mut witness = edge.peer(Way::WebTransport).await;
    witness.join_room("quic:world-a").unwrap();
    witness.seated(2).await;
    proxy.block();
    within("a loss", async { while !matches!(peer.next_event().await, Event::Disconnected { .. }) {} }).await;
    proxy.unblock();
    witness.send_ordered(chat("while you were away")).unwrap();
    assert_eq!(peer.message().await.payload, chat("while you were away"));
    assert_eq!((peer.island().tag, peer.island().alias), (seat.tag, seat.alias));
    peer.send_ordered(chat("back")).unwrap();
    assert_eq!(witness.message().await.payload, chat("back"));
    // The address without a session: the room is somebody else's now, the session is not.
    let mut other = Rfc5::signed_in(edge.http(), "world-a", &wallet).await;
    assert_eq!(refused(&mut peer).await, ErrorCode::RoomLost);
    other.say(chat("it is me now").to_vec(), false).await;
    assert_eq!(witness.message().await.payload, chat("it is me now"));
    peer.heartbeat(HERE);
    peer.leave_room().unwrap();
    peer.moved_from(&seat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_faster_than_a_client_may_is_told_and_sits_where_it_sat() {
    let edge = edge("").await;
    let mut connection = edge.raw(Way::Quic).await;
    let wallet = Wallet::random().unwrap();
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    connection.answer_challenge(wallet.sign(&challenge, SystemTime::now() + Duration::from_secs(60))).await.unwrap();
    let join = |room: String| client_message::Message::JoinRoom(JoinRoom { connection_string: format!("quic:{room}") });
    for number in 0..100 {
        connection.send(join(format!("world-{number}"))).await.unwrap();
    }
    // Whoever joins again before it was told of a seat may hear of the later one only: seats are not counted one by one.
    let (mut asked, mut seats, mut refused) = (100, 0, 0);
    within("the end of the flood, and a seat after it", async {
        loop {
            match connection.recv().await.unwrap() {
                server_message::Message::IslandChanged(seat) => {
                    seats += 1;
                    if seat.room == "world-last" {
                        break;
                    }
                }
                server_message::Message::Error(error) => {
                    assert_eq!(error.code(), ErrorCode::TooFast);
                    refused += error.count;
                    asked += 1;
                    connection.send(join("world-last".to_owned())).await.unwrap();
                }
                _ => {}
            }
        }
    })
    .await;
    // Sixteen at once and two a second: most were refused, and every refusal was of one that was asked for.
    assert!((50..=asked - seats).contains(&refused), "{refused} of {asked} refused, {seats} seats");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sits_in_a_room_that_it_joined_needs_no_heartbeats() {
    let edge = edge("[archipelago]\npeer_timeout = 4\n").await;
    let mut guest = edge.peer(Way::Quic).await;
    guest.join_room("quic:world-a").unwrap();
    guest.seated(1).await;
    // One that came later and sits nowhere is closed for its silence.
    let mut silent = edge.peer(Way::WebTransport).await;
    let closed = within("the end of the silent", async {
        loop {
            if let Event::Closed(why) = silent.next_event().await {
                return why;
            }
        }
    });
    assert_eq!(closed.await.code(), Some(CloseCode::Silent));
    let mut kernel = Rfc5::signed_in(edge.http(), "world-a", &Wallet::random().unwrap()).await;
    guest.send_ordered(chat("still here")).unwrap();
    assert_eq!(kernel.hears().await.1, chat("still here"));
}
