//! The client against a scripted edge, by both ways in. The edge's WebTransport is another implementation than the
//! client's.

#![allow(clippy::unwrap_used, reason = "a script that breaks off is a failed test")]

mod scripted;

use atoll_client::raw::RecvError;
use atoll_client::{CertificateDigest, Client, Closed, ConnectError, Event, Options, Position, SendError, Wallet, Way};
use atoll_proto::atoll::{Error, ErrorCode, Member, MembersChanged, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, Up, encode_chunks};
use bytes::Bytes;
use scripted::{CHALLENGE, Edge, NEIGHBOUR, NEIGHBOUR_NAME, OWN, TAG, Visitor};
use web_transport_quinn::{SessionError, WebTransportError};

const WAYS: [Way; 2] = [Way::WebTransport, Way::Quic];
/// An rfc4 packet: a position with nothing set.
const POSITION: &[u8] = &[0x0a, 0];

fn wallet() -> Wallet {
    Wallet::from_keys([0x11; 32], [0x22; 32]).unwrap()
}

/// A client that was welcomed, and the edge's side of it.
async fn welcomed(edge: &Edge, way: Way) -> (Client, Visitor) {
    welcomed_with(edge, way, &edge.options()).await
}

async fn welcomed_with(edge: &Edge, way: Way, options: &Options) -> (Client, Visitor) {
    let wallet = wallet();
    let (target, address) = (edge.target(way), wallet.address().to_string());
    let script = async {
        let mut visitor = edge.visitor().await;
        visitor.challenge().await;
        visitor.welcome(&address).await;
        visitor
    };
    let (client, visitor) = tokio::join!(Client::connect(&target, &wallet, options), script);
    (client.unwrap(), visitor)
}

async fn seated(edge: &Edge, way: Way) -> (Client, Visitor) {
    let (client, mut visitor) = welcomed(edge, way).await;
    visitor.seat(&client.address().to_string()).await;
    let Event::IslandChanged(island) = client.next_event().await else {
        panic!("the first event is no island change");
    };
    assert_eq!((island.id.as_str(), island.tag, island.alias), ("I1", Tag(TAG), Alias(OWN)));
    assert_eq!(island.members.len(), 2);
    (client, visitor)
}

fn entry(alias: u32, kind: Kind, sequence: u16, payload: &'static [u8]) -> Entry {
    let payload = Bytes::from_static(payload);
    Entry { alias: Alias(alias), kind, sequence: Sequence(sequence), payload }
}

fn send_chunk(visitor: &Visitor, entries: &[Entry]) {
    for chunk in encode_chunks(&[], Tag(TAG), entries) {
        visitor.session.send_datagram(chunk).unwrap();
    }
}

#[tokio::test]
async fn a_login_shows_the_chain_the_path_and_the_subprotocol() {
    let edge = Edge::start();
    for way in WAYS {
        let (target, options, wallet) = (edge.target(way), edge.options(), wallet());
        let script = async {
            let mut visitor = edge.visitor().await;
            let chain: serde_json::Value = serde_json::from_str(&visitor.challenge().await).unwrap();
            assert_eq!(chain[2]["payload"], CHALLENGE);
            visitor.welcome(&wallet.address().to_string()).await;
            visitor
        };
        let (client, visitor) = tokio::join!(Client::connect(&target, &wallet, &options), script);
        let limits = client.unwrap().limits();
        assert_eq!((limits.payload, limits.heartbeat_interval.as_millis()), (1100, 250));
        match way {
            Way::Quic => assert_eq!(visitor.request, None),
            Way::WebTransport => {
                assert_eq!(visitor.request, Some(("/atoll".to_owned(), vec!["atoll.1".to_owned()])));
            }
            Way::WebSocket => unreachable!("not among the ways"),
        }
    }
}

