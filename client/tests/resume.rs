//! Losing connections, coming back, and moving between ways, against a scripted edge.

#![allow(clippy::unwrap_used, reason = "a script that breaks off is a failed test")]

mod scripted;

use atoll_client::{Client, Closed, Doors, Event, Lane, Options, Proof, SendError, Wallet, Way};
use atoll_proto::atoll::{
    Login, Member, MembersChanged, OrderedMessage, Received, client_message, ordered_message, server_message,
};
use atoll_proto::close::CloseCode;
use bytes::Bytes;
use scripted::websocket::WebSocketEdge;
use scripted::{Edge, messages, put};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

fn wallet() -> Wallet {
    Wallet::from_keys([0x11; 32], [0x22; 32]).unwrap()
}

fn address() -> String {
    wallet().address().to_string()
}

fn reconnecting(edge: &Edge) -> Options {
    Options { reconnect: true, ..edge.options() }
}

fn login(message: client_message::Message) -> Login {
    match message {
        client_message::Message::Login(login) => login,
        other => panic!("{other:?} instead of a login"),
    }
}

fn text(message: OrderedMessage) -> (u64, String) {
    match message.message.unwrap() {
        ordered_message::Message::Ordered(ordered) => {
            (ordered.number, String::from_utf8(ordered.payload.to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn say(client: &Client, text: &'static str) -> Result<u64, SendError> {
    client.send_ordered(Bytes::from_static(text.as_bytes()))
}

async fn hears(client: &Client, number: u64, text: &str) {
    match client.next_event().await {
        Event::Ordered(message) => assert_eq!((message.number, &message.payload[..]), (number, text.as_bytes())),
        other => panic!("{other:?} instead of {text}"),
    }
}

#[tokio::test]
async fn a_lost_websocket_is_taken_up_with_everything_that_was_on_its_way() {
    let (edge, doors) = (Edge::start(), WebSocketEdge::start().await);
    let (target, wallet, options) = (doors.target(), wallet(), reconnecting(&edge));
    let address = address();
    let (client, mut guest) =
        tokio::join!(Client::connect(&target, &wallet, &options), doors.welcomed(&address, "first"));
    let client = client.unwrap();
    guest.send(messages::seat(&address)).await;
    assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
    guest.send_ordered(messages::ordered(1, "hello")).await;
    hears(&client, 1, "hello").await;
    for (number, words) in [(1, "one"), (2, "two")] {
        assert_eq!(say(&client, words), Ok(number));
        assert_eq!(text(guest.ordered().await), (number, words.to_owned()));
    }
    // Gone without a word.
    drop(guest);
    let Event::Disconnected { why: Closed::Lost(_), retry_in } = client.next_event().await else { panic!("no loss") };
    assert_eq!(retry_in, Duration::ZERO);
    assert_eq!(client.send_event(Bytes::new()), Err(SendError::Disconnected));
    assert_eq!(say(&client, "three"), Ok(3), "kept meanwhile");

    let mut guest = doors.guest().await;
    let resume = login(guest.recv().await).resume.unwrap();
    assert_eq!((resume.token.as_str(), resume.received.unwrap().ordered), ("first", 1));
    let resumed = Received { ordered: 1, ..Received::default() };
    guest.send(messages::welcome(&address, "second", Some(resumed))).await;
    guest.send(messages::seat(&address)).await;
    assert_eq!(client.next_event().await, Event::Resumed { way: Way::WebSocket });
    for (number, words) in [(2, "two"), (3, "three")] {
        assert_eq!(text(guest.ordered().await), (number, words.to_owned()));
    }
    // What came twice is heard once, and the seat is the one it was.
    guest.send_ordered(messages::ordered(1, "hello")).await;
    guest.send_ordered(messages::ordered(2, "again")).await;
    hears(&client, 2, "again").await;
    assert_eq!((client.stats().islands, client.stats().resumed), (1, 1));
}

#[tokio::test]
async fn a_session_that_cannot_be_taken_up_begins_anew_and_tells_what_is_lost() {
    let edge = Edge::start();
    for way in [Way::WebTransport, Way::Quic] {
        let (target, wallet, options, address) = (edge.target(way), wallet(), reconnecting(&edge), address());
        let script = async {
            let mut visitor = edge.visitor().await;
            visitor.challenge().await;
            visitor.send(messages::welcome(&address, "first", None)).await;
            visitor
        };
        let (client, mut visitor) = tokio::join!(Client::connect(&target, &wallet, &options), script);
        let client = client.unwrap();
        visitor.seat(&address).await;
        assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
        assert_eq!(say(&client, "lost"), Ok(1));
        assert_eq!(text(visitor.ordered().await), (1, "lost".to_owned()));
        visitor.session.close(CloseCode::TooSlow.code(), b"");
        assert!(matches!(client.next_event().await, Event::Disconnected { .. }), "{way}");

        let mut visitor = edge.visitor().await;
        assert_eq!(login(visitor.recv().await).resume.unwrap().token, "first");
        let refused = atoll_proto::atoll::ErrorCode::ResumeRefused.into();
        let error = atoll_proto::atoll::Error { code: refused, ..Default::default() };
        visitor.send(server_message::Message::Error(error)).await;
        // The same connection goes on with a challenge.
        visitor.challenge().await;
        visitor.send(messages::welcome(&address, "other", None)).await;
        assert_eq!(client.next_event().await, Event::Undelivered { lane: Lane::Ordered, first: 1, last: 1 });
        assert_eq!(client.next_event().await, Event::Restarted { way });
        assert_eq!(say(&client, "again"), Err(SendError::NotSeated));
        visitor.seat(&address).await;
        assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
        assert_eq!(say(&client, "again"), Ok(1));
        assert_eq!(text(visitor.ordered().await), (1, "again".to_owned()));
        // By QUIC, the edge's ordered stream is one that it opens.
        let hello = [&[1][..], &put(&messages::ordered(1, "hello"))].concat();
        let _stream = visitor.open_stream(&hello).await;
        hears(&client, 1, "hello").await;
        let client_message::Message::Received(received) = visitor.recv().await else { panic!("no acknowledgement") };
        assert_eq!(received.ordered, 1);
    }
}

#[tokio::test]
async fn a_code_that_forbids_it_is_the_end() {
    let edge = Edge::start();
    let (target, wallet, options, address) = (edge.target(Way::Quic), wallet(), reconnecting(&edge), address());
    let script = async {
        let mut visitor = edge.visitor().await;
        visitor.challenge().await;
        visitor.send(messages::welcome(&address, "first", None)).await;
        visitor
    };
    let (client, visitor) = tokio::join!(Client::connect(&target, &wallet, &options), script);
    visitor.session.close(CloseCode::Kicked.code(), b"");
    let closed = client.unwrap().next_event().await;
    assert!(matches!(closed, Event::Closed(why) if why.code() == Some(CloseCode::Kicked)));
}

#[tokio::test]
async fn one_round_trip_by_signed_fetch_and_a_challenge_when_it_is_refused() {
    let edge = Edge::start();
    let (target, wallet, address) = (edge.target(Way::Quic), wallet(), address());
    let options = Options { proof: Proof::SignedFetch { server: "main".to_owned() }, ..edge.options() };
    let script = async {
        let mut visitor = edge.visitor().await;
        let fetch = login(visitor.recv().await).signed_fetch.unwrap();
        assert_eq!(fetch.metadata, r#"{"server":"main"}"#);
        visitor.welcome(&address).await;
        visitor
    };
    let (client, _visitor) = tokio::join!(Client::connect(&target, &wallet, &options), script);
    client.unwrap();

    let script = async {
        let mut visitor = edge.visitor().await;
        assert!(login(visitor.recv().await).signed_fetch.is_some());
        visitor.session.close(CloseCode::Unauthorized.code(), b"your clock");
        let mut visitor = edge.visitor().await;
        visitor.challenge().await;
        visitor.welcome(&address).await;
        visitor
    };
    let (client, _visitor) = tokio::join!(Client::connect(&target, &wallet, &options), script);
    client.unwrap();
}

#[tokio::test]
async fn without_udp_the_websocket_is_there_within_a_second() {
    let doors = WebSocketEdge::start().await;
    // Takes what is sent to it and never answers, as a firewall does.
    let blocked = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut ways = Doors::from(&doors.target());
    let edge = Edge::start();
    let options = reconnecting(&edge);
    for quic_way in [Way::Quic, Way::WebTransport] {
        let target = atoll_client::Target::parse(&blocked.local_addr().unwrap().to_string(), quic_way).unwrap();
        ways.quic = (quic_way == Way::Quic).then(|| target.clone());
        ways.webtransport = (quic_way == Way::WebTransport).then_some(target);
        let (wallet, address, started) = (wallet(), address(), Instant::now());
        let (client, _guest) =
            tokio::join!(Client::connect(&ways, &wallet, &options), doors.welcomed(&address, "first"));
        let took = started.elapsed();
        assert_eq!(client.unwrap().way(), Some(Way::WebSocket));
        assert!((options.head_start..Duration::from_secs(1)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_session_on_websocket_moves_to_quic_when_it_is_there() {
    let (edge, doors) = (Edge::start(), WebSocketEdge::start().await);
    for quic_way in [Way::Quic, Way::WebTransport] {
        let mut ways = Doors::from(&doors.target());
        *(if quic_way == Way::Quic { &mut ways.quic } else { &mut ways.webtransport }) = Some(edge.target(quic_way));
        let options =
            Options { head_start: Duration::ZERO, quic_retry: Duration::from_millis(100), ..reconnecting(&edge) };
        let (wallet, address) = (wallet(), address());
        // Nobody lets the first QUIC attempt in, so that the WebSocket wins.
        let (client, mut guest) =
            tokio::join!(Client::connect(&ways, &wallet, &options), doors.welcomed(&address, "first"));
        let client = client.unwrap();
        guest.send(messages::seat(&address)).await;
        assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
        assert_eq!(say(&client, "one"), Ok(1));
        guest.ordered().await;

        let mut visitor = edge.visitor().await;
        let asked = login(visitor.recv().await);
        assert_eq!((asked.resume.unwrap().token.as_str(), asked.signed_fetch), ("first", None));
        // Said on the old connection after the new one asked, and the old one is closed before the answer.
        guest.send_ordered(messages::ordered(1, "late")).await;
        hears(&client, 1, "late").await;
        guest.close(4013).await;
        assert_eq!(guest.closed().await, 4013);
        visitor.send(messages::welcome(&address, "second", Some(Received::default()))).await;
        visitor.seat(&address).await;
        assert_eq!(client.next_event().await, Event::WayChanged { from: Way::WebSocket, to: quic_way });
        assert_eq!(client.way(), Some(quic_way));
        assert_eq!(text(visitor.ordered().await), (1, "one".to_owned()), "replayed");
        let again = [&[1][..], &put(&messages::ordered(1, "late")), &put(&messages::ordered(2, "next"))].concat();
        let _stream = visitor.open_stream(&again).await;
        hears(&client, 2, "next").await;
        let joined = vec![Member { alias: 9, name: "0xcc".to_owned() }];
        let changed = MembersChanged { tag: scripted::TAG, joined, left: Vec::new() };
        visitor.send(server_message::Message::MembersChanged(changed)).await;
        assert!(matches!(client.next_event().await, Event::MembersChanged { .. }), "in the same seat");
        assert_eq!(client.stats().islands, 1);
    }
}

#[tokio::test]
async fn a_move_that_the_edge_refuses_leaves_the_session_where_it_is() {
    let (edge, doors) = (Edge::start(), WebSocketEdge::start().await);
    let mut ways = Doors::from(&doors.target());
    ways.quic = Some(edge.target(Way::Quic));
    let options = Options { head_start: Duration::ZERO, quic_retry: Duration::from_millis(100), ..reconnecting(&edge) };
    let (wallet, address) = (wallet(), address());
    let (client, mut guest) =
        tokio::join!(Client::connect(&ways, &wallet, &options), doors.welcomed(&address, "first"));
    let client = client.unwrap();
    let mut visitor = edge.visitor().await;
    assert!(login(visitor.recv().await).resume.is_some());
    let refused = atoll_proto::atoll::ErrorCode::ResumeRefused.into();
    let error = atoll_proto::atoll::Error { code: refused, ..Default::default() };
    visitor.send(server_message::Message::Error(error)).await;
    visitor.session.closed().await;
    guest.send(messages::seat(&address)).await;
    assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
    assert_eq!(client.way(), Some(Way::WebSocket));
}
