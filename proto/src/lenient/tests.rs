//! What the vectors cannot hold: the reader's limits, and properties over arbitrary messages.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::archipelago::island_changed_message::PeersEntry;
use crate::archipelago::{
    ClientPacket, Heartbeat, IslandChangedMessage, Position, ServerPacket, ServiceStatus, server_packet,
};
use crate::lenient::{Decode, DecodeError, decode};
use crate::{archipelago, archipelago_2022, atoll, data, rfc4};

/// An unknown group, `depth` times within itself, with `inside` in the middle.
fn groups(depth: usize, inside: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7b; depth];
    bytes.extend(inside);
    bytes.extend(vec![0x7c; depth]);
    bytes
}

#[test]
fn groups_are_skipped_down_to_a_limit() {
    let chat = [0x0a, 0x01, b'x'];
    for depth in [1, 2, 101] {
        let bytes = [groups(depth, &[]).as_slice(), &chat].concat();
        assert_eq!(decode::<rfc4::Chat>(&bytes).unwrap().message, "x", "{depth}");
    }
    assert_eq!(decode::<rfc4::Chat>(&groups(102, &[])), Err(DecodeError::TooDeep));
    assert_eq!(decode::<rfc4::Chat>(&groups(101, &[0x08, 0x00])), Err(DecodeError::TooDeep));
    assert_eq!(decode::<rfc4::Chat>(&vec![0x7b; 1 << 20]), Err(DecodeError::TooDeep));
    assert_eq!(decode::<rfc4::Chat>(&[0x7b, 0x7b, 0x7c]), Err(DecodeError::UnexpectedEnd));
}

