//! What peers send each other: `peek` agrees with the decoder on what it is and where it says to be.
#![no_main]

use atoll_proto::rfc4::packet::Message;
use atoll_proto::{PacketKind, data, decode, peek, rfc4};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    peek(bytes);
    let _ = decode::<data::Data>(bytes);
    let Ok(rfc4::Packet { message: Some(message), .. }) = decode(bytes) else {
        return;
    };
    // Written anew, there is one case only, and no later one that the decoder does not know.
    let written = rfc4::Packet { message: Some(message.clone()) }.encode_to_vec();
    let peek = peek(&written);
    if let Message::Position(_) = message {
        assert_eq!(peek.kind, PacketKind::Position);
    } else {
        assert!(!peek.kind.is_update() && peek.kind != PacketKind::Unknown);
    }
});
