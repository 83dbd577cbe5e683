//! When a packet was sent, told inside the packet: a protobuf field that other clients do not know and skip.

use bytes::BufMut;
use std::time::{Duration, Instant};

/// Field 15000 of `rfc4.Packet`, length-delimited, 16 bytes: the run and the microseconds since its start.
const PREFIX: [u8; 4] = [0xc2, 0xa9, 0x07, 16];

/// The bytes a stamp takes behind a packet.
const STAMP: usize = PREFIX.len() + 16;

/// A clock that all walkers of one run share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    run: u64,
    started: Instant,
}

impl Clock {
    /// Starts a clock; `seed` and the process tell its stamps from those of other runs.
    pub(super) fn start(seed: u64) -> Self {
        let run = seed.rotate_left(32) ^ u64::from(std::process::id());
        Self { run, started: Instant::now() }
    }

    /// Appends the present to an encoded packet.
    pub(super) fn stamp(&self, packet: &mut Vec<u8>) {
        packet.put_slice(&PREFIX);
        packet.put_u64(self.run);
        packet.put_u64(self.started.elapsed().as_micros() as u64);
    }

    /// How long ago a packet of this run was stamped; `None` for packets of others.
    pub(super) fn age(&self, packet: &[u8]) -> Option<Duration> {
        let stamp = packet.get(packet.len().checked_sub(STAMP)?..)?;
        let (run, micros) = stamp.strip_prefix(&PREFIX)?.split_at(8);
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
        let mut bytes = packet.encode_to_vec();
        let clock = Clock::start(1);
        clock.stamp(&mut bytes);
        assert_eq!(Packet::decode(&bytes[..]).unwrap(), packet);
        let peeked = peek(&bytes);
        assert_eq!((peeked.kind, peeked.position.map(|position| position.x)), (PacketKind::Position, Some(8.0)));
        assert!(clock.age(&bytes).unwrap() < Duration::from_secs(60));
    }

    #[test]
    fn packets_of_others_have_no_age() {
        let clock = Clock::start(1);
        let mut bytes = Vec::new();
        Clock::start(2).stamp(&mut bytes);
        assert_eq!(clock.age(&bytes), None);
        assert_eq!(clock.age(&[]), None);
        assert_eq!(clock.age(&[0; STAMP]), None);
    }
}
