//! Binary messages of a WebSocket.

use super::{case, hex};
use atoll_proto::channel::{Channel, join, split};
use serde_json::{Value, json};

pub(crate) fn messages() -> Vec<Value> {
    let cases = [
        ("a piece of the control stream", Channel::Control, &[0x0e, 0x1a, 0x0c][..]),
        (
            "a piece of the ordered stream, its gap 3 to 3",
            Channel::Ordered,
            &[0x06, 0x12, 0x04, 0x08, 0x03, 0x10, 0x03],
        ),
        ("a piece of the large streams", Channel::Large, b"hello"),
        ("a datagram from a client", Channel::Datagram, &[0, 1, 2, 3, 4, 0, 5, 0x0a, 0x00]),
        ("no bytes of a stream: allowed, without effect", Channel::Control, b""),
    ];
    let encode = |(note, channel, bytes): (&str, Channel, &[u8])| {
        let message = join(channel, bytes);
        let (read, rest) = split(&message).unwrap();
        assert_eq!((read, &rest[..]), (channel, bytes));
        case(note, &message, json!({"channel": channel as u8, "bytes": hex(bytes)}))
    };
    cases.into_iter().map(encode).collect()
}
