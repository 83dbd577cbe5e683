//! What the streams of the two lanes carry behind their type byte.

use super::{ADDRESS, case, hex};
use atoll_proto::atoll::{Gap, Large, LargeHeader, Member, Ordered, OrderedMessage, large_header, ordered_message};
use atoll_proto::decode;
use atoll_proto::framing::{put_frame, take_frame};
use atoll_proto::lanes::{MAX_LARGE_HEADER, MAX_ORDERED, MAX_ORDERED_FRAME};
use bytes::BytesMut;
use serde_json::{Value, json};

const TAG: u32 = 0x0102_0304;

fn sender() -> Option<Member> {
    Some(Member { alias: 300, name: ADDRESS.to_owned() })
}

/// Whole frames of the ordered stream.
pub(crate) fn ordered_frames() -> Vec<Value> {
    use ordered_message::Message;
    let ordered = |number, sender, payload: &[u8]| {
        Message::Ordered(Ordered { tag: TAG, number, sender, payload: payload.to_vec() })
    };
    let cases = [
        ("from a client", ordered(1, None, b"hello")),
        ("from the edge", ordered(128, sender(), b"hello")),
        ("no payload", ordered(2, None, b"")),
        ("a gap of one", Message::Gap(Gap { first: 3, last: 3 })),
        ("a long gap", Message::Gap(Gap { first: 4, last: 1_000_000 })),
    ];
    let encode = |(note, message): (&str, Message)| {
        let value = match &message {
            Message::Ordered(ordered) => json!({"ordered": with_sender(
                json!({"tag": ordered.tag, "number": ordered.number, "payload": hex(&ordered.payload)}),
                ordered.sender.as_ref())}),
            Message::Gap(gap) => gap_value(gap),
        };
        let message = OrderedMessage { message: Some(message) };
        let mut frame = BytesMut::new();
        put_frame(&message, &mut frame);
        let bytes = frame.clone();
        let taken = take_frame(&mut frame, MAX_ORDERED_FRAME).unwrap().unwrap();
        assert_eq!(decode::<OrderedMessage>(&taken).unwrap(), message);
        case(note, &bytes, value)
    };
    cases.into_iter().map(encode).collect()
}

/// Whole large messages: header and payload.
pub(crate) fn large_messages() -> Vec<Value> {
    use large_header::Message;
    let large = |number, sender, length| Message::Large(Large { tag: TAG, number, sender, length });
    let cases = [
        ("from a client", large(1, None, 5), &b"hello"[..]),
        ("from the edge", large(2, sender(), 200), &[7; 200]),
        ("no payload", large(3, None, 0), b""),
        ("a gap", Message::Gap(Gap { first: 4, last: 130 }), b""),
    ];
    let encode = |(note, header, payload): (&str, Message, &[u8])| {
        let value = match &header {
            Message::Large(large) => json!({"large": with_sender(
                json!({"tag": large.tag, "number": large.number, "length": large.length, "payload": hex(payload)}),
                large.sender.as_ref())}),
            Message::Gap(gap) => gap_value(gap),
        };
        let header = LargeHeader { message: Some(header) };
        let mut bytes = BytesMut::new();
        put_frame(&header, &mut bytes);
        bytes.extend_from_slice(payload);
        let mut rest = bytes.clone();
        let taken = take_frame(&mut rest, MAX_LARGE_HEADER).unwrap().unwrap();
        assert_eq!((decode::<LargeHeader>(&taken).unwrap(), &rest[..]), (header, payload));
        case(note, &bytes, value)
    };
    cases.into_iter().map(encode).collect()
}

fn with_sender(mut value: Value, sender: Option<&Member>) -> Value {
    if let Some(member) = sender {
        value["sender"] = json!({"alias": member.alias, "name": member.name});
    }
    value
}

fn gap_value(gap: &Gap) -> Value {
    json!({"gap": {"first": gap.first, "last": gap.last}})
}

/// Says for both limits that what stands beside a payload or in a header fits, whatever the numbers are.
#[test]
fn the_largest_messages_are_within_the_limits() {
    let name = format!("server:{}", "n".repeat(64));
    let sender = Some(Member { alias: u32::MAX, name });
    let large = Large { tag: u32::MAX, number: u64::MAX, sender: sender.clone(), length: u32::MAX };
    let header = LargeHeader { message: Some(large_header::Message::Large(large)) };
    assert!(prost::Message::encoded_len(&header) <= MAX_LARGE_HEADER);
    let ordered = Ordered { tag: u32::MAX, number: u64::MAX, sender, payload: vec![0; MAX_ORDERED] };
    let message = OrderedMessage { message: Some(ordered_message::Message::Ordered(ordered)) };
    assert!(prost::Message::encoded_len(&message) <= MAX_ORDERED_FRAME);
}
