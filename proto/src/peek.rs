//! A look at a packet between peers: what it is and where its sender stands.

use crate::archipelago::Position;
use crate::lenient::{DecodeError, Reader};

/// What a packet is: the last known case of an `rfc4.Packet`, or of the older `Data`, which uses the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketKind {
    /// Where the avatar is (rfc4).
    Position,
    /// Where the avatar is (`Data`): recognised by its time.
    DataPosition,
    /// Which version of its profile the sender has.
    ProfileVersion,
    /// Asks a peer for its profile.
    ProfileRequest,
    /// Answers with a profile.
    ProfileResponse,
    /// A line of chat.
    Chat,
    /// A message of a scene to itself at other peers.
    Scene,
    /// A piece of speech.
    Voice,
    /// Where the avatar is and how it moves (rfc4, 2024 and later).
    Movement,
    /// An emote the avatar plays (rfc4, 2024 and later).
    PlayerEmote,
    /// An emote that a scene plays on the avatar (rfc4, 2024 and later).
    SceneEmote,
    /// `Movement` in fewer bytes; its place is not read (rfc4, 2024 and later).
    MovementCompressed,
    /// What the avatar looks at (rfc4, 2025 and later).
    LookAtPosition,
    /// A reaction (rfc4, 2025 and later).
    Reaction,
    /// A reaction to a line of chat (rfc4, 2025 and later).
    ChatReaction,
    /// Anything else, unreadable packets included.
    Unknown,
}

impl PacketKind {
    /// Whether a newer packet of this kind makes an older one of the same sender worthless.
    pub fn is_update(self) -> bool {
        matches!(self, Self::Position | Self::DataPosition | Self::Movement | Self::MovementCompressed)
    }

    /// The kind of a case of `rfc4.Packet`. 11 is `protocol_version`, which is no case.
    fn of_case(field: u32) -> Option<Self> {
        Some(match field {
            1 => Self::Position,
            2 => Self::ProfileVersion,
            3 => Self::ProfileRequest,
            4 => Self::ProfileResponse,
            5 => Self::Chat,
            6 => Self::Scene,
            7 => Self::Voice,
            8 => Self::Movement,
            9 => Self::PlayerEmote,
            10 => Self::SceneEmote,
            12 => Self::MovementCompressed,
            13 => Self::LookAtPosition,
            14 => Self::Reaction,
            15 => Self::ChatReaction,
            _ => return None,
        })
    }
}

/// What [`peek`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peek {
    /// What the packet is.
    pub kind: PacketKind,
    /// Where the sender stands, in metres; every coordinate is finite. Told by `Position`, `DataPosition` and
    /// `Movement` only.
    pub position: Option<Position>,
}

impl Peek {
    const UNKNOWN: Self = Self { kind: PacketKind::Unknown, position: None };
}

/// Reads what a payload is, and its position if it has one. Allocates nothing, and checks no more than it reads.
pub fn peek(payload: &[u8]) -> Peek {
    last_case(payload).unwrap_or(Peek::UNKNOWN)
}

fn last_case(payload: &[u8]) -> Result<Peek, DecodeError> {
    let mut reader = Reader::new(payload);
    let mut last = Peek::UNKNOWN;
    while !reader.is_at_end() {
        let tag = reader.uint32()?;
        let case = if tag & 7 == 2 { PacketKind::of_case(tag >> 3) } else { None };
        let Some(kind) = case else {
            if tag == 0 || tag & 7 == 4 {
                break;
            }
            reader.skip(tag)?;
            continue;
        };
        let body = reader.slice()?;
        last = match kind {
            PacketKind::Position => position(body)?,
            PacketKind::Movement => Peek { kind, position: movement(body)? },
            _ => Peek { kind, position: None },
        };
    }
    Ok(last)
}

/// The body of `rfc4.Position` (index = 1) or `Data`'s Position (time = 2): both have position_x..z = 3..5.
fn position(body: &[u8]) -> Result<Peek, DecodeError> {
    const DATA_TIME: u32 = 2 << 3 | 1;
    let mut kind = PacketKind::Position;
    let position = coordinates(body, 3, |tag| {
        if tag == DATA_TIME {
            kind = PacketKind::DataPosition;
        }
    })?;
    Ok(Peek { kind, position })
}

