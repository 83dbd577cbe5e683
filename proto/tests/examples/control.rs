//! The messages of the control stream, and their frames.

use super::{ADDRESS, OTHER, case, hex};
use atoll_proto::archipelago::island_changed_message::PeersEntry;
use atoll_proto::archipelago::{
    ChallengeRequestMessage, ChallengeResponseMessage, Heartbeat, IslandChangedMessage, KickedMessage, Position,
    SignedChallengeMessage, WelcomeMessage,
};
use atoll_proto::atoll::{
    Capabilities, ClientMessage, Draining, Error, ErrorCode, ForeignTransport, IslandChanged, JoinRoom, Limits, Login,
    Member, MembersChanged, Publish, Received, Resume, ServerMessage, SignedFetch, Subscribe, Subscribed, TopicMessage,
    TopicScope, Unsubscribe, Welcome, client_message, server_message,
};
use atoll_proto::framing::{MAX_MESSAGE, put_frame, take_frame};
use bytes::BytesMut;
use prost::Message;
use serde_json::{Value, json};

const CHALLENGE: &str = "dcl-atoll-000102030405060708090a0b0c0d0e0f";
const FOREIGN: &str = "livekit:wss://livekit.example?access_token=x";
const TOKEN: &str = "a token is any text";

pub(crate) fn frames() -> Vec<Value> {
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

/// In one round trip, or by a token with the same beside it.
fn login_at_once(resume: Option<Resume>) -> client_message::Message {
    let signed_fetch = SignedFetch {
        auth_chain_json: "[]".to_owned(),
        timestamp: 1_700_000_000_000,
        metadata: r#"{"server":"atoll"}"#.to_owned(),
    };
    client_message::Message::Login(Login {
        signed_fetch: Some(signed_fetch),
        resume,
        capabilities: Some(Capabilities { schemes: vec!["quic".to_owned()] }),
        ..Login::default()
    })
}

fn received() -> Received {
    Received { ordered: 5, large: 300, large_beyond: vec![302, 305] }
}

pub(crate) fn client_messages() -> Vec<Value> {
    use client_message::Message::{self as M, ChallengeRequest, Heartbeat, Received as ReceivedMessage};
    let nothing = json!({"ordered": 0, "large": 0, "largeBeyond": []});
    let something = json!({"ordered": 5, "large": 300, "largeBeyond": [302, 305]});
    let signed_fetch =
        json!({"authChainJson": "[]", "timestamp": 1_700_000_000_000_u64, "metadata": r#"{"server":"atoll"}"#});
    let resume = |received| Resume { token: TOKEN.to_owned(), received: Some(received) };
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
        (
            "login by a signed fetch",
            login_at_once(None),
            json!({"login": {"signedFetch": signed_fetch, "capabilities": {"schemes": ["quic"]}}}),
        ),
        (
            "login by a token, with a signed fetch if that is refused",
            login_at_once(Some(resume(received()))),
            json!({"login": {"signedFetch": signed_fetch, "resume": {"token": TOKEN, "received": something},
                   "capabilities": {"schemes": ["quic"]}}}),
        ),
        (
            "login by a token alone; a client that has received nothing sends an empty received",
            client_message::Message::Login(Login { resume: Some(resume(Received::default())), ..Login::default() }),
            json!({"login": {"resume": {"token": TOKEN, "received": nothing}}}),
        ),
        ("received", ReceivedMessage(received()), json!({"received": something})),
        (
            "publish",
            M::Publish(Publish { topic: "scene.a".to_owned(), payload: vec![1, 2, 3] }),
            json!({"publish": {"topic": "scene.a", "payload": "010203"}}),
        ),
        (
            "subscribe to what peers say",
            M::Subscribe(Subscribe { subscription: 7, scope: TopicScope::Peer.into(), topic: "scene.*".to_owned() }),
            json!({"subscribe": {"subscription": 7, "scope": 1, "topic": "scene.*"}}),
        ),
        (
            "subscribe to what services say; the subscription 0 is not written",
            M::Subscribe(Subscribe { subscription: 0, scope: TopicScope::System.into(), topic: "island.>".to_owned() }),
            json!({"subscribe": {"subscription": 0, "scope": 2, "topic": "island.>"}}),
        ),
        ("unsubscribe", M::Unsubscribe(Unsubscribe { subscription: 7 }), json!({"unsubscribe": {"subscription": 7}})),
        (
            "join_room",
            M::JoinRoom(JoinRoom { connection_string: "quic:world-a?access_token=x.y.z".to_owned() }),
            json!({"joinRoom": {"connectionString": "quic:world-a?access_token=x.y.z"}}),
        ),
        (
            "join_room, to go back to the island",
            M::JoinRoom(JoinRoom::default()),
            json!({"joinRoom": {"connectionString": ""}}),
        ),
    ];
    cases.into_iter().map(|(note, message, value)| case(note, &client(message).encode_to_vec(), value)).collect()
}

fn welcome(resumed: Option<Received>) -> Welcome {
    Welcome {
        welcome: Some(WelcomeMessage { peer_id: ADDRESS.to_owned() }),
        limits: Some(Limits {
            max_message_bytes: 65_536,
            max_payload_bytes: 1100,
            heartbeat_interval_ms: 1000,
            max_ordered_bytes: 65_536,
            max_large_bytes: 1_048_576,
        }),
        resume_token: TOKEN.to_owned(),
        resume_window_ms: 60_000,
        resumed,
    }
}

pub(crate) fn server_messages() -> Vec<Value> {
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
    let limits = json!({"maxMessageBytes": 65_536, "maxPayloadBytes": 1100, "heartbeatIntervalMs": 1000,
                        "maxOrderedBytes": 65_536, "maxLargeBytes": 1_048_576});
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
                ..Default::default()
            }),
            json!({"islandChanged": {
                "island": {"islandId": "I2", "connStr": "quic:I2", "fromIslandId": "I1",
                           "peers": {ADDRESS: {"x": 0.0, "y": 0.0, "z": 0.0}, OTHER: {"x": 8.5, "y": 0.0, "z": 0.0}}},
                "tag": 0x0102_0304, "alias": 1,
                "members": [{"alias": 0, "name": OTHER}, {"alias": 1, "name": ADDRESS}]}}),
        ),
        (
            "island_changed by a foreign archipelago, whose transport is not this edge's",
            M::IslandChanged(IslandChanged {
                island: Some(IslandChangedMessage { island_id: "I3".to_owned(), ..Default::default() }),
                tag: 0x0102_0305,
                alias: 0,
                members: vec![member(0, ADDRESS)],
                foreign_transport: Some(ForeignTransport { connection_string: FOREIGN.to_owned() }),
                ..Default::default()
            }),
            json!({"islandChanged": {
                "island": {"islandId": "I3", "connStr": "", "peers": {}}, "tag": 0x0102_0305, "alias": 0,
                "members": [{"alias": 0, "name": ADDRESS}], "foreignTransport": {"connectionString": FOREIGN}}}),
        ),
        (
            "island_changed for a room that the client joined",
            M::IslandChanged(IslandChanged {
                tag: 0x0102_0306,
                alias: 1,
                members: vec![member(0, OTHER), member(1, ADDRESS)],
                room: "world-a".to_owned(),
                ..Default::default()
            }),
            json!({"islandChanged": {"tag": 0x0102_0306, "alias": 1, "room": "world-a",
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
        (
            "welcome with all limits and a token",
            M::Welcome(welcome(None)),
            json!({"welcome": {"welcome": {"peerId": ADDRESS}, "limits": limits, "resumeToken": TOKEN,
                   "resumeWindowMs": 60_000}}),
        ),
        (
            "welcome to an earlier session",
            M::Welcome(welcome(Some(received()))),
            json!({"welcome": {"welcome": {"peerId": ADDRESS}, "limits": limits, "resumeToken": TOKEN,
                   "resumeWindowMs": 60_000, "resumed": {"ordered": 5, "large": 300, "largeBeyond": [302, 305]}}}),
        ),
        (
            "received; nothing yet",
            M::Received(Received::default()),
            json!({"received": {"ordered": 0, "large": 0, "largeBeyond": []}}),
        ),
        (
            "received; the numbers of a list are packed",
            M::Received(received()),
            json!({"received": {"ordered": 5, "large": 300, "largeBeyond": [302, 305]}}),
        ),
        ("draining", M::Draining(Draining { close_in_ms: 5000 }), json!({"draining": {"closeInMs": 5000}})),
        (
            "subscribed",
            M::Subscribed(Subscribed { subscription: 7, ..Subscribed::default() }),
            json!({"subscribed": {"subscription": 7, "error": 0, "reason": ""}}),
        ),
        (
            "not subscribed",
            M::Subscribed(Subscribed {
                subscription: 7,
                error: ErrorCode::InvalidTopic.into(),
                reason: "not a topic".to_owned(),
            }),
            json!({"subscribed": {"subscription": 7, "error": 11, "reason": "not a topic"}}),
        ),
        (
            "what a peer said on a topic",
            M::TopicMessage(TopicMessage {
                subscription: 7,
                number: 300,
                topic: "scene.a".to_owned(),
                sender: OTHER.to_owned(),
                payload: vec![1, 2, 3],
            }),
            json!({"topicMessage": {"subscription": 7, "number": 300, "topic": "scene.a", "sender": OTHER,
                   "payload": "010203"}}),
        ),
        (
            "what a service said on a topic",
            M::TopicMessage(TopicMessage {
                subscription: 0,
                number: 1,
                topic: "island.I1.peer_left".to_owned(),
                sender: String::new(),
                payload: Vec::new(),
            }),
            json!({"topicMessage": {"subscription": 0, "number": 1, "topic": "island.I1.peer_left", "sender": "",
                   "payload": ""}}),
        ),
    ];
    let encode = |(note, message, value): (&str, server_message::Message, Value)| {
        case(note, &ServerMessage { message: Some(message) }.encode_to_vec(), value)
    };
    cases.into_iter().map(encode).collect()
}