#[test]
fn unreadable_bytes_have_typed_errors() {
    assert_eq!(decode::<ClientPacket>(&[0x7e]), Err(DecodeError::WireType(6)));
    assert_eq!(decode::<ClientPacket>(&[0x1a, 0x05, 0x0a]), Err(DecodeError::UnexpectedEnd));
    assert_eq!(decode::<ClientPacket>(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(DecodeError::UnexpectedEnd));
    let too_large = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    assert_eq!(decode::<ServiceStatus>(&too_large), Err(DecodeError::NumberTooLarge));
    let too_long = [0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    assert_eq!(decode::<ServiceStatus>(&too_long), Err(DecodeError::VarintTooLong));
}

#[test]
fn a_short_number_of_32_bits_has_five_or_ten_bytes() {
    let version = |bytes: &[u8]| decode::<rfc4::AnnounceProfileVersion>(bytes).map(|message| message.profile_version);
    assert_eq!(version(&[0x08, 0xff, 0xff, 0xff, 0xff, 0x7f]), Ok(u32::MAX));
    assert_eq!(version(&[0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(DecodeError::UnexpectedEnd));
    assert_eq!(version(&[0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 1, 2, 3, 4, 5]), Ok(1));
}

#[test]
fn the_tag_zero_ends_the_message_it_stands_in() {
    // The heartbeat's length says 4, but it ends at the 0; the packet goes on with the challenge request.
    let packet: ClientPacket = decode(&[0x1a, 0x04, 0x00, 0x0a, 0x00]).unwrap();
    assert!(matches!(packet.message, Some(archipelago::client_packet::Message::ChallengeRequest(_))));
}

#[test]
fn coordinates_are_read_in_either_float_type() {
    let mut doubles = vec![0x0a, 27];
    for (tag, value) in [(0x09, 1.5_f64), (0x11, 0.1), (0x19, -3.0)] {
        doubles.push(tag);
        doubles.extend(value.to_le_bytes());
    }
    let heartbeat: Heartbeat = decode(&doubles).unwrap();
    assert_eq!(heartbeat.position, Some(Position { x: 1.5, y: 0.1, z: -3.0 }));

    let floats = [&[0x0d][..], &1.5_f32.to_le_bytes()].concat();
    let position: archipelago_2022::Position3DMessage = decode(&floats).unwrap();
    assert_eq!(position.x, 1.5);

    // A radius is no coordinate: the wrong type is skipped.
    let radius = [&[0x2d][..], &1.5_f32.to_le_bytes()].concat();
    assert_eq!(decode::<archipelago::IslandData>(&radius).unwrap().radius, 0.0);
}

#[test]
fn lists_of_numbers_are_read_packed_and_one_by_one() {
    let packed: atoll::MembersChanged = decode(&[0x1a, 0x03, 0x01, 0x80, 0x01]).unwrap();
    let single: atoll::MembersChanged = decode(&[0x18, 0x01, 0x18, 0x80, 0x01]).unwrap();
    assert_eq!(packed.left, [1, 128]);
    assert_eq!(single, packed);
}

#[test]
fn a_string_map_keeps_entries_without_a_value() {
    let response: archipelago::TransportAuthorizationResponse = decode(&[0x12, 0x03, 0x0a, 0x01, b'a']).unwrap();
    assert_eq!(response.conn_strs.len(), 1);
    assert_eq!(response.conn_strs[0].value, "");
}

#[test]
fn a_peer_at_the_origin_is_written_with_its_value() {
    let peers = vec![PeersEntry { key: "a".into(), value: Some(Position::default()) }];
    let message = IslandChangedMessage { peers, ..Default::default() };
    assert_eq!(prost::Message::encode_to_vec(&message), [0x22, 0x05, 0x0a, 0x01, b'a', 0x12, 0x00]);
}

/// Fields of any number and wire type, also such that no message has, in one another.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let tag = |wire_type: u8| (0_u8..16).prop_map(move |field| field << 3 | wire_type);
    let varint =
        (tag(0), vec(0x80_u8.., 0..11), 0_u8..0x80).prop_map(|(tag, more, last)| [&[tag][..], &more, &[last]].concat());
    let fixed = prop_oneof![(tag(1), vec(any::<u8>(), 8)), (tag(5), vec(any::<u8>(), 4))];
    let fixed = fixed.prop_map(|(tag, value)| [&[tag][..], &value].concat());
    let text = (tag(2), vec(any::<u8>(), 0..20)).prop_map(|(tag, text)| [&[tag, text.len() as u8][..], &text].concat());
    let leaf = prop_oneof![varint, fixed, text];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let fields = vec(inner, 0..6).prop_map(|fields| fields.concat());
        let sub_message = |(tag, fields): (u8, Vec<u8>)| [&[tag, fields.len().min(127) as u8][..], &fields].concat();
        prop_oneof![
            4 => (tag(2), fields.clone()).prop_map(sub_message),
            1 => (tag(3), fields).prop_map(|(tag, fields)| [&[tag][..], &fields, &[tag + 1]].concat()),
        ]
    })
}

/// Bytes that are nearly a message: some fields, then one byte changed and the end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (vec(wire(), 0..5), any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>(), any::<[bool; 2]>())
        .prop_map(|(fields, place, byte, end, [change, cut])| {
            let mut bytes = fields.concat();
            if change && !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if cut && !bytes.is_empty() {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        })
}

/// Reading does not panic, and what was read survives being written, for prost's decoder as well.
fn check<M: Decode>(bytes: &[u8]) {
    let Ok(message) = decode::<M>(bytes) else { return };
    let written = message.encode_to_vec();
    // NaN is not equal to itself, so the bytes are compared.
    assert_eq!(decode::<M>(&written).unwrap().encode_to_vec(), written);
    assert_eq!(M::decode(written.as_slice()).unwrap().encode_to_vec(), written);
}

fn check_all(bytes: &[u8]) {
    check::<ClientPacket>(bytes);
    check::<ServerPacket>(bytes);
    check::<IslandChangedMessage>(bytes);
    check::<archipelago::IslandStatusMessage>(bytes);
    check::<archipelago::TransportMessage>(bytes);
    check::<archipelago::ServiceDiscoveryMessage>(bytes);
    check::<archipelago_2022::IslandChangedMessage>(bytes);
    check::<archipelago_2022::IslandStatusMessage>(bytes);
    check::<atoll::ClientMessage>(bytes);
    check::<atoll::ServerMessage>(bytes);
    check::<data::Data>(bytes);
    check::<rfc4::Packet>(bytes);
}

fn position() -> impl Strategy<Value = Position> {
    (any::<f32>(), any::<f32>(), any::<f32>()).prop_map(|(x, y, z)| Position { x, y, z })
}

fn island_changed() -> impl Strategy<Value = IslandChangedMessage> {
    let peers = prop::collection::btree_map(".*", position(), 0..8);
    (".*", ".*", prop::option::of(".*"), peers).prop_map(|(island_id, conn_str, from_island_id, peers)| {
        let peers = peers.into_iter().map(|(key, value)| PeersEntry { key, value: Some(value) }).collect();
        IslandChangedMessage { island_id, conn_str, from_island_id, peers }
    })
}

fn client_packet() -> impl Strategy<Value = ClientPacket> {
    use archipelago::client_packet::Message;
    use archipelago::{ChallengeRequestMessage, SignedChallengeMessage};

    let message = prop_oneof![
        ".*".prop_map(|address| Message::ChallengeRequest(ChallengeRequestMessage { address })),
        ".*".prop_map(|auth_chain_json| Message::SignedChallenge(SignedChallengeMessage { auth_chain_json })),
        (prop::option::of(position()), prop::option::of(".*"))
            .prop_map(|(position, desired_room)| Message::Heartbeat(Heartbeat { position, desired_room })),
    ];
    prop::option::of(message).prop_map(|message| ClientPacket { message })
}

fn place_of(peek: crate::Peek) -> Option<[f32; 3]> {
    peek.position.map(|place| [place.x, place.y, place.z])
}

fn is_finite(place: [f32; 3]) -> bool {
    place.iter().all(|coordinate| coordinate.is_finite())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        check_all(&bytes);
    }

    #[test]
    fn any_fields_are_read_or_refused(bytes in mutated()) {
        check_all(&bytes);
    }

    #[test]
    fn a_client_packet_round_trips(packet in client_packet()) {
        prop_assert_eq!(decode::<ClientPacket>(&prost::Message::encode_to_vec(&packet)), Ok(packet));
    }

    #[test]
    fn an_island_change_round_trips(island in island_changed()) {
        let packet = ServerPacket { message: Some(server_packet::Message::IslandChanged(island)) };
        prop_assert_eq!(decode::<ServerPacket>(&prost::Message::encode_to_vec(&packet)), Ok(packet));
    }

    #[test]
    fn peek_agrees_with_the_decoder(bytes in mutated()) {
        use rfc4::packet::Message;

        let peek = crate::peek(&bytes);
        prop_assert!(place_of(peek).is_none_or(is_finite));
        let Ok(rfc4::Packet { message: Some(message) }) = decode(&bytes) else { return Ok(()) };
        // Written anew, there is one case only, and no later one that the decoder does not know.
        let peek = crate::peek(&prost::Message::encode_to_vec(&rfc4::Packet { message: Some(message.clone()) }));
        if let Message::Position(decoded) = message {
            let place = [decoded.position_x, decoded.position_y, decoded.position_z];
            prop_assert_eq!(peek.kind, crate::PacketKind::Position);
            prop_assert_eq!(place_of(peek), is_finite(place).then_some(place));
        } else {
            prop_assert!(!peek.kind.is_update() && peek.kind != crate::PacketKind::Unknown);
        }
    }
}