/// The body of `rfc4.Movement`: timestamp = 1, position_x..z = 2..4.
fn movement(body: &[u8]) -> Result<Option<Position>, DecodeError> {
    coordinates(body, 2, |_| {})
}

/// Reads three coordinates from field `first` on, each a float or a double; missing ones are 0, and `None` is a place
/// that is not finite. Every other tag is shown to `other`.
fn coordinates(body: &[u8], first: u32, mut other: impl FnMut(u32)) -> Result<Option<Position>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut place = [0.0_f32; 3];
    while !reader.is_at_end() {
        let tag = reader.uint32()?;
        let coordinate = (tag >> 3).checked_sub(first).and_then(|index| place.get_mut(index as usize));
        match (coordinate, tag & 7) {
            (Some(coordinate), 5) => *coordinate = reader.float()?,
            (Some(coordinate), 1) => *coordinate = reader.double()? as f32,
            (_, 4) => break,
            _ if tag == 0 => break,
            _ => {
                other(tag);
                reader.skip(tag)?;
            }
        }
    }
    let [x, y, z] = place;
    Ok(place.iter().all(|coordinate| coordinate.is_finite()).then_some(Position { x, y, z }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::{data, rfc4};

    fn rfc4_position() -> rfc4::Packet {
        let position =
            rfc4::Position { index: 7, position_x: 1.0, position_y: 2.0, position_z: -3.0, ..Default::default() };
        rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) }
    }

    fn found(kind: PacketKind, x: f32, y: f32, z: f32) -> Peek {
        Peek { kind, position: Some(Position { x, y, z }) }
    }

    #[test]
    fn a_position_of_either_generation_is_told_apart() {
        assert_eq!(peek(&rfc4_position().encode_to_vec()), found(PacketKind::Position, 1.0, 2.0, -3.0));

        let position = data::Position { time: 1.6e12, position_x: 4.0, ..Default::default() };
        let older = data::Data { message: Some(data::data::Message::Position(position)) };
        assert_eq!(peek(&older.encode_to_vec()), found(PacketKind::DataPosition, 4.0, 0.0, 0.0));
    }

    #[test]
    fn a_movement_has_its_place_one_field_earlier() {
        let mut movement = vec![0x42, 20];
        for (tag, value) in [(0x0d, 9.0_f32), (0x15, 1.0), (0x1d, 2.0), (0x25, 3.0)] {
            movement.push(tag);
            movement.extend(value.to_le_bytes());
        }
        assert_eq!(peek(&movement), found(PacketKind::Movement, 1.0, 2.0, 3.0));
    }

    #[test]
    fn the_last_case_counts_and_the_protocol_version_is_none() {
        let mut packet = rfc4_position().encode_to_vec();
        packet.extend([0x58, 0x02]);
        assert_eq!(peek(&packet).kind, PacketKind::Position);
        packet.extend([0x2a, 0x00]);
        assert_eq!(peek(&packet), Peek { kind: PacketKind::Chat, position: None });
        packet.extend([0x62, 0x00]);
        assert_eq!(peek(&packet), Peek { kind: PacketKind::MovementCompressed, position: None });
    }

    #[test]
    fn every_later_case_is_known_by_its_number() {
        let kind = |field: u8| peek(&[field << 3 | 2, 0]).kind;
        let kinds: Vec<_> = (1..=15).map(kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == PacketKind::Unknown).count(), 1);
        assert_eq!(kind(11), PacketKind::Unknown);
        let updates: Vec<_> = (1..=15).filter(|field| kind(*field).is_update()).collect();
        assert_eq!(updates, [1, 8, 12]);
        assert!(PacketKind::DataPosition.is_update());
    }

    #[test]
    fn what_is_no_place_is_none() {
        let position = rfc4::Position { position_y: f32::NAN, ..Default::default() };
        let packet = rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) };
        assert_eq!(peek(&packet.encode_to_vec()), Peek { kind: PacketKind::Position, position: None });
    }

    #[test]
    fn a_cut_packet_is_unknown() {
        let packet = rfc4_position().encode_to_vec();
        for length in 1..packet.len() {
            assert_eq!(peek(&packet[..length]), Peek::UNKNOWN, "{length}");
        }
        assert_eq!(peek(&[]), Peek::UNKNOWN);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(payload in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = peek(&payload);
        }
    }
}
