//! LiveKit's clients, native ones and kernels of RFC-5 in one room.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Wallet, Way};
use atoll_tests::livekit::{Bot, Lane, VARIABLES, token};
use atoll_tests::room::Rfc5;
use atoll_tests::{Edge, Peer, chat, position, within};
use livekit_protocol::data_packet::Value;
use livekit_protocol::participant_info::State;
use livekit_protocol::{DataPacket, ParticipantInfo, RpcRequest};
use serde_json::json;
use std::sync::Arc;

const ROOM: &str = "world-a";

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

fn wallet() -> Wallet {
    Wallet::random().unwrap()
}

fn name(wallet: &Wallet) -> String {
    wallet.address().to_string()
}

async fn bot(edge: &Edge) -> Bot {
    Bot::join(edge.http(), &token(ROOM, &name(&wallet()), json!({}))).await
}

async fn native(edge: &Edge) -> Peer {
    let peer = edge.peer(Way::WebTransport).await;
    peer.join_room(&format!("quic:{ROOM}")).unwrap();
    peer
}

fn is_active(info: &ParticipantInfo) -> bool {
    info.state() == State::Active
}

/// The next packet over datagrams that is this one.
async fn hears_datagram(peer: &mut Peer, payload: &[u8]) -> Option<Arc<str>> {
    within("a datagram", async {
        loop {
            match peer.next_event().await {
                Event::Packet(packet) if packet.payload == payload => return packet.name,
                Event::Closed(why) => panic!("{why}"),
                _ => {}
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_see_and_hear_each_other() {
    let edge = edge().await;
    let (mut first, mut second) = (bot(&edge).await, bot(&edge).await);
    let kernels = wallet();
    let mut kernel = Rfc5::signed_in(edge.http(), ROOM, &kernels).await;
    let mut peer = native(&edge).await;
    peer.seated(4).await;
    let names = [first.identity().to_owned(), second.identity().to_owned(), name(&kernels), peer.address().to_string()];
    let but = |own: usize| (0..4).filter(|at| *at != own).map(|at| names[at].clone()).collect::<Vec<_>>();
    first.among(&but(0)).await;
    second.among(&but(1)).await;
    kernel.among(&but(2)).await;
    for name in &but(0) {
        let info = first.sees(name, is_active).await;
        assert!(info.sid.starts_with("PA_"), "{info:?}");
    }

    // Ordered, once and in order, from each to all others.
    for number in 0..20 {
        first.say(Lane::Reliable, &chat(&format!("bot {number}"))).await.unwrap();
        peer.send_ordered(chat(&format!("native {number}"))).unwrap();
        kernel.say(chat(&format!("kernel {number}")).to_vec(), false).await;
    }
    let by = |name: &str| {
        if name == names[0] {
            "bot"
        } else if name == names[2] {
            "kernel"
        } else {
            "native"
        }
    };
    for (listener, others) in [(&mut first, [2, 3].as_slice()), (&mut second, &[0, 2, 3])] {
        let mut counts = [0; 4];
        for _ in 0..20 * others.len() {
            let heard = listener.hears().await;
            let from = names.iter().position(|name| *name == heard.from).unwrap();
            assert_eq!(heard.payload, chat(&format!("{} {}", by(&heard.from), counts[from])));
            assert_eq!((heard.lane, &heard.topic), (Lane::Reliable, &None));
            counts[from] += 1;
        }
        assert!(others.iter().all(|other| counts[*other] == 20), "{counts:?}");
    }
    let (mut bots, mut kernels) = (0, 0);
    while bots < 20 || kernels < 20 {
        let message = peer.message().await;
        let from = &*message.sender.name;
        let expected = if from == names[0] { &mut bots } else { &mut kernels };
        let word = by(from);
        assert_eq!(message.payload, chat(&format!("{word} {expected}")));
        *expected += 1;
    }
    for _ in 0..40 {
        assert!(!kernel.hears().await.2);
    }

    // Updates and events.
    let (place, event) = (position(3.0, 4.0, 1), chat("quickly"));
    first.say(Lane::Lossy, &place).await.unwrap();
    assert_eq!(second.hears().await.payload, place);
    assert_eq!(kernel.hears().await, (names[0].clone(), place.to_vec(), true));
    first.say(Lane::Lossy, &event).await.unwrap();
    assert_eq!(second.hears().await.payload, event);
    assert_eq!(kernel.hears().await, (names[0].clone(), event.to_vec(), true));
    assert_eq!(hears_datagram(&mut peer, &event).await.as_deref(), Some(names[0].as_str()));
    peer.send_event(chat("a datagram")).unwrap();
    for bot in [&mut first, &mut second] {
        let heard = bot.hears().await;
        assert_eq!((heard.from.as_str(), heard.lane), (names[3].as_str(), Lane::Lossy));
        assert_eq!(heard.payload, chat("a datagram"));
    }
    kernel.say(position(5.0, 6.0, 2).to_vec(), true).await;
    assert_eq!(first.hears().await.payload, position(5.0, 6.0, 2));

    // And they see each other go.
    drop(kernel);
    first.among(&[names[1].clone(), names[3].clone()]).await;
    second.leave();
    first.among(&[names[3].clone()]).await;
    peer.seated(2).await;
    assert!(!first.heard_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_destinations_are_kept() {
    let edge = edge().await;
    let (first, mut second, mut third) = (bot(&edge).await, bot(&edge).await, bot(&edge).await);
    let mut peer = native(&edge).await;
    peer.seated(4).await;
    let to = second.identity().to_owned();
    let native = peer.address().to_string();
    first.say_to(Lane::Reliable, b"for one", Some("whispers"), &[&to]).await.unwrap();
    first.say_to(Lane::Lossy, b"for one, lossily", None, &[&to]).await.unwrap();
    first.say_to(Lane::Reliable, b"for another", None, &[&native]).await.unwrap();
    first.say_to(Lane::Reliable, b"for nobody", None, &["0x0000000000000000000000000000000000000001"]).await.unwrap();
    first.say_to(Lane::Reliable, b"for all", Some("speeches"), &[]).await.unwrap();
    let mut heard = [second.hears().await, second.hears().await, second.hears().await];
    // Two channels have no common order.
    heard.sort_by_key(|heard| heard.lane == Lane::Lossy);
    assert_eq!((heard[0].payload.as_slice(), heard[0].topic.as_deref()), (&b"for one"[..], Some("whispers")));
    assert_eq!((heard[1].payload.as_slice(), heard[1].topic.as_deref()), (&b"for all"[..], Some("speeches")));
    assert_eq!((heard[2].payload.as_slice(), heard[2].lane), (&b"for one, lossily"[..], Lane::Lossy));
    let all = third.hears().await;
    assert_eq!((all.payload.as_slice(), all.topic.as_deref()), (&b"for all"[..], Some("speeches")));
    assert_eq!(peer.message().await.payload, &b"for another"[..]);
    assert_eq!(peer.message().await.payload, &b"for all"[..]);

    // What only LiveKit's clients understand goes to them, signed by the edge.
    let request = RpcRequest { id: "1".to_owned(), method: "greet".to_owned(), ..Default::default() };
    let forged = DataPacket {
        participant_identity: "somebody else".to_owned(),
        destination_identities: vec![to],
        value: Some(Value::RpcRequest(request)),
        ..Default::default()
    };
    first.send(Lane::Reliable, &forged).await.unwrap();
    let (lane, packet) = second.packet().await;
    assert_eq!((lane, packet.participant_identity.as_str()), (Lane::Reliable, first.identity()));
    assert_eq!(packet.participant_sid, first.sid());
    assert!(matches!(packet.value, Some(Value::RpcRequest(request)) if request.method == "greet"));
    first.say(Lane::Reliable, b"afterwards").await.unwrap();
    assert_eq!(third.hears().await.payload, b"afterwards");
    assert!(!third.heard_more());
}
