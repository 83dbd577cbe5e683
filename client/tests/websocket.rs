//! The client over WebSocket, against a scripted edge.

#![allow(clippy::unwrap_used, reason = "a script that breaks off is a failed test")]

mod scripted;

use atoll_client::{
    CertificateDigest, Client, Closed, ConnectError, Event, Lane, Options, Position, SendError, Wallet, Way,
};
use atoll_proto::atoll::{
    Gap, Large, LargeHeader, Member, Received, client_message, large_header, ordered_message, server_message,
};
use atoll_proto::channel::Channel;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, Up, encode_chunks};
use atoll_proto::lanes::{MAX_LARGE, MAX_LARGE_HEADER};
use bytes::Bytes;
use scripted::websocket::{Guest, WebSocketEdge};
use scripted::{NEIGHBOUR, NEIGHBOUR_NAME, TAG, messages, put};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

fn options() -> Options {
    // There is no TLS, so no certificate is looked at.
    Options::pinned(CertificateDigest([0; 32]))
}

fn wallet() -> Wallet {
    Wallet::from_keys([0x11; 32], [0x22; 32]).unwrap()
}

async fn seated(edge: &WebSocketEdge, options: &Options) -> (Client, Guest) {
    let (target, wallet) = (edge.target(), wallet());
    let address = wallet.address().to_string();
    let (client, mut guest) =
        tokio::join!(Client::connect(&target, &wallet, options), edge.welcomed(&address, "token"));
    let client = client.unwrap();
    guest.send(messages::seat(&address)).await;
    assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
    (client, guest)
}

#[tokio::test]
async fn everything_goes_both_ways() {
    let edge = WebSocketEdge::start().await;
    let (client, mut guest) = seated(&edge, &options()).await;
    assert_eq!(guest.request, ("/atoll/ws".to_owned(), "atoll.1".to_owned()));
    assert_eq!((client.way(), client.transport().unwrap().round_trip()), (Some(Way::WebSocket), None));

    client.heartbeat(Position { x: 1.0, y: 2.0, z: 3.0 });
    assert!(matches!(guest.recv().await, client_message::Message::Heartbeat(_)));

    for (kind, sent) in [
        (Kind::Event, client.send_event(Bytes::from_static(b"here"))),
        (Kind::Voice, client.send_voice(Bytes::from_static(b"here"))),
    ] {
        let up = Up::decode(guest.datagram().await).unwrap();
        assert_eq!((up.kind, up.tag, up.sequence, &up.payload[..]), (kind, Tag(TAG), sent.unwrap(), &b"here"[..]));
    }
    let payload = Bytes::from_static(b"there");
    let entry = Entry { alias: Alias(NEIGHBOUR), kind: Kind::Voice, sequence: Sequence(1), payload };
    guest.send_on(Channel::Datagram, &encode_chunks(&[], Tag(TAG), [&entry])[0]).await;
    let Event::Packet(packet) = client.next_event().await else { panic!("no packet") };
    assert_eq!((packet.kind, packet.name.as_deref()), (Kind::Voice, Some(NEIGHBOUR_NAME)));
}

#[tokio::test]
async fn ordered_and_large_messages_go_both_ways_and_are_acknowledged() {
    let edge = WebSocketEdge::start().await;
    let (client, mut guest) = seated(&edge, &options()).await;

    // A large message is under way; a small one need not wait for it.
    let large: Bytes = (0..MAX_LARGE).map(|index| (index % 251) as u8).collect::<Vec<_>>().into();
    assert_eq!(client.send_large(large.clone()), Ok(1));
    assert_eq!(client.send_ordered(Bytes::from_static(b"first")), Ok(1));
    assert_eq!(client.send_ordered(Bytes::from_static(b"second")), Ok(2));
    let too_large = SendError::TooLarge { length: MAX_LARGE + 1, limit: MAX_LARGE };
    assert_eq!(client.send_large(vec![0; MAX_LARGE + 1].into()), Err(too_large));
    for (number, text) in [(1, "first"), (2, "second")] {
        let Some(ordered_message::Message::Ordered(ordered)) = guest.ordered().await.message else {
            panic!("no message")
        };
        assert_eq!((ordered.number, ordered.tag, &ordered.payload[..]), (number, TAG, text.as_bytes()));
    }
    let header: LargeHeader = atoll_proto::decode(&guest.frame(Channel::Large, MAX_LARGE_HEADER).await).unwrap();
    let expected = Large { tag: TAG, number: 1, sender: None, length: MAX_LARGE as u32 };
    assert_eq!(header.message, Some(large_header::Message::Large(expected)));
    assert_eq!(guest.bytes(Channel::Large, MAX_LARGE).await, large);

    // The other way, the large one cut in two by the ordered one.
    let sender = Some(Member { alias: NEIGHBOUR, name: NEIGHBOUR_NAME.to_owned() });
    let header =
        LargeHeader { message: Some(large_header::Message::Large(Large { tag: TAG, number: 1, sender, length: 6 })) };
    guest.send_on(Channel::Large, &[&put(&header)[..], b"abc"].concat()).await;
    guest.send_ordered(messages::ordered(1, "hello")).await;
    let Event::Ordered(message) = client.next_event().await else { panic!("no ordered message") };
    assert_eq!((message.number, &*message.sender.name, &message.payload[..]), (1, NEIGHBOUR_NAME, &b"hello"[..]));
    guest.send_on(Channel::Large, b"def").await;
    let Event::Large(message) = client.next_event().await else { panic!("no large message") };
    assert_eq!((message.number, message.tag, &message.payload[..]), (1, Tag(TAG), &b"abcdef"[..]));

    let gap = large_header::Message::Gap(Gap { first: 2, last: 3 });
    guest.send_on(Channel::Large, &put(&LargeHeader { message: Some(gap) })).await;
    assert_eq!(client.next_event().await, Event::Gap { lane: Lane::Large, first: 2, last: 3 });
    loop {
        let client_message::Message::Received(received) = guest.recv().await else { panic!("no acknowledgement") };
        if received == (Received { ordered: 1, large: 3, large_beyond: Vec::new() }) {
            break;
        }
    }
}

