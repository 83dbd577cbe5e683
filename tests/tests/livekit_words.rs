//! What LiveKit's clients of several generations say, and what they are told.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_tests::livekit::{Bot, Lane, Line, VARIABLES, path, path_back, token};
use atoll_tests::{Edge, chat};
use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use livekit_protocol::data_packet::Value;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{
    ChatMessage, ClientInfo, ConnectionQuality, ConnectionSettings, DataPacket, JoinRequest, Ping,
    UpdateParticipantMetadata, WrappedJoinRequest,
};
use prost::Message as _;
use serde_json::{Value as Json, json};
use std::io::Write;

const ROOM: &str = "world-a";

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

fn identity() -> String {
    Wallet::random().unwrap().address().to_string()
}

fn fresh(grants: Json) -> String {
    token(ROOM, &identity(), grants)
}

/// The path of a client with two connections which speaks this protocol.
fn speaking(protocol: u32, token: &str) -> String {
    path(token).replace("protocol=15", &format!("protocol={protocol}"))
}

fn rename(name: &str) -> Request {
    let name = name.to_owned();
    Request::UpdateMetadata(UpdateParticipantMetadata { name, request_id: 5, ..Default::default() })
}

/// What is told before the answer to a ping.
async fn until_pong(line: &mut Line) -> Vec<Signal> {
    line.send(Request::PingReq(Ping { timestamp: 9, rtt: 0 })).await.unwrap();
    let mut told = Vec::new();
    loop {
        match line.next().await.unwrap() {
            Signal::PongResp(pong) if pong.last_ping_timestamp == 9 => return told,
            other => told.push(other),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_nothing_that_they_have_no_words_for() {
    let edge = edge().await;
    for (protocol, knows_reconnect, knows_response) in
        [(7, false, false), (8, false, false), (9, true, false), (14, true, false), (15, true, true), (17, true, true)]
    {
        let token = fresh(json!({}));
        let mut line = Line::open(edge.http(), &speaking(protocol, &token)).await.unwrap();
        let Ok(Signal::Join(joined)) = line.next().await else { panic!("a welcome is due: protocol {protocol}") };
        assert!(joined.subscriber_primary);
        line.send(rename("not allowed")).await.unwrap();
        let told = until_pong(&mut line).await;
        let response =
            told.iter().find_map(|one| if let Signal::RequestResponse(one) = one { Some(one) } else { None });
        let refused = response.map(|response| (response.request_id, response.reason()));
        assert_eq!(refused, knows_response.then_some((5, Reason::NotAllowed)), "protocol {protocol}: {told:?}");
        assert!(told.iter().any(|one| matches!(one, Signal::Offer(_))), "protocol {protocol}: {told:?}");

        let sid = joined.participant.unwrap().sid;
        let back = path_back(&token, &sid).replace("protocol=15", &format!("protocol={protocol}"));
        let mut line = Line::open(edge.http(), &back).await.unwrap();
        let told = until_pong(&mut line).await;
        assert_eq!(matches!(told[0], Signal::Reconnect(_)), knows_reconnect, "protocol {protocol}: {told:?}");
        assert!(!told.iter().any(|one| matches!(one, Signal::Join(_) | Signal::Leave(_))), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_one_connection_join_by_one_parameter() {
    let edge = edge().await;
    let request = JoinRequest {
        client_info: Some(ClientInfo { protocol: 17, ..Default::default() }),
        connection_settings: Some(ConnectionSettings { auto_subscribe: true, ..Default::default() }),
        ..Default::default()
    };
    let request = request.encode_to_vec();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&request).unwrap();
    let plain = WrappedJoinRequest { compression: 0, join_request: request }.encode_to_vec();
    let gzip = WrappedJoinRequest { compression: 1, join_request: packed.finish().unwrap() }.encode_to_vec();
    let texts = [
        BASE64URL.encode(&plain).replace('=', "%3D"),
        BASE64URL_NOPAD.encode(&plain),
        BASE64URL.encode(&gzip).replace('=', "%3d"),
        BASE64URL_NOPAD.encode(&gzip),
    ];
    for text in texts {
        let token = fresh(json!({}));
        let path = format!("/rtc/v1?access_token={}&join_request={text}", token.replace('.', "%2E"));
        let mut line = Line::open(edge.http(), &path).await.unwrap();
        let Ok(Signal::Join(joined)) = line.next().await else { panic!("a welcome is due: {text}") };
        assert!(!joined.subscriber_primary && !joined.fast_publish);
        let told = until_pong(&mut line).await;
        assert!(!told.iter().any(|one| matches!(one, Signal::Offer(_))), "it makes all offers: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_tells_of_ice_servers_and_offers_of_public_addresses() {
    let servers = "stun:stun.example.org,turn:turn.example.org:3478?transport=udp atoll hunter2";
    let more = [("ATOLL_LIVEKIT__ICE_SERVERS", servers), ("ATOLL_PUBLIC__IPS", "203.0.113.7,2001:db8::7")];
    let edge = Edge::start_with_variables(&[&VARIABLES[..], &more].concat()).await;
    let (mut line, joined) = Line::join(edge.http(), &fresh(json!({}))).await;
    let told: Vec<_> = joined
        .ice_servers
        .iter()
        .map(|server| (server.urls.join(" "), server.username.as_str(), server.credential.as_str()))
        .collect();
    let turn = "turn:turn.example.org:3478?transport=udp".to_owned();
    assert_eq!(told, [("stun:stun.example.org".to_owned(), "", ""), (turn, "atoll", "hunter2")]);
    let offer = line.until("an offer", |one| if let Signal::Offer(offer) = one { Some(offer.sdp) } else { None }).await;
    let candidates: Vec<_> = offer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    for address in [" 203.0.113.7 ", " 2001:db8::7 "] {
        for protocol in [" udp ", " tcp "] {
            let is_it = |line: &&&str| line.contains(address) && line.to_lowercase().contains(protocol);
            assert_eq!(candidates.iter().filter(is_it).count(), 1, "{address}{protocol}: {candidates:?}");
        }
    }
    assert!(!offer.contains("127.0.0.1"), "{candidates:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_changes_its_own_name_and_attributes_and_who_may_not_does_not() {
    let edge = edge().await;
    let mut witness = Bot::join(edge.http(), &fresh(json!({}))).await;
    let mut named = Bot::join(edge.http(), &fresh(json!({ "canUpdateOwnMetadata": true }))).await;
    let other = Bot::join(edge.http(), &fresh(json!({}))).await;
    other.request(rename("not allowed"));
    named.request(Request::UpdateMetadata(UpdateParticipantMetadata {
        name: "Ann".to_owned(),
        metadata: "about Ann".to_owned(),
        attributes: [("hat".to_owned(), "red".to_owned())].into(),
        request_id: 6,
    }));
    let info = witness.sees(named.identity(), |info| !info.name.is_empty()).await;
    assert_eq!(
        (info.name.as_str(), info.metadata.as_str(), info.attributes["hat"].as_str()),
        ("Ann", "about Ann", "red")
    );
    let answer = |signal: &Signal| if let Signal::RequestResponse(one) = signal { Some(one.clone()) } else { None };
    let answer = named.signal("an answer", answer).await;
    assert_eq!((answer.request_id, answer.reason()), (6, Reason::Ok));
    assert_eq!(witness.others[other.identity()].name, "");
    // What changes nothing is told to nobody.
    let version = info.version;
    named.request(rename("Ann"));
    named.request(rename("Anna"));
    let info = witness.sees(named.identity(), |info| info.name == "Anna").await;
    assert_eq!(info.version, version + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_told_to_be_good_to_all_and_to_latecomers() {
    let edge = edge().await;
    let mut first = Bot::join(edge.http(), &fresh(json!({}))).await;
    let hidden = Bot::join(edge.http(), &fresh(json!({ "hidden": true }))).await;
    let mut second = Bot::join(edge.http(), &fresh(json!({}))).await;
    let sids = [first.sid().to_owned(), second.sid().to_owned()];
    for (bot, other) in [(&mut first, &sids[1]), (&mut second, &sids[0])] {
        let is_told = |signal: &Signal| match signal {
            Signal::ConnectionQuality(update) => {
                let of_it = |one: &&livekit_protocol::ConnectionQualityInfo| one.participant_sid == **other;
                update.updates.iter().find(of_it).map(livekit_protocol::ConnectionQualityInfo::quality)
            }
            _ => None,
        };
        assert_eq!(bot.signal("the other's quality", is_told).await, ConnectionQuality::Excellent);
        let names_hidden = |signal: &Signal| match signal {
            Signal::ConnectionQuality(update) => update.updates.iter().any(|one| one.participant_sid == hidden.sid()),
            _ => false,
        };
        assert!(!bot.signals_so_far().iter().any(names_hidden), "nobody knows of it");
    }
}

fn chat_message(words: &str) -> Option<Value> {
    Some(Value::ChatMessage(ChatMessage { id: "1".to_owned(), message: words.to_owned(), ..Default::default() }))
}

fn words_of(packet: &DataPacket) -> &str {
    match &packet.value {
        Some(Value::ChatMessage(chat)) => &chat.message,
        other => panic!("a chat message is due: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_livekit_understands_reaches_its_clients_as_large_as_they_take_it() {
    let edge = edge().await;
    let mut speaker = Bot::join(edge.http(), &fresh(json!({}))).await;
    let mut listener = Bot::join(edge.http(), &fresh(json!({}))).await;
    let mut other = Bot::join(edge.http(), &fresh(json!({}))).await;
    let say = |value, to: &[&str]| DataPacket {
        // A lie: the edge says who it is.
        participant_identity: other.identity().to_owned(),
        destination_identities: to.iter().map(|one| (*one).to_owned()).collect(),
        value,
        ..Default::default()
    };
    // What it says fits into a message; with who says it, it does not any more.
    let rest = say(chat_message(&"x".repeat(60_000)), &[]).encoded_len() - 60_000;
    let huge = "x".repeat(65_530 - rest);
    let shouted = format!("0x{}", listener.identity()[2..].to_uppercase());
    let for_one = say(chat_message("for one"), &[&shouted]);
    let crowd: Vec<String> = (0..1025).map(|number| number.to_string()).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).chain([listener.identity()]).collect();
    let packets = [say(chat_message(&huge), &[]), say(chat_message("to a crowd"), &crowd), for_one];
    let for_all = say(chat_message("for all"), &[]);
    for packet in packets {
        speaker.send(Lane::Reliable, &packet).await.unwrap();
    }
    speaker.send(Lane::Reliable, &for_all).await.unwrap();
    let (lane, packet) = listener.packet().await;
    assert_eq!((lane, words_of(&packet)), (Lane::Reliable, "for one"));
    assert_eq!(
        (packet.participant_identity.as_str(), packet.participant_sid.as_str()),
        (speaker.identity(), speaker.sid())
    );
    for bot in [&mut listener, &mut other] {
        assert_eq!(words_of(&bot.packet().await.1), "for all");
    }
    speaker.send(Lane::Lossy, &say_lossy("lossy")).await.unwrap();
    let (lane, packet) = listener.packet().await;
    assert_eq!((lane, words_of(&packet)), (Lane::Lossy, "lossy"));
    // The one who said too much is still there.
    listener.say(Lane::Reliable, &chat("back")).await.unwrap();
    assert_eq!(speaker.hears().await.payload, chat("back"));
}

fn say_lossy(words: &str) -> DataPacket {
    DataPacket { value: chat_message(words), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_numbered_is_taken_once() {
    let edge = edge().await;
    let speaker = Bot::join(edge.http(), &fresh(json!({}))).await;
    let mut listener = Bot::join(edge.http(), &fresh(json!({}))).await;
    // As a client says again after a loss what it does not know to have arrived.
    for (sequence, words) in [(1, "one"), (2, "two"), (2, "two"), (1, "one"), (3, "three")] {
        let packet = DataPacket { sequence, ..say_lossy(words) };
        speaker.send(Lane::Reliable, &packet).await.unwrap();
    }
    for words in ["one", "two", "three"] {
        assert_eq!(words_of(&listener.packet().await.1), words);
    }
    assert!(!listener.heard_more());
}
