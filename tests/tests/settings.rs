//! What the edge says to a browser before anything else: the HTTP/3 settings, without which there is no WebTransport.
//!
//! Browsers know WebTransport in several drafts, each with a setting of its own, and refuse a session in silence when the
//! one they look for is missing. An update of a library must not change that unnoticed.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_tests::any_certificate::AnyCertificate;
use atoll_tests::{Edge, within};
use quinn::crypto::rustls::QuicClientConfig;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Identifier and value of each setting, ascending. The order on the wire does not matter.
const SNAPSHOT: [(u64, u64); 7] = [
    // MAX_FIELD_SECTION_SIZE (RFC 9114): bounds the headers of a CONNECT request. No browser needs it.
    (0x06, 16_384),
    // ENABLE_CONNECT_PROTOCOL (RFC 9220): extended CONNECT, which opens a session. Chromium looks for it in draft 7.
    (0x08, 1),
    // H3_DATAGRAM (RFC 9297): datagrams that belong to a session. All browsers.
    (0x33, 1),
    // H3_DATAGRAM of its draft 4: browsers that had not heard of the RFC.
    (0x00ff_d277, 1),
    // ENABLE_WEBTRANSPORT of draft 2: Chromium and Firefox still look for it.
    (0x2b60_3742, 1),
    // WEBTRANSPORT_MAX_SESSIONS of the drafts 3 to 6. One: the edge takes one session a connection.
    (0x2b60_3743, 1),
    // WEBTRANSPORT_MAX_SESSIONS of draft 7: Chromium, and Safari.
    (0xc671_706a, 1),
];

/// The type of a control stream, the first thing on it (RFC 9114, 6.2.1).
const CONTROL_STREAM: u64 = 0x00;
/// The type of the frame that must come first on a control stream (RFC 9114, 7.2.4).
const SETTINGS_FRAME: u64 = 0x04;
/// The largest datagram an edge's chunk makes (docs/protocol.md section 1).
const DATAGRAM: usize = 1_160;

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_are_those_that_browsers_need() {
    let edge = Edge::start().await;
    let (connection, _endpoint) = http3(edge.quic()).await;
    let datagrams = connection.max_datagram_size().expect("QUIC datagrams are offered");
    assert!(datagrams >= DATAGRAM, "datagrams of {datagrams} bytes");

    let mut stream = within("the control stream", connection.accept_uni()).await.unwrap();
    assert_eq!(varint(&mut stream).await, CONTROL_STREAM);
    assert_eq!(varint(&mut stream).await, SETTINGS_FRAME);
    let mut payload = vec![0; usize::try_from(varint(&mut stream).await).unwrap()];
    within("the settings", stream.read_exact(&mut payload)).await.unwrap();

    let mut settings = Vec::new();
    let mut rest = &payload[..];
    while !rest.is_empty() {
        settings.push((take_varint(&mut rest), take_varint(&mut rest)));
    }
    settings.sort_unstable();
    let told = settings.iter().map(|(identifier, value)| format!("{identifier:#x} = {value}")).collect::<Vec<_>>();
    assert_eq!(settings, SNAPSHOT, "the edge sent {told:?}");
}

/// A connection as a browser makes it, up to the point where HTTP/3 begins.
async fn http3(edge: &str) -> (quinn::Connection, quinn::Endpoint) {
    let tls = Arc::new(AnyCertificate::default()).client_config(b"h3");
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    let address = edge.trim_start_matches("https://").split('/').next().unwrap().parse().unwrap();
    let connection = within("the handshake", endpoint.connect(address, "localhost").unwrap()).await.unwrap();
    (connection, endpoint)
}

/// A QUIC integer (RFC 9000, 16): the two upper bits of the first byte say how many bytes it has.
async fn varint(stream: &mut quinn::RecvStream) -> u64 {
    let mut bytes = [0; 8];
    within("an integer", stream.read_exact(&mut bytes[..1])).await.unwrap();
    let length = 1 << (bytes[0] >> 6);
    within("an integer", stream.read_exact(&mut bytes[1..length])).await.unwrap();
    take_varint(&mut &bytes[..length])
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let (first, length) = (bytes[0] & 0x3f, 1 << (bytes[0] >> 6));
    let (integer, rest) = bytes.split_at(length);
    *bytes = rest;
    integer[1..].iter().fold(u64::from(first), |value, byte| value << 8 | u64::from(*byte))
}

#[test]
fn integers_of_every_length_are_read() {
    // The examples of RFC 9000, A.1.
    let cases: [(&[u8], u64); 5] = [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
        (&[0x40, 0x25], 37),
    ];
    for (bytes, value) in cases {
        assert_eq!(take_varint(&mut &bytes[..]), value);
    }
}
