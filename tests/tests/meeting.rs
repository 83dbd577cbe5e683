//! Clients of both native ways meet, part and meet again.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Position, Way};
use atoll_proto::datagram::Kind;
use atoll_tests::{Edge, Peer, chat, position, within};

fn at(x: f32) -> Position {
    Position { x, y: 0.0, z: 8.0 }
}

/// One peer by raw QUIC and one by WebTransport, in the room of one island.
async fn two_in_one_island(edge: &Edge) -> (Peer, Peer) {
    let mut quic = edge.peer(Way::Quic).await;
    let mut webtransport = edge.peer(Way::WebTransport).await;
    quic.heartbeat(at(0.0));
    webtransport.heartbeat(at(10.0));
    let (here, there) = tokio::join!(quic.seated(2), webtransport.seated(2));
    assert_eq!((here.id, here.tag), (there.id, there.tag));
    (quic, webtransport)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_quic_client_and_a_webtransport_one_hear_each_other() {
    let edge = Edge::start().await;
    let (mut quic, mut webtransport) = two_in_one_island(&edge).await;
    let (here, there) = (quic.island().alias, webtransport.island().alias);
    assert_ne!(here, there);

    let payload = position(1.0, 2.0, 7);
    let heard = webtransport.hears(|packet| packet.payload == payload, || quic.send_update(payload.clone())).await;
    assert_eq!(heard.name.as_deref(), Some(&*quic.address().to_string()));
    assert_eq!((heard.alias, heard.kind), (here, Kind::Update));

    let payload = chat("gm");
    let heard = quic.hears(|packet| packet.payload == payload, || webtransport.send_event(payload.clone())).await;
    assert_eq!(heard.name.as_deref(), Some(&*webtransport.address().to_string()));
    assert_eq!((heard.alias, heard.kind), (there, Kind::Event));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_walks_away_is_heard_no_more_until_they_meet_again() {
    let edge = Edge::start().await;
    let (mut quic, mut webtransport) = two_in_one_island(&edge).await;

    webtransport.heartbeat(at(500.0));
    let (alone, other) = tokio::join!(quic.seated(1), webtransport.seated(1));
    assert_ne!((&alone.id, alone.tag), (&other.id, other.tag));

    // What is said apart stays apart: it must not be among what is heard after meeting again.
    let whispered = chat("nobody hears this");
    for _ in 0..20 {
        quic.send_event(whispered.clone()).unwrap();
    }

    webtransport.heartbeat(at(5.0));
    let (here, there) = tokio::join!(quic.seated(2), webtransport.seated(2));
    assert_eq!((here.id, here.tag), (there.id, there.tag));

    let payload = position(3.0, 4.0, 1);
    let aloud = |packet: &atoll_client::Packet| {
        assert_ne!(packet.payload, whispered, "heard from another island");
        packet.payload == payload
    };
    webtransport.hears(aloud, || quic.send_update(payload.clone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_under_aliases_that_belong_to_the_room() {
    let edge = Edge::start().await;
    let (mut quic, mut webtransport) = two_in_one_island(&edge).await;

    let mut third = edge.peer(Way::Quic).await;
    third.heartbeat(at(5.0));
    let (a, b, c) = tokio::join!(quic.seated(3), webtransport.seated(3), third.seated(3));
    let sorted = |mut members: Vec<atoll_client::Member>| {
        members.sort_by_key(|member| member.alias);
        members
    };
    let everybody = sorted(c.members);
    assert_eq!(sorted(a.members), everybody);
    assert_eq!(sorted(b.members), everybody);
    let own = everybody.iter().find(|member| member.alias == c.alias).unwrap();
    assert_eq!(*own.name, third.address().to_string());

    third.into_client().close().await;
    let (a, b) = tokio::join!(quic.seated(2), webtransport.seated(2));
    assert!(!a.members.contains(own) && !b.members.contains(own));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_island_change_names_the_island_before() {
    let edge = Edge::start().await;
    let (mut quic, mut webtransport) = two_in_one_island(&edge).await;
    let together = quic.island().clone();
    webtransport.heartbeat(at(-900.0));
    quic.heartbeat(at(900.0));
    // One of the two keeps the island's id; the other is moved and hears from where.
    let moved = tokio::select! {
        island = quic.moved_from(&together) => island,
        island = webtransport.moved_from(&together) => island,
    };
    assert_eq!(moved.from, Some(together.id));
    assert_eq!(moved.peers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_of_an_address_replaces_the_first() {
    let edge = Edge::start().await;
    let wallet = atoll_client::Wallet::random().unwrap();
    let first = edge.client_of(&wallet, Way::WebTransport).await;
    let mut second = Peer::new(edge.client_of(&wallet, Way::Quic).await);
    let why = within("the first one's end", async {
        loop {
            if let Event::Closed(why) = first.next_event().await {
                return why;
            }
        }
    })
    .await;
    assert_eq!(why.code(), Some(atoll_proto::close::CloseCode::Kicked));
    // The end of the first must not log out the second.
    second.heartbeat(at(0.0));
    assert_eq!(second.seated(1).await.members.len(), 1);
    assert_eq!(edge.status().await["region"]["sessions"], 1);
}
