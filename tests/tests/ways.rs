//! All four deliveries between clients of all three ways, in one island.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Position, Way};
use atoll_proto::datagram::Kind;
use atoll_tests::{Edge, Peer, chat, position};
use bytes::Bytes;

const WAYS: [Way; 3] = [Way::Quic, Way::WebTransport, Way::WebSocket];

/// One peer of each way, in the room of one island.
async fn three_in_one_island(edge: &Edge) -> Vec<Peer> {
    let mut peers = Vec::new();
    for way in WAYS {
        let peer = edge.peer(way).await;
        peer.heartbeat(Position { x: 8.0, y: 0.0, z: 8.0 });
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.seated(WAYS.len()).await;
    }
    peers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_hears_every_other_by_datagrams() {
    let edge = Edge::start().await;
    let mut peers = three_in_one_island(&edge).await;
    for speaker in 0..WAYS.len() {
        let speaking = peers.remove(speaker);
        for listener in &mut peers {
            let update = position(speaker as f32, 2.0, 7);
            let heard =
                listener.hears(|packet| packet.payload == update, || speaking.send_update(update.clone())).await;
            assert_eq!((heard.kind, heard.alias), (Kind::Update, speaking.island().alias));

            let event = chat(&format!("from {speaker}"));
            let heard = listener.hears(|packet| packet.payload == event, || speaking.send_event(event.clone())).await;
            assert_eq!(heard.kind, Kind::Event);

            let voice = Bytes::from(vec![speaker as u8; 80]);
            let heard = listener.hears(|packet| packet.payload == voice, || speaking.send_voice(voice.clone())).await;
            assert_eq!((heard.kind, heard.name.as_deref()), (Kind::Voice, Some(&*speaking.address().to_string())));
        }
        peers.insert(speaker, speaking);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_gets_ordered_messages_in_order_and_large_ones_whole() {
    let edge = Edge::start().await;
    let mut peers = three_in_one_island(&edge).await;
    let large = Bytes::from((0..1_048_576_u32).map(|at| (at / 7) as u8).collect::<Vec<_>>());
    for speaker in 0..WAYS.len() {
        let speaking = peers.remove(speaker);
        for number in 0..50 {
            speaking.send_ordered(chat(&format!("{speaker} says {number}"))).unwrap();
        }
        speaking.send_ordered(vec![speaker as u8; 65_536].into()).unwrap();
        for listener in &mut peers {
            for number in 0..50 {
                let message = listener.message().await;
                assert_eq!(message.payload, chat(&format!("{speaker} says {number}")));
                assert_eq!(*message.sender.name, *speaking.address().to_string());
            }
            assert_eq!(listener.message().await.payload, vec![speaker as u8; 65_536]);
        }
        peers.insert(speaker, speaking);
    }
    // One large message uses half of what a client may send at once.
    peers[0].send_large(large.clone()).unwrap();
    assert_eq!(peers[1].message().await.payload, large);
    assert_eq!(peers[2].message().await.payload, large);
    peers[2].send_large(large.clone()).unwrap();
    assert_eq!(peers[0].message().await.payload, large);
    assert_eq!(peers[1].message().await.payload, large);
}
