//! What LiveKit's clients and strangers send wrong costs them, and nobody else.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_tests::livekit::{Bot, Lane, Line, VARIABLES, path, token};
use atoll_tests::{Edge, chat, eventually, within};
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{SessionDescription, UpdateParticipantMetadata};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;

const ROOM: &str = "world-a";

/// How long the edge waits for a first connection.
const SILENCE: Duration = Duration::from_secs(15);

/// How long a TCP connection for media may take to name its participant.
const NAMING: Duration = Duration::from_secs(5);

fn fresh(grants: Value) -> String {
    token(ROOM, &Wallet::random().unwrap().address().to_string(), grants)
}

/// Two who talk all the while.
struct Neighbours {
    speaker: Bot,
    listener: Bot,
    count: u32,
}

impl Neighbours {
    async fn of(edge: &Edge) -> Self {
        let speaker = Bot::join(edge.http(), &fresh(json!({ "canUpdateOwnMetadata": true }))).await;
        let listener = Bot::join(edge.http(), &fresh(json!({}))).await;
        Self { speaker, listener, count: 0 }
    }

    /// Says something and hears it, and nothing else.
    async fn talk(&mut self, while_what: &str) {
        self.count += 1;
        let words = chat(&format!("number {}", self.count));
        for lane in [Lane::Reliable, Lane::Lossy] {
            self.speaker.say(lane, &words).await.unwrap();
            let heard = self.listener.hears().await;
            let expected = (&words[..], self.speaker.identity());
            assert_eq!((heard.payload.as_slice(), heard.from.as_str()), expected, "while {while_what}");
        }
    }
}

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

