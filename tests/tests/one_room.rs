//! One island for all: kernels of every generation of WebSocket rooms and native clients hear each other.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Position, Wallet, Way};
use atoll_compat::ws_room::MAX_RFC5_FRAME;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::data::{self, data::Message as Older};
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::translation::{Translation, to_rfc4};
use atoll_tests::room::{Explorer, FirstRoom, OlderKernel, Rfc5};
use atoll_tests::{Edge, Peer, chat, position, within};
use prost::Message as _;

const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };
const FAR: Position = Position { x: 900.0, y: 0.0, z: 1.0 };

fn older(message: Older) -> Vec<u8> {
    data::Data { message: Some(message) }.encode_to_vec()
}

fn older_chat(text: &str) -> Vec<u8> {
    older(Older::Chat(data::Chat { time: 1.0, message_id: "one".to_owned(), text: text.to_owned() }))
}

/// A kernel of RFC-5 and its session, in the room of its island.
async fn explorer(edge: &Edge, wallet: &Wallet) -> (Explorer, Rfc5, String) {
    let mut session = Explorer::log_in(edge.http(), wallet).await;
    session.stand(HERE).await;
    let (_, string) = session.island().await;
    let room = Rfc5::by_string(edge.http(), &string).await;
    (session, room, string)
}

async fn joined(peer: &mut Peer, members: usize) -> String {
    peer.heartbeat(HERE);
    peer.seated(members).await.id
}