#[tokio::test]
async fn heartbeats_and_packets_reach_the_edge() {
    let edge = Edge::start();
    for way in WAYS {
        let (client, mut visitor) = seated(&edge, way).await;
        client.heartbeat(Position { x: 1.0, y: 2.0, z: -3.0 });
        let client_message::Message::Heartbeat(heartbeat) = visitor.recv().await else {
            panic!("no heartbeat");
        };
        assert_eq!(heartbeat.position, Some(Position { x: 1.0, y: 2.0, z: -3.0 }));

        let first = client.send_update(Bytes::from_static(POSITION)).unwrap();
        let second = client.send_event(Bytes::from_static(b"event")).unwrap();
        assert_eq!(second, first.next());
        for (kind, sequence, payload) in [(Kind::Update, first, POSITION), (Kind::Event, second, b"event")] {
            let up = Up::decode(visitor.session.read_datagram().await.unwrap()).unwrap();
            assert_eq!(up, Up { kind, tag: Tag(TAG), sequence, payload: Bytes::from_static(payload) });
        }
        let stats = client.stats();
        assert_eq!((stats.updates_sent, stats.events_sent, stats.islands), (1, 1, 1));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_a_typed_error() {
    let edge = Edge::start();
    for way in WAYS {
        let (client, mut visitor) = welcomed(&edge, way).await;
        assert_eq!(client.send_update(Bytes::new()), Err(SendError::NotSeated));
        visitor.seat(&client.address().to_string()).await;
        assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
        let too_large = client.send_event(Bytes::from(vec![0; 1101]));
        assert_eq!(too_large, Err(SendError::TooLarge { length: 1101, limit: 1100 }));
        client.send_event(Bytes::from(vec![0; 1100])).unwrap();
        let up = Up::decode(visitor.session.read_datagram().await.unwrap()).unwrap();
        assert_eq!(up.payload.len(), 1100);
        visitor.session.close(CloseCode::ShuttingDown.code(), b"");
        assert!(matches!(client.next_event().await, Event::Closed(_)));
        assert!(client.send_event(Bytes::new()).is_err());
    }
}

#[tokio::test]
async fn events_come_in_order_and_without_own_or_stale_packets() {
    let edge = Edge::start();
    for way in WAYS {
        let (client, mut visitor) = seated(&edge, way).await;
        send_chunk(
            &visitor,
            &[
                entry(OWN, Kind::Update, 1, POSITION),
                entry(NEIGHBOUR, Kind::Update, 9, POSITION),
                entry(NEIGHBOUR, Kind::Update, 8, POSITION),
                entry(NEIGHBOUR, Kind::Event, 10, b"event"),
            ],
        );
        for (kind, sequence) in [(Kind::Update, 9), (Kind::Event, 10)] {
            let Event::Packet(packet) = client.next_event().await else {
                panic!("no packet");
            };
            assert_eq!((packet.kind, packet.sequence), (kind, Sequence(sequence)));
            assert_eq!((packet.alias, packet.name.as_deref()), (Alias(NEIGHBOUR), Some(NEIGHBOUR_NAME)));
        }
        let stats = client.stats();
        assert_eq!((stats.received, stats.own, stats.stale), (2, 1, 1));

        let joined = vec![Member { alias: 3, name: "0xcc".to_owned() }];
        let changed = MembersChanged { tag: TAG, joined, left: vec![NEIGHBOUR] };
        visitor.send(server_message::Message::MembersChanged(changed)).await;
        let Event::MembersChanged { joined, left } = client.next_event().await else {
            panic!("no change of members");
        };
        assert_eq!((joined[0].name.as_ref(), left[0].name.as_ref()), ("0xcc", NEIGHBOUR_NAME));

        let error = Error { code: ErrorCode::TooFast.into(), reason: "slower".to_owned(), count: 4 };
        visitor.send(server_message::Message::Error(error)).await;
        let refused = Event::Refused { code: ErrorCode::TooFast, reason: "slower".to_owned(), count: 4 };
        assert_eq!(client.next_event().await, refused);
    }
}

#[tokio::test]
async fn the_edge_s_close_code_ends_the_session() {
    let edge = Edge::start();
    for way in WAYS {
        let (client, mut visitor) = seated(&edge, way).await;
        visitor.send(server_message::Message::Kicked(Default::default())).await;
        visitor.session.close(CloseCode::Kicked.code(), b"elsewhere");
        let closed = Closed::Edge { code: 4002, reason: "elsewhere".to_owned() };
        for _ in 0..2 {
            assert_eq!(client.next_event().await, Event::Closed(closed.clone()), "{way}");
        }
        assert_eq!(client.closed(), Some(closed));
    }
}

#[tokio::test]
async fn a_refused_login_tells_the_code() {
    let edge = Edge::start();
    for way in WAYS {
        let (target, options, wallet) = (edge.target(way), edge.options(), wallet());
        let script = async {
            let mut visitor = edge.visitor().await;
            visitor.challenge().await;
            visitor.session.close(CloseCode::Unauthorized.code(), b"no");
            visitor
        };
        let (client, _visitor) = tokio::join!(Client::connect(&target, &wallet, &options), script);
        assert_eq!(client.unwrap_err().code(), Some(CloseCode::Unauthorized), "{way}");
    }
}

/// As an edge does for a wrong path: a 200, and then the code before anything was said.
#[tokio::test]
async fn a_session_closed_at_once_tells_the_code() {
    let edge = Edge::start();
    let mut target = edge.target(Way::WebTransport);
    target.url.set_path("/elsewhere");
    let (options, wallet) = (edge.options(), wallet());
    let script = async {
        let (session, request) = edge.session().await;
        assert_eq!(request.unwrap().0, "/elsewhere");
        session.close(CloseCode::NotFound.code(), b"");
        session
    };
    let (client, _session) = tokio::join!(Client::connect(&target, &wallet, &options), script);
    assert_eq!(client.unwrap_err().code(), Some(CloseCode::NotFound));
}

#[tokio::test]
async fn the_edge_hears_that_a_client_left() {
    let edge = Edge::start();
    for way in WAYS {
        let (client, visitor) = welcomed(&edge, way).await;
        client.close().await;
        let end = visitor.session.closed().await;
        // Over WebTransport the edge's library may call it its own close: it answers the end of the CONNECT stream.
        if way == Way::Quic {
            let code_0 = matches!(end, SessionError::WebTransportError(WebTransportError::Closed(0, _)));
            assert!(code_0, "{end:?}");
        }
    }
}

#[tokio::test]
async fn another_certificate_is_not_believed() {
    let edge = Edge::start();
    for way in WAYS {
        let options = Options::pinned(CertificateDigest([0; 32]));
        let (target, wallet) = (edge.target(way), wallet());
        let (client, ()) = tokio::join!(Client::connect(&target, &wallet, &options), edge.attempt());
        let error = client.unwrap_err();
        assert!(matches!(error, ConnectError::Closed(Closed::Lost(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_full_queue_loses_the_oldest_packets_only() {
    let edge = Edge::start();
    let mut options = edge.options();
    options.packet_queue = 2;
    let (client, mut visitor) = welcomed_with(&edge, Way::Quic, &options).await;
    visitor.seat(&client.address().to_string()).await;
    assert!(matches!(client.next_event().await, Event::IslandChanged(_)));
    let entries = [1, 2, 3, 4, 5].map(|sequence| entry(NEIGHBOUR, Kind::Event, sequence, b"event"));
    send_chunk(&visitor, &entries);
    // All five are in one datagram, so the first event shows that all were heard.
    for expected in [4, 5] {
        let Event::Packet(packet) = client.next_event().await else {
            panic!("no packet");
        };
        assert_eq!(packet.sequence, Sequence(expected));
    }
    assert_eq!(client.stats().queue_dropped, 3);
}

#[tokio::test]
async fn the_raw_layer_sends_anything() {
    let edge = Edge::start();
    for way in WAYS {
        let endpoint = atoll_client::Endpoint::open(&edge.target(way), &edge.options()).await.unwrap();
        let script = async {
            let (session, _) = edge.session().await;
            let (_send, mut receive) = session.accept_bi().await.unwrap();
            let mut bytes = [0; 7];
            receive.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, [2, 0xaa, 0xbb, 0xff, 0xff, 0xff, 0xff], "{way}");
            assert_eq!(session.read_datagram().await.unwrap(), Bytes::from_static(b"x"));
            let (_send, mut extra) = session.accept_bi().await.unwrap();
            assert_eq!(extra.read_to_end(16).await.unwrap(), b"extra");
            // The edge's half of the control stream ends here too, before the close.
            session.close(CloseCode::Malformed.code(), b"");
            session
        };
        let garbage = async {
            let mut connection = endpoint.connect_raw().await.unwrap();
            connection.send_frame(&[0xaa, 0xbb]).await.unwrap();
            connection.send_bytes(&[0xff; 4]).await.unwrap();
            connection.send_datagram(Bytes::from_static(b"x")).unwrap();
            let (mut extra, _receive) = connection.transport.open_bi().await.unwrap();
            extra.write_all(b"extra").await.unwrap();
            extra.finish().unwrap();
            let error = connection.recv_frame().await.unwrap_err();
            assert_eq!(connection.closed().await.code(), Some(CloseCode::Malformed), "{way}");
            error
        };
        let (error, _session) = tokio::join!(garbage, script);
        assert!(matches!(error, RecvError::Closed(closed) if closed.code() == Some(CloseCode::Malformed)), "{way}");
    }
}
