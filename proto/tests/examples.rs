//! The examples of docs/protocol.md as bytes: `proto/vectors/atoll1.json`, for who writes a client without reading Rust.
//!
//! The file is written from the cases below by `ATOLL_BLESS=1 cargo test -p atoll-proto --test examples`; without that
//! variable the test compares.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_proto::archipelago::island_changed_message::PeersEntry;
use atoll_proto::archipelago::{
    ChallengeRequestMessage, ChallengeResponseMessage, Heartbeat, IslandChangedMessage, KickedMessage, Position,
    SignedChallengeMessage, WelcomeMessage,
};
use atoll_proto::atoll::{
    Capabilities, ClientMessage, Error, ErrorCode, IslandChanged, Limits, Login, Member, MembersChanged, ServerMessage,
    Welcome, client_message, server_message,
};
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, Up, decode_chunk, encode_chunks};
use atoll_proto::framing::{MAX_MESSAGE, put_frame, take_frame};
use bytes::{Bytes, BytesMut};
use prost::Message;
use serde_json::{Value, json};
use std::fmt::Write;

const ADDRESS: &str = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
const OTHER: &str = "0x1563915e194d8cfba1943570603f7606a3115508";
const CHALLENGE: &str = "dcl-atoll-000102030405060708090a0b0c0d0e0f";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn case(note: &str, bytes: &[u8], value: Value) -> Value {
    json!({"note": note, "hex": hex(bytes), "value": value})
}

fn datagrams_up() -> Vec<Value> {
    let cases = [
        ("an update", Kind::Update, 0x0102_0304, 5, &[0x0a, 0x00][..]),
        ("an event, sequence at its end", Kind::Event, 0xffff_ffff, 65_535, b"gm"),
        ("no payload", Kind::Event, 0, 0, b""),
    ];
    let encode = |(note, kind, tag, sequence, payload): (&str, Kind, u32, u16, &'static [u8])| {
        let up = Up { kind, tag: Tag(tag), sequence: Sequence(sequence), payload: Bytes::from_static(payload) };
        let mut bytes = BytesMut::new();
        up.encode(&mut bytes);
        assert_eq!(Up::decode(bytes.clone().freeze()).unwrap(), up);
        case(note, &bytes, json!({"kind": kind as u8, "tag": tag, "sequence": sequence, "payload": hex(payload)}))
    };
    cases.into_iter().map(encode).collect()
}

fn datagrams_down() -> Vec<Value> {
    let entry = |alias, kind, sequence, payload: &[u8]| Entry {
        alias: Alias(alias),
        kind,
        sequence: Sequence(sequence),
        payload: Bytes::copy_from_slice(payload),
    };
    let cases = [
        ("one entry", vec![entry(1, Kind::Update, 5, &[0x0a, 0x00])]),
        ("two senders", vec![entry(0, Kind::Event, 1, b"hi"), entry(300, Kind::Update, 65_535, &[0xff; 3])]),
        ("a payload of 200 bytes: its length takes two", vec![entry(2, Kind::Event, 9, &[7; 200])]),
        ("an empty payload", vec![entry(127, Kind::Event, 0, b"")]),
    ];
    let encode = |(note, entries): (&str, Vec<Entry>)| {
        let chunks = encode_chunks(&[], Tag(0x0102_0304), &entries);
        assert_eq!(chunks.len(), 1);
        let (tag, decoded) = decode_chunk(chunks[0].clone()).unwrap();
        assert_eq!(decoded.collect::<Result<Vec<_>, _>>().unwrap(), entries);
        let values: Vec<Value> = entries
            .iter()
            .map(|entry| {
                json!({"alias": entry.alias.0, "kind": entry.kind as u8, "sequence": entry.sequence.0,
                       "payload": hex(&entry.payload)})
            })
            .collect();
        case(note, &chunks[0], json!({"tag": tag.0, "entries": values}))
    };
    cases.into_iter().map(encode).collect()
}

fn frames() -> Vec<Value> {
    let messages = [
        ("an empty message", ClientMessage { message: None }),
        ("a length of one byte", client(client_message::Message::Heartbeat(heartbeat(1.0, None)))),
        ("a length of two bytes", client(login(&"x".repeat(200)))),
    ];
    let encode = |(note, message): (&str, ClientMessage)| {
        let mut frame = BytesMut::new();
        put_frame(&message, &mut frame);
        let bytes = frame.clone().freeze();
        let taken = take_frame(&mut frame, MAX_MESSAGE).unwrap().unwrap();
        assert_eq!((&taken[..], frame.len()), (&message.encode_to_vec()[..], 0));
        case(note, &bytes, json!({"message": hex(&taken)}))
    };
    messages.into_iter().map(encode).collect()
}

fn client(message: client_message::Message) -> ClientMessage {
    ClientMessage { message: Some(message) }
}

fn heartbeat(x: f32, desired_room: Option<&str>) -> Heartbeat {
    Heartbeat { position: Some(Position { x, y: 0.0, z: -2.5 }), desired_room: desired_room.map(str::to_owned) }
}