#[tokio::test(flavor = "multi_thread")]
async fn all_generations_and_native_clients_hear_each_other() {
    let edge = Edge::start().await;
    let (modern, signer, summer, other_summer) =
        (Wallet::random().unwrap(), Wallet::random().unwrap(), Wallet::random().unwrap(), Wallet::random().unwrap());
    let mut quic = edge.peer(Way::Quic).await;
    let island = joined(&mut quic, 1).await;
    let mut webtransport = edge.peer(Way::WebTransport).await;
    assert_eq!(joined(&mut webtransport, 2).await, island);
    // By the token of its connection string, and by a signed challenge without it.
    let (_session, mut by_token, _) = explorer(&edge, &modern).await;
    let mut other_session = Explorer::log_in(edge.http(), &signer).await;
    other_session.stand(HERE).await;
    while other_session.island().await.0 != island {}
    let mut by_proof = Rfc5::signed_in(edge.http(), &island, &signer).await;
    let mut kernel = OlderKernel::log_in(edge.http(), &summer).await;
    kernel.stand(HERE).await;
    let string = loop {
        let (id, string) = kernel.island().await;
        if id == island {
            break string;
        }
    };
    let mut first = FirstRoom::by_string(edge.http(), &string).await;
    let mut other_kernel = OlderKernel::log_in(edge.http(), &other_summer).await;
    other_kernel.stand(HERE).await;
    let string = loop {
        let (id, string) = other_kernel.island().await;
        if id == island {
            break string;
        }
    };
    let mut other_first = FirstRoom::by_string(edge.http(), &string).await;

    // Room presence is the same everywhere.
    let native = [quic.address().to_string(), webtransport.address().to_string()];
    let kernels = [&modern, &signer, &summer, &other_summer].map(|wallet| wallet.address().to_string());
    quic.seated(6).await;
    webtransport.seated(6).await;
    let everybody: Vec<String> = native.iter().chain(&kernels).cloned().collect();
    let but = |own: &str| everybody.iter().filter(|name| *name != own).cloned().collect::<Vec<_>>();
    by_token.among(&but(&kernels[0])).await;
    by_proof.among(&but(&kernels[1])).await;

    // Ordered messages of a native client reach all, once and in order.
    for number in 0..20 {
        quic.send_ordered(chat(&format!("native {number}"))).unwrap();
    }
    for number in 0..20 {
        let expected = chat(&format!("native {number}"));
        assert_eq!(webtransport.message().await.payload, expected);
        for room in [&mut by_token, &mut by_proof] {
            assert_eq!(room.hears().await, (native[0].clone(), expected.to_vec(), false));
        }
        for room in [&mut first, &mut other_first] {
            let (from, body, _) = room.hears().await;
            assert_eq!(from, native[0]);
            let Some(Older::Chat(told)) = data::Data::decode(&body[..]).unwrap().message else { panic!("chat is due") };
            assert_eq!(told.text, format!("native {number}"));
        }
    }
    // Those of a kernel of RFC-5, too.
    by_token.say(chat("from a kernel").to_vec(), false).await;
    assert_eq!(quic.message().await.payload, chat("from a kernel"));
    assert_eq!(webtransport.message().await.payload, chat("from a kernel"));
    assert_eq!(by_proof.hears().await.1, chat("from a kernel"));
    first.hears().await;
    other_first.hears().await;

    // What kernels of that summer say to each other passes as it is, also what only they understand; the others hear the
    // translation.
    let words = older_chat("gm");
    let request =
        older(Older::ProfileRequest(data::ProfileRequest { user_id: "0x1".to_owned(), ..Default::default() }));
    first.say(words.clone(), false).await;
    first.say(request.clone(), true).await;
    assert_eq!(other_first.hears().await, (kernels[2].clone(), words.clone(), false));
    assert_eq!(other_first.hears().await, (kernels[2].clone(), request, true));
    let Translation::Packet(translated) = to_rfc4(&words) else { panic!("chat has words everywhere") };
    assert_eq!(quic.message().await.payload, translated);
    assert_eq!(webtransport.message().await.payload, translated);
    for room in [&mut by_token, &mut by_proof] {
        assert_eq!(room.hears().await, (kernels[2].clone(), translated.to_vec(), false));
    }

    // Positions, each way.
    let at = position(3.0, 4.0, 9);
    let heard = quic.send_update(at.clone()).map(|_| ());
    heard.unwrap();
    assert_eq!(by_token.hears().await, (native[0].clone(), at.to_vec(), true));
    assert_eq!(by_proof.hears().await.1, at);
    let (from, body, _) = first.hears().await;
    let Some(Older::Position(place)) = data::Data::decode(&body[..]).unwrap().message else { panic!("a place is due") };
    assert_eq!((from.as_str(), place.position_x, place.position_z), (native[0].as_str(), 3.0, 4.0));
    assert!(place.time > 1.6e12, "the time of translation");
    let place = older(Older::Position(data::Position { time: 1.7e12, position_x: 5.0, ..Default::default() }));
    let Translation::Packet(translated) = to_rfc4(&place) else { panic!("a place has words everywhere") };
    first.say(place.clone(), false).await;
    assert_eq!(by_token.hears().await, (kernels[2].clone(), translated.to_vec(), true));
    assert_eq!(other_first.hears().await.1, body, "the native client's, translated once");
    assert_eq!(other_first.hears().await.1, place);
    let heard = within("a position over datagrams", async {
        loop {
            first.say(place.clone(), false).await;
            if let Ok(Event::Packet(packet)) =
                tokio::time::timeout(std::time::Duration::from_millis(200), quic.next_event()).await
                && packet.payload == translated
            {
                return packet;
            }
        }
    });
    assert_eq!(heard.await.name.as_deref(), Some(kernels[2].as_str()));
    let status = edge.status().await;
    assert_eq!(status["kernels"]["ws_room_packets"]["untranslated"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_is_a_reseat_and_another_session_a_kick() {
    let edge = Edge::start().await;
    let who = Wallet::random().unwrap();
    let mut neighbour = edge.peer(Way::Quic).await;
    joined(&mut neighbour, 1).await;
    let (session, mut first, string) = explorer(&edge, &who).await;
    neighbour.seated(2).await;
    let alias = first.alias;
    let mut second = Rfc5::by_string(edge.http(), &string).await;
    assert_eq!(second.alias, alias);
    assert_eq!(first.next_or_end().await.unwrap_err().code, Some(1000), "without a kick");
    second.say(chat("same seat").to_vec(), false).await;
    assert_eq!(neighbour.message().await.payload, chat("same seat"));
    assert_eq!(neighbour.island().members.len(), 2);

    // Another session of the address ends the seats of the first.
    let (_later, mut third, _) = explorer(&edge, &who).await;
    let kicked = second.next().await;
    assert!(matches!(kicked, Message::PeerKicked(_)), "{kicked:?}");
    assert!(second.next_or_end().await.is_err());
    third.say(chat("somebody anew").to_vec(), false).await;
    assert_eq!(neighbour.message().await.payload, chat("somebody anew"));
    let error = Rfc5::open(edge.http(), &atoll_tests::room::path_of(&string)).await.err().unwrap();
    assert!(error.to_string().contains("401"), "the token of the first session: {error}");
    drop(session);
    neighbour.seated(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_island_does_not_kick_from_the_last_and_the_end_of_a_session_is_its_seats() {
    let edge = Edge::start().await;
    let who = Wallet::random().unwrap();
    let mut neighbour = edge.peer(Way::WebTransport).await;
    joined(&mut neighbour, 1).await;
    let (mut session, mut old, _) = explorer(&edge, &who).await;
    neighbour.seated(2).await;
    session.stand(FAR).await;
    let (_, string) = session.island().await;
    let mut new = Rfc5::by_string(edge.http(), &string).await;
    neighbour.send_ordered(chat("to the old room")).unwrap();
    assert_eq!(old.hears().await.1, chat("to the old room"), "both, for as long as the kernel likes");
    assert!(new.others.is_empty());
    drop(old);
    neighbour.seated(1).await;
    drop(session);
    assert_eq!(new.next_or_end().await.unwrap_err().code, Some(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_one_reaches_the_others_and_the_sender_is_told() {
    let edge = Edge::start().await;
    let (mut quic, mut other) = (edge.peer(Way::Quic).await, edge.peer(Way::WebTransport).await);
    joined(&mut quic, 1).await;
    joined(&mut other, 2).await;
    let (_session, mut room, _) = explorer(&edge, &Wallet::random().unwrap()).await;
    quic.seated(3).await;
    let fits = chat(&"a".repeat(MAX_RFC5_FRAME - 100));
    let large = chat(&"a".repeat(MAX_RFC5_FRAME));
    for message in [&fits, &large, &chat("afterwards")] {
        quic.send_ordered(message.clone()).unwrap();
    }
    for message in [&fits, &large, &chat("afterwards")] {
        assert_eq!(other.message().await.payload, message);
    }
    assert_eq!(room.hears().await.1, fits);
    assert_eq!(room.hears().await.1, chat("afterwards"));
    let told = within("a notice", async {
        loop {
            if let Event::Refused { code, count, .. } = quic.next_event().await {
                return (code, count);
            }
        }
    });
    assert_eq!(told.await, (ErrorCode::NotForAll, 1));
    assert_eq!(edge.status().await["region"]["links_too_large"], 1);
}