#[tokio::test]
async fn a_full_lane_is_an_error_until_the_edge_acknowledges() {
    let edge = WebSocketEdge::start().await;
    let (client, mut guest) = seated(&edge, &options()).await;
    let payload = Bytes::from(vec![1; 60_000]);
    for number in 1..=4 {
        assert_eq!(client.send_ordered(payload.clone()), Ok(number));
    }
    assert_eq!(client.send_ordered(payload.clone()), Err(SendError::Full));
    for _ in 0..4 {
        guest.ordered().await;
    }
    guest.send(server_message::Message::Received(Received { ordered: 2, ..Received::default() })).await;
    // Told behind the acknowledgement, so that it was heard.
    guest.send(server_message::Message::Draining(Default::default())).await;
    assert!(matches!(client.next_event().await, Event::Draining { .. }));
    assert_eq!(client.send_ordered(payload), Ok(5));
}

#[tokio::test]
async fn close_codes_are_the_numbers_of_the_protocol() {
    let edge = WebSocketEdge::start().await;
    for (sent, code) in [(1000, 0), (4002, 4002), (4011, 4011)] {
        let (client, mut guest) = seated(&edge, &options()).await;
        guest.close(sent).await;
        assert_eq!(client.next_event().await, Event::Closed(Closed::Edge { code, reason: String::new() }));
    }
    let (client, guest) = seated(&edge, &options()).await;
    drop(guest);
    assert!(matches!(client.next_event().await, Event::Closed(Closed::Lost(_))));

    let (client, mut guest) = seated(&edge, &options()).await;
    tokio::join!(client.close(), async { assert_eq!(guest.closed().await, 1000) });
    let (client, mut guest) = seated(&edge, &options()).await;
    drop(client);
    assert_eq!(guest.closed().await, 1000);
}

#[tokio::test]
async fn an_edge_that_breaks_the_protocol_is_left() {
    let edge = WebSocketEdge::start().await;
    let malformed = u16::try_from(CloseCode::Malformed.code()).unwrap();
    for message in [Message::text("hello"), Message::Binary(Bytes::new()), Message::Binary(Bytes::from_static(&[4]))] {
        let (client, mut guest) = seated(&edge, &options()).await;
        guest.send_raw(message).await;
        assert_eq!(guest.closed().await, malformed);
        assert!(matches!(client.next_event().await, Event::Closed(Closed::Lost(_))));
    }
    let (client, mut guest) = seated(&edge, &options()).await;
    guest.send_ordered(messages::ordered(2, "one is missing")).await;
    assert_eq!(guest.closed().await, malformed);
    assert!(matches!(client.next_event().await, Event::Closed(Closed::Lost(_))));
}

#[tokio::test]
async fn silence_is_a_loss_and_pings_are_not_silence() {
    let edge = WebSocketEdge::start().await;
    let mut options = options();
    options.idle_timeout = Duration::from_millis(400);
    let (client, mut guest) = seated(&edge, &options).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        guest.send_raw(Message::Ping(Bytes::new())).await;
    }
    assert_eq!(client.closed(), None);
    assert_eq!(client.next_event().await, Event::Closed(Closed::TimedOut));
}

#[tokio::test]
async fn a_door_that_is_none_is_an_error() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = atoll_client::Target::websocket(&format!("ws://{}", unused.local_addr().unwrap())).unwrap();
    drop(unused);
    let error = Client::connect(&target, &wallet(), &options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Socket(_)), "{error:?}");
}