fn login(chain: &str) -> client_message::Message {
    client_message::Message::Login(Login {
        signed_challenge: Some(SignedChallengeMessage { auth_chain_json: chain.to_owned() }),
        capabilities: Some(Capabilities { schemes: vec!["quic".to_owned()] }),
        ..Login::default()
    })
}

fn client_messages() -> Vec<Value> {
    use client_message::Message::{ChallengeRequest, Heartbeat};
    let request = ChallengeRequestMessage { address: ADDRESS.to_owned() };
    let cases = [
        ("challenge_request", ChallengeRequest(request), json!({"challengeRequest": {"address": ADDRESS}})),
        (
            "login",
            login("[]"),
            json!({"login": {"signedChallenge": {"authChainJson": "[]"}, "capabilities": {"schemes": ["quic"]}}}),
        ),
        (
            "heartbeat",
            Heartbeat(heartbeat(1.0, None)),
            json!({"heartbeat": {"position": {"x": 1.0, "y": 0.0, "z": -2.5}}}),
        ),
        (
            "heartbeat with a desired room",
            Heartbeat(heartbeat(0.0, Some("I1"))),
            json!({"heartbeat": {"position": {"x": 0.0, "y": 0.0, "z": -2.5}, "desiredRoom": "I1"}}),
        ),
    ];
    cases.into_iter().map(|(note, message, value)| case(note, &client(message).encode_to_vec(), value)).collect()
}

fn server_messages() -> Vec<Value> {
    use server_message::Message as M;
    let member = |alias, name: &str| Member { alias, name: name.to_owned() };
    let place = |x| Some(Position { x, y: 0.0, z: 0.0 });
    let island = IslandChangedMessage {
        island_id: "I2".to_owned(),
        conn_str: "quic:I2".to_owned(),
        from_island_id: Some("I1".to_owned()),
        peers: vec![
            PeersEntry { key: ADDRESS.to_owned(), value: place(0.0) },
            PeersEntry { key: OTHER.to_owned(), value: place(8.5) },
        ],
    };
    let cases = [
        (
            "challenge_response",
            M::ChallengeResponse(ChallengeResponseMessage {
                challenge_to_sign: CHALLENGE.to_owned(),
                already_connected: false,
            }),
            json!({"challengeResponse": {"challengeToSign": CHALLENGE, "alreadyConnected": false}}),
        ),
        (
            "welcome",
            M::Welcome(Welcome {
                welcome: Some(WelcomeMessage { peer_id: ADDRESS.to_owned() }),
                limits: Some(Limits {
                    max_message_bytes: 65_536,
                    max_payload_bytes: 1100,
                    heartbeat_interval_ms: 1000,
                    ..Limits::default()
                }),
                ..Welcome::default()
            }),
            json!({"welcome": {"welcome": {"peerId": ADDRESS},
                   "limits": {"maxMessageBytes": 65_536, "maxPayloadBytes": 1100, "heartbeatIntervalMs": 1000}}}),
        ),
        (
            "island_changed; a peer at the origin has an empty position, not none",
            M::IslandChanged(IslandChanged {
                island: Some(island),
                tag: 0x0102_0304,
                alias: 1,
                members: vec![member(0, OTHER), member(1, ADDRESS)],
            }),
            json!({"islandChanged": {
                "island": {"islandId": "I2", "connStr": "quic:I2", "fromIslandId": "I1",
                           "peers": {ADDRESS: {"x": 0.0, "y": 0.0, "z": 0.0}, OTHER: {"x": 8.5, "y": 0.0, "z": 0.0}}},
                "tag": 0x0102_0304, "alias": 1,
                "members": [{"alias": 0, "name": OTHER}, {"alias": 1, "name": ADDRESS}]}}),
        ),
        (
            "members_changed",
            M::MembersChanged(MembersChanged {
                tag: 0x0102_0304,
                joined: vec![member(2, "server:scene-1")],
                left: vec![0, 300],
            }),
            json!({"membersChanged": {"tag": 0x0102_0304, "joined": [{"alias": 2, "name": "server:scene-1"}],
                   "left": [0, 300]}}),
        ),
        ("kicked", M::Kicked(KickedMessage::default()), json!({"kicked": {"reason": 0}})),
        (
            "error",
            M::Error(Error { code: ErrorCode::PayloadTooLarge.into(), reason: "too large".to_owned(), count: 3 }),
            json!({"error": {"code": 2, "reason": "too large", "count": 3}}),
        ),
    ];
    let encode = |(note, message, value): (&str, server_message::Message, Value)| {
        case(note, &ServerMessage { message: Some(message) }.encode_to_vec(), value)
    };
    cases.into_iter().map(encode).collect()
}

#[test]
fn the_examples_are_what_this_version_writes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/atoll1.json");
    let examples = json!({
        "datagrams_up": datagrams_up(),
        "datagrams_down": datagrams_down(),
        "frames": frames(),
        "client_messages": client_messages(),
        "server_messages": server_messages(),
    });
    if std::env::var_os("ATOLL_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&examples).unwrap();
        std::fs::write(path, text + "\n").unwrap();
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(written, examples);
}