async fn is_served(line: &mut Line, what: &str) {
    line.send(Request::Ping(9)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    line.until(what, |signal| matches!(signal, Signal::Pong(9)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_that_are_none() {
    let edge = edge().await;
    let mut neighbours = Neighbours::of(&edge).await;
    let (mut line, _) = Line::join(edge.http(), &fresh(json!({}))).await;
    let offer = |signal| if let Signal::Offer(offer) = signal { Some(offer.sdp) } else { None };
    let real = line.until("the edge's offer", offer).await;
    let head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\n";
    let many = |count: usize| {
        let sections = (0..count).map(|at| section.replace("mid:0", &format!("mid:{at}")));
        head.to_owned() + &sections.collect::<String>()
    };
    let descriptions = [
        String::new(),
        "hello".to_owned(),
        "\0\u{feff}\u{1f600}\r\n".repeat(100),
        head.to_owned(),
        "v=0\r\n".repeat(80_000),
        "m=".repeat(200_000),
        "\nm=audio".repeat(40_000),
        format!("{head}{}", "a=candidate:1 1 UDP 1 127.0.0.1 1 typ host\r\n".repeat(8000)),
        format!("{head}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=max-message-size:0\r\n"),
        format!("{head}m=audio 99999999999 X 111\r\na=mid:{}\r\n", "9".repeat(10_000)),
        many(1),
        many(200),
        many(256),
        many(4000),
        real.replace("setup:actpass", "setup:passive"),
        real.replace("a=fingerprint:", "a=fingerprint:sha-1 "),
        real.lines().filter(|line| !line.starts_with("a=ice-")).fold(String::new(), |all, line| all + line + "\r\n"),
    ];
    for (at, sdp) in descriptions.iter().enumerate() {
        let what = format!("offer {at} of {} bytes", sdp.len());
        line.offer(sdp).await.unwrap();
        let answer = SessionDescription { r#type: "answer".to_owned(), sdp: sdp.clone(), ..Default::default() };
        line.send(Request::Answer(answer)).await.unwrap();
        neighbours.talk(&what).await;
        if line.send(Request::Ping(9)).await.is_err() || !is_answered(&mut line).await {
            // Its own participant may be ended by it, and no other.
            line = Line::join(edge.http(), &fresh(json!({}))).await.0;
        }
    }
    // One that is too long to be read ends its own socket.
    let huge = "a".repeat(1 << 20);
    let _ = line.offer(&huge).await;
    within("the end of the socket", async { while line.read().await.is_ok() {} }).await;
    neighbours.talk("after a description of 1 MiB").await;
    Bot::join(edge.http(), &fresh(json!({}))).await;
}

async fn is_answered(line: &mut Line) -> bool {
    loop {
        match line.next().await {
            Ok(Signal::Pong(9)) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_are_none() {
    let edge = edge().await;
    let mut neighbours = Neighbours::of(&edge).await;
    let (mut line, _) = Line::join(edge.http(), &fresh(json!({}))).await;
    let garbage: [&[u8]; 6] =
        [&[], &[0], &[0xff; 64], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[7; 100_000], b"{\"ping\":1}"];
    for message in garbage {
        line.send_raw(Message::binary(message.to_vec())).await.unwrap();
        is_served(&mut line, "who sent garbage").await;
    }
    // Requests out of place.
    let metadata = UpdateParticipantMetadata { metadata: "x".repeat(100_000), request_id: 1, ..Default::default() };
    line.send(Request::UpdateMetadata(metadata)).await.unwrap();
    for request in [
        Request::Mute(livekit_protocol::MuteTrackRequest { sid: "TR_nobody".to_owned(), muted: true }),
        Request::AddTrack(livekit_protocol::AddTrackRequest { cid: "c".repeat(100_000), ..Default::default() }),
        Request::Subscription(livekit_protocol::UpdateSubscription {
            track_sids: (0..10_000).map(|at| format!("TR_{at}")).collect(),
            subscribe: true,
            ..Default::default()
        }),
        Request::Trickle(livekit_protocol::TrickleRequest { candidate_init: "{".repeat(1000), ..Default::default() }),
        Request::Simulate(livekit_protocol::SimulateScenario::default()),
    ] {
        line.send(request).await.unwrap();
    }
    is_served(&mut line, "who asked for what there is not").await;
    neighbours.talk("somebody sends garbage").await;
    // Text is JSON to LiveKit; here it is either passed over or the end of this socket.
    let (mut other, _) = Line::join(edge.http(), &fresh(json!({}))).await;
    other.send_raw(Message::text("{\"ping\":1}")).await.unwrap();
    neighbours.talk("somebody sends text").await;
    is_served(&mut line, "a bystander").await;
    let status = edge.status().await;
    assert!(status["kernels"]["ws_room_packets"]["unread"].as_u64().unwrap() >= 5, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_connects_is_told_to_begin_anew() {
    let edge = edge().await;
    let mut neighbours = Neighbours::of(&edge).await;
    let began = Instant::now();
    let (mut line, _) = Line::join(edge.http(), &fresh(json!({}))).await;
    neighbours.listener.sees_others(2).await;
    let leave = line.leave().await;
    let time = began.elapsed();
    assert!(time >= SILENCE, "{time:?}");
    assert_eq!((leave.reason(), leave.action()), (DisconnectReason::ConnectionTimeout, Action::Reconnect));
    neighbours.listener.sees_others(1).await;
    neighbours.talk("somebody has never connected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_tcp_that_say_nothing_of_use_are_closed() {
    let edge = edge().await;
    let mut neighbours = Neighbours::of(&edge).await;
    let began = Instant::now();
    let words: [&[u8]; 5] = [&[0xff; 600], &[0, 20, 1, 2, 3], &[0, 4, 1, 2, 3, 4], b"GET / HTTP/1.1\r\n\r\n", &[]];
    let mut ended = tokio::task::JoinSet::new();
    for (at, words) in words.into_iter().enumerate() {
        let mut stream = TcpStream::connect(edge.livekit()).await.unwrap();
        stream.write_all(words).await.unwrap();
        ended.spawn(async move {
            let mut answer = Vec::new();
            // An end by reset is one, too.
            let _ = stream.read_to_end(&mut answer).await;
            (at, answer, began.elapsed())
        });
    }
    neighbours.talk("strangers connect by TCP").await;
    while let Some(one) = within("the end of a connection", ended.join_next()).await {
        let (at, answer, time) = one.unwrap();
        assert!(answer.is_empty(), "{at}: nobody is answered");
        let is_silent = matches!(at, 1 | 4);
        assert_eq!(time >= NAMING, is_silent, "{at}: {time:?}");
    }
    neighbours.talk("strangers have gone").await;
}

/// A binding request for somebody who is not here.
fn binding_request(number: u32) -> Vec<u8> {
    let name = format!("nobody{number:x}:somebody");
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend([7; 12]);
    message.extend([0, 6]);
    message.extend((name.len() as u16).to_be_bytes());
    message.extend(name.as_bytes());
    message.resize(message.len().next_multiple_of(4), 0);
    let length = (message.len() - 20) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_datagrams_of_strangers_are_dropped() {
    const DATAGRAMS: u32 = 100_000;
    let edge = edge().await;
    let mut neighbours = Neighbours::of(&edge).await;
    neighbours.talk("all is quiet").await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        sockets.push(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    }
    let before = edge.memory();
    let to: SocketAddr = edge.livekit();
    for number in 0..DATAGRAMS {
        let datagram = match number % 4 {
            0 | 1 => binding_request(number),
            // As if of DTLS, and of RTP.
            2 => vec![22; 200],
            _ => vec![0x80; 1200],
        };
        sockets[number as usize % sockets.len()].send_to(&datagram, to).await.unwrap();
        if number % 20_000 == 0 {
            neighbours.talk("strangers send datagrams").await;
        }
    }
    neighbours.talk("strangers have sent datagrams").await;
    let grown = edge.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes for {DATAGRAMS} datagrams of strangers");
    let mut answer = [0; 64];
    assert!(sockets.iter().all(|socket| socket.try_recv(&mut answer).is_err()), "nobody is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_its_socket_is_closed_and_costs_little() {
    let edge = edge().await;
    let mut neighbours = Neighbours::of(&edge).await;
    let before = edge.memory();
    let mut stubborn = Vec::new();
    for _ in 0..4 {
        stubborn.push(Line::open_small(edge.http(), &path(&fresh(json!({}))), Some(4096)).await.unwrap());
    }
    neighbours.listener.sees_others(5).await;
    // News of 60 kB for everybody, again and again: almost the 2 MiB that one may say at once.
    for number in 0..30 {
        let metadata = format!("{number:05}").repeat(12_000);
        let update = UpdateParticipantMetadata { metadata: metadata.clone(), ..Default::default() };
        neighbours.speaker.request(Request::UpdateMetadata(update));
        if number % 10 == 0 {
            let who = neighbours.speaker.identity().to_owned();
            neighbours.listener.sees(&who, |info| info.metadata == metadata).await;
            neighbours.talk("somebody does not read").await;
        }
    }
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 48, "{grown} MiB for four who do not read");
    neighbours.listener.sees_others(1).await;
    eventually("their sockets are closed", || async {
        (edge.status().await["kernels"]["livekit"]["sockets"] == 2).then_some(())
    })
    .await;
    neighbours.talk("they have gone").await;
    drop(stubborn);
}
