//! Ordered and large messages, spoken by hand: their streams, numbers and acknowledgements, and what breaks their rules.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::{Connection, FrameReader, FrameWriter};
use atoll_client::{Position, Wallet, Way};
use atoll_proto::archipelago::Heartbeat;
use atoll_proto::atoll::{
    ErrorCode, Gap, IslandChanged, Large, LargeHeader, Ordered, OrderedMessage, Received, client_message, large_header,
    ordered_message, server_message,
};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{Kind, Sequence, Tag, Up, decode_chunk};
use atoll_proto::framing::put_frame;
use atoll_proto::lanes::{LARGE_STREAM, MAX_ORDERED, MAX_ORDERED_FRAME, ORDERED_STREAM};
use atoll_tests::{Edge, within};
use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant, SystemTime};

const WAYS: [Way; 3] = [Way::Quic, Way::WebTransport, Way::WebSocket];

/// A logged-in client that says everything itself.
struct Hand {
    connection: Connection,
    island: Option<IslandChanged>,
    ordered: Option<FrameWriter>,
    received: Received,
}

impl Hand {
    async fn new(edge: &Edge, way: Way) -> Self {
        let wallet = Wallet::random().unwrap();
        let mut connection = edge.raw(way).await;
        let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
        let expiration = SystemTime::now() + Duration::from_secs(60);
        connection.answer_challenge(wallet.sign(&challenge, expiration)).await.unwrap();
        Self { connection, island: None, ordered: None, received: Received::default() }
    }

    /// One that sits at `x` with so many others.
    async fn seated(edge: &Edge, way: Way, x: f32, members: usize) -> Self {
        let mut hand = Self::new(edge, way).await;
        hand.stand_at(x).await;
        hand.wait_for_members(members).await;
        hand
    }

    async fn stand_at(&mut self, x: f32) {
        let position = Some(Position { x, y: 0.0, z: 0.0 });
        let heartbeat = client_message::Message::Heartbeat(Heartbeat { position, desired_room: None });
        self.connection.send(heartbeat).await.unwrap();
    }

    async fn wait_for_members(&mut self, members: usize) {
        within("an island with so many members", async {
            while self.island.as_ref().is_none_or(|island| island.members.len() != members) {
                self.control().await;
            }
        })
        .await;
    }

    /// The next control message, followed.
    async fn control(&mut self) -> server_message::Message {
        let message = within("a control message", self.connection.recv()).await.unwrap();
        match &message {
            server_message::Message::IslandChanged(island) => self.island = Some(island.clone()),
            server_message::Message::MembersChanged(change) => {
                let island = self.island.as_mut().unwrap();
                if island.tag == change.tag {
                    island.members.retain(|member| !change.left.contains(&member.alias));
                    island.members.extend(change.joined.iter().cloned());
                }
            }
            server_message::Message::Received(received) => self.received = received.clone(),
            _ => {}
        }
        message
    }

    async fn acknowledged(&mut self, wanted: impl Fn(&Received) -> bool) {
        while !wanted(&self.received) {
            self.control().await;
        }
    }

    async fn error(&mut self) -> ErrorCode {
        loop {
            if let server_message::Message::Error(error) = self.control().await {
                return error.code();
            }
        }
    }

    fn tag(&self) -> u32 {
        self.island.as_ref().unwrap().tag
    }

    async fn say(&mut self, message: ordered_message::Message) {
        if self.ordered.is_none() {
            let stream = self.connection.open_stream(&[ORDERED_STREAM]).await.unwrap();
            self.ordered = Some(FrameWriter::new(stream));
        }
        let message = OrderedMessage { message: Some(message) };
        self.ordered.as_mut().unwrap().send(&message).await.unwrap();
    }

    async fn say_ordered(&mut self, tag: u32, number: u64, payload: &[u8]) {
        let ordered = Ordered { tag, number, sender: None, payload: payload.to_vec() };
        self.say(ordered_message::Message::Ordered(ordered)).await;
    }

    /// The next stream of the edge, which must be of this type.
    async fn stream(&self, kind: u8) -> FrameReader {
        let mut stream = within("a stream", self.connection.accept_stream()).await.unwrap();
        assert_eq!(stream.bytes(1).await.unwrap()[..], [kind]);
        stream
    }

