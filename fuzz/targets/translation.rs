//! What peers say in the words of either generation, put into those of the other and back: it stays what it was, but for what
//! only one of them has, and it stays small.
#![no_main]

use atoll_proto::rfc4::packet::Message;
use atoll_proto::translation::{Context, Translation, to_data, to_rfc4};
use atoll_proto::{PacketKind, decode, peek, rfc4};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

const CONTEXT: Context = Context { unix_ms: 1_660_000_000_123, sender: 7 };

/// What stands around a packet's own bytes in its translation: times, an id, numbers in digits, headers.
const AROUND: usize = 64;

/// A byte that is no text becomes U+FFFD, which has three.
const GROWTH: usize = 3;

fn packet(translation: Translation, of: &[u8]) -> Option<Vec<u8>> {
    let Translation::Packet(packet) = translation else { return None };
    assert!(packet.len() <= of.len() * GROWTH + AROUND, "{} bytes of {}", packet.len(), of.len());
    Some(packet.to_vec())
}

/// A packet of RFC-4 without what the way through the older words changes.
fn lasting(packet: &[u8]) -> Vec<u8> {
    let mut packet: rfc4::Packet = decode(packet).expect("a packet of ours");
    if let Some(Message::Position(position)) = &mut packet.message {
        position.index = 0;
    }
    packet.encode_to_vec()
}

fuzz_target!(|data: &[u8]| {
    if let Some(later) = packet(to_rfc4(data), data) {
        assert_ne!(peek(&later).kind, PacketKind::Unknown);
        let older = packet(to_data(&later, CONTEXT), &later).expect("what has a translation has one back");
        let again = packet(to_rfc4(&older), &older).expect("and forth");
        assert_eq!(lasting(&again), lasting(&later));
    }
    if let Some(older) = packet(to_data(data, CONTEXT), data) {
        assert_ne!(peek(&older).kind, PacketKind::Unknown);
        let later = packet(to_rfc4(&older), &older).expect("what has a translation has one back");
        assert_eq!(lasting(&later), lasting(data));
        assert_eq!(packet(to_data(&later, CONTEXT), &later), Some(older), "the second time all is as it was");
    }
});
