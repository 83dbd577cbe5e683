//! When a packet was sent, told inside the packet: a protobuf field that other clients do not know and skip.

use bytes::BufMut;
use std::time::{Duration, Instant};

/// The key of field 15000, length-delimited. Its value: padding, the run, and the microseconds since its start.
const KEY: [u8; 3] = [0xc2, 0xa9, 0x07];

/// The run and the microseconds.
const TIME: usize = 16;

/// A clock that all walkers of one run share, and the mark it leaves in packets.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    run: u64,
    started: Instant,
}

impl Clock {
    /// Starts a clock; `seed` and the process tell its stamps from those of other runs.
    pub fn start(seed: u64) -> Self {
        let run = seed.rotate_left(32) ^ u64::from(std::process::id());
        Self { run, started: Instant::now() }
    }

    /// Appends the present to an encoded packet, and zeros before it, so that the packet has `length` bytes or, where
    /// that is too few, what it takes.
    pub fn stamp(&self, packet: &mut Vec<u8>, length: usize) {
        let without_padding = packet.len() + KEY.len() + 1 + TIME;
        let mut padding = length.saturating_sub(without_padding);
        if TIME + padding > 127 {
            // The length of the field takes one byte more.
            padding -= 1;
        }
        packet.put_slice(&KEY);
        prost::encode_length_delimiter(TIME + padding, packet)
            .unwrap_or_else(|_| unreachable!("a Vec grows as needed"));
        packet.put_bytes(0, padding);
        packet.put_u64(self.run);
        packet.put_u64(self.started.elapsed().as_micros() as u64);
    }

    /// How long ago a packet of this run was stamped; `None` for packets of others.
    pub fn age(&self, packet: &[u8]) -> Option<Duration> {
        let stamp = packet.get(packet.len().checked_sub(TIME)?..)?;
        let (run, micros) = stamp.split_at(8);
        if run != self.run.to_be_bytes() {
            return None;
        }
        let sent = Duration::from_micros(u64::from_be_bytes(micros.try_into().ok()?));
        Some(self.started.elapsed().saturating_sub(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::rfc4::{Packet, Position, packet};
    use atoll_proto::{PacketKind, peek};
    use prost::Message;

    #[test]
    fn a_stamped_position_is_still_that_position() {
        let position = Position { index: 3, position_x: 8.0, ..Position::default() };
        let packet = Packet { message: Some(packet::Message::Position(position)) };
        let clock = Clock::start(1);
        let plain = packet.encode_to_vec();
        for length in [0, 100, 127 + plain.len() + 4, 128 + plain.len() + 4, 1100] {
            let mut bytes = plain.clone();
            clock.stamp(&mut bytes, length);
            let wanted = length.max(plain.len() + 20);
            // One length cannot be hit: a field of 127 bytes takes 131, one of 128 takes 133.
            assert!(bytes.len() == wanted || bytes.len() + 1 == wanted, "{} instead of {wanted}", bytes.len());
            assert_eq!(Packet::decode(&bytes[..]).unwrap(), packet);
            let peeked = peek(&bytes);
            assert_eq!((peeked.kind, peeked.position.map(|position| position.x)), (PacketKind::Position, Some(8.0)));
            assert!(clock.age(&bytes).unwrap() < Duration::from_secs(60));
        }
    }

    #[test]
    fn packets_of_others_have_no_age() {
        let clock = Clock::start(1);
        let mut bytes = Vec::new();
        Clock::start(2).stamp(&mut bytes, 0);
        assert_eq!(clock.age(&bytes), None);
        assert_eq!(clock.age(&[]), None);
        assert_eq!(clock.age(&[0; TIME]), None);
    }
}