    async fn close_code(&self) -> Option<CloseCode> {
        within("the close", self.connection.closed()).await.code()
    }

    async fn acknowledge(&mut self, received: Received) {
        self.connection.send(client_message::Message::Received(received)).await.unwrap();
    }
}

async fn ordered(stream: &mut FrameReader) -> Ordered {
    let frame = within("an ordered message", stream.frame(MAX_ORDERED_FRAME)).await.unwrap();
    let message: OrderedMessage = atoll_proto::decode(&frame).unwrap();
    let Some(ordered_message::Message::Ordered(ordered)) = message.message else { panic!("{message:?}") };
    ordered
}

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_come_in_time_and_a_number_that_comes_again_is_dropped() {
    let edge = Edge::start().await;
    for (x, way) in [0.0, 1000.0, 2000.0].into_iter().zip(WAYS) {
        let mut speaker = Hand::seated(&edge, way, x, 1).await;
        let mut listener = Hand::seated(&edge, Way::Quic, x, 2).await;
        let tag = speaker.tag();
        let sent = Instant::now();
        speaker.say_ordered(tag, 1, b"once").await;
        speaker.acknowledged(|received| received.ordered == 1).await;
        assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
        speaker.say_ordered(tag, 1, b"once").await;
        speaker.say(ordered_message::Message::Gap(Gap { first: 2, last: 9 })).await;
        speaker.say_ordered(tag, 10, b"after a gap").await;
        let mut stream = listener.stream(ORDERED_STREAM).await;
        for (number, payload) in [(1, &b"once"[..]), (2, b"after a gap")] {
            let heard = ordered(&mut stream).await;
            assert_eq!((heard.number, &heard.payload[..]), (number, payload), "{way}");
        }
        speaker.acknowledged(|received| received.ordered == 10).await;
        // What both have is acknowledged twice without harm.
        for _ in 0..2 {
            listener.acknowledge(Received { ordered: 2, ..Received::default() }).await;
        }
        listener.stand_at(x).await;
    }
    assert_eq!(count(&edge, "/native/lanes/gaps_in").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_rules_of_the_lanes_ends_the_session() {
    let edge = Edge::start().await;
    for way in WAYS {
        let mut skips = Hand::new(&edge, way).await;
        skips.say_ordered(1, 2, b"").await;
        assert_eq!(skips.close_code().await, Some(CloseCode::Malformed), "{way}");

        let mut liar = Hand::new(&edge, way).await;
        liar.acknowledge(Received { ordered: 1, ..Received::default() }).await;
        assert_eq!(liar.close_code().await, Some(CloseCode::Malformed), "{way}");

        let mut big = Hand::new(&edge, way).await;
        big.say_ordered(1, 1, &vec![0; MAX_ORDERED + 1]).await;
        assert_eq!(big.close_code().await, Some(CloseCode::Malformed), "{way}");

        let giant = Hand::new(&edge, way).await;
        let header = Large { tag: 1, number: 1, sender: None, length: u32::MAX };
        let mut bytes = BytesMut::from(&[LARGE_STREAM][..]);
        put_frame(&LargeHeader { message: Some(large_header::Message::Large(header)) }, &mut bytes);
        let _stream = giant.connection.open_stream(&bytes).await.unwrap();
        assert_eq!(giant.close_code().await, Some(CloseCode::Malformed), "{way}");

        let mut early = Hand::new(&edge, way).await;
        early.say_ordered(1, 1, b"no seat yet").await;
        assert_eq!(early.error().await, ErrorCode::NoSeat);
    }
    for way in [Way::Quic, Way::WebTransport] {
        let twice = Hand::new(&edge, way).await;
        let _streams = (
            twice.connection.open_stream(&[ORDERED_STREAM]).await.unwrap(),
            twice.connection.open_stream(&[ORDERED_STREAM]).await.unwrap(),
        );
        assert_eq!(twice.close_code().await, Some(CloseCode::Malformed), "{way}");

        // One of a type that nobody knows is stopped, and the session goes on.
        let mut other = Hand::new(&edge, way).await;
        let mut stream = other.connection.open_stream(&[9]).await.unwrap();
        within("the stop", async { while stream.write_all(&[0; 1024]).await.is_ok() {} }).await;
        other.stand_at(0.0).await;
        other.wait_for_members(1).await;
        other.connection.transport.close(CloseCode::Closed, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_was_left_is_open_for_two_seconds() {
    let edge = Edge::start().await;
    let mut listener = Hand::seated(&edge, Way::Quic, 0.0, 1).await;
    let mut speaker = Hand::seated(&edge, Way::WebTransport, 0.0, 2).await;
    listener.wait_for_members(2).await;
    let old = speaker.tag();
    speaker.stand_at(500.0).await;
    while speaker.tag() == old {
        speaker.control().await;
    }
    let moved = Instant::now();
    speaker.say_ordered(old, 1, b"farewell").await;
    let event =
        |kind, sequence| Up { kind, tag: Tag(old), sequence: Sequence(sequence), payload: Bytes::from_static(b"!") };
    for (sequence, kind) in [(1, Kind::Update), (2, Kind::Voice), (3, Kind::Event)] {
        let mut bytes = BytesMut::new();
        event(kind, sequence).encode(&mut bytes);
        speaker.connection.send_datagram(bytes.freeze()).unwrap();
    }
    let mut stream = listener.stream(ORDERED_STREAM).await;
    assert_eq!(ordered(&mut stream).await.payload, b"farewell");
    let heard = within("an event", listener.connection.recv_datagram()).await.unwrap();
    let (_, heard) = decode_chunk(heard).unwrap();
    let heard: Vec<_> = heard.map(|entry| entry.unwrap()).map(|entry| (entry.kind, entry.sequence)).collect();
    assert_eq!(heard, [(Kind::Event, Sequence(3))]);
    // The other way round.
    listener.say_ordered(old, 1, b"and to you").await;
    let mut stream = speaker.stream(ORDERED_STREAM).await;
    assert_eq!(ordered(&mut stream).await.payload, b"and to you");
    assert!(moved.elapsed() < Duration::from_secs(2), "too slow to say anything: {:?}", moved.elapsed());
    assert_eq!(count(&edge, "/native/wrong_tag").await, 2);

    listener.wait_for_members(1).await;
    speaker.say_ordered(old, 2, b"too late").await;
    assert_eq!(speaker.error().await, ErrorCode::LeftRoom);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_at_full_speed_push_out_nothing_of_a_quiet_one() {
    const SAID: u64 = 30;
    let edge = Edge::start().await;
    for (x, reads_at_once, size) in [(0.0, true, 1000), (1000.0, false, 1000), (2000.0, false, MAX_ORDERED)] {
        let mut listener = Hand::seated(&edge, Way::Quic, x, 1).await;
        let mut quiet = Hand::seated(&edge, Way::Quic, x, 2).await;
        let mut loud = tokio::task::JoinSet::new();
        for others in 3..11 {
            let mut hand = Hand::seated(&edge, Way::Quic, x, others).await;
            loud.spawn(async move {
                // No faster than the edge reads.
                for number in 1.. {
                    hand.say_ordered(hand.tag(), number, &vec![0; size]).await;
                }
            });
        }
        loud.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            for number in 1..=SAID {
                ticks.tick().await;
                quiet.say_ordered(quiet.tag(), number, &[1; 200]).await;
            }
            std::future::pending::<()>().await;
        });
        if !reads_at_once {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let mut stream = listener.stream(ORDERED_STREAM).await;
        let (mut heard, mut lost, mut last) = (0, 0, 0);
        while heard < SAID {
            let frame = within("an ordered message", stream.frame(MAX_ORDERED_FRAME)).await.unwrap();
            let message: OrderedMessage = atoll_proto::decode(&frame).unwrap();
            match message.message.unwrap() {
                ordered_message::Message::Ordered(ordered) => {
                    last = ordered.number;
                    heard += u64::from(ordered.payload.first() == Some(&1));
                }
                ordered_message::Message::Gap(gap) => {
                    last = gap.last;
                    lost += gap.last - gap.first + 1;
                }
            }
            assert!(last < 30_000, "{heard} of {SAID} were heard");
            if last % 32 == 0 {
                listener.acknowledge(Received { ordered: last, ..Received::default() }).await;
            }
        }
        println!("{size} bytes, read at once: {reads_at_once}. {heard} of {SAID} heard, {lost} of {last} lost");
        assert!(reads_at_once || lost > 0, "nobody was too loud");
    }
}
