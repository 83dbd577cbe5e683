//! What a WebSocket room says to its peers, as whole WebSocket frames.
//!
//! A server does not mask its frames, so the same bytes are good for every peer. A [`Frames`] holds many of them, one
//! behind the other, and gives each peer all but its own.

use crate::PacketKind;
use crate::datagram::Alias;
use crate::framing::put_varint;
use bytes::{BufMut, Bytes, BytesMut};

/// The alias of a room's member on the wire: rooms count from 0, the original servers from 1. A client may take 0 for none.
pub const fn wire_alias(alias: Alias) -> u32 {
    alias.0.wrapping_add(1)
}

/// Frames of one generation, each from one member.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    bytes: Bytes,
    frames: Vec<Frame>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    from: Alias,
    update: Option<PacketKind>,
    end: usize,
}

/// Writes [`Frames`].
#[derive(Debug, Default)]
pub struct FramesWriter {
    bytes: BytesMut,
    frames: Vec<Frame>,
}

impl FramesWriter {
    /// A writer with place for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(bytes), frames: Vec::new() }
    }

    /// Adds a frame of `from`, which `put` appends. An `update` makes earlier ones of its sender and kind worthless.
    pub fn add(&mut self, from: Alias, update: Option<PacketKind>, put: impl FnOnce(&mut BytesMut)) {
        put(&mut self.bytes);
        self.frames.push(Frame { from, update, end: self.bytes.len() });
    }

    /// The frames so far.
    pub fn finish(self) -> Frames {
        Frames { bytes: self.bytes.freeze(), frames: self.frames }
    }
}

impl Frames {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether one is of `alias`.
    pub fn has(&self, alias: Alias) -> bool {
        self.frames.iter().any(|frame| frame.from == alias)
    }

    /// Each frame by itself: whose it is, and of which kind if it is an update. They share memory with this.
    pub fn each(&self) -> impl Iterator<Item = (Alias, Option<PacketKind>, Bytes)> {
        let mut at = 0;
        self.frames.iter().map(move |frame| {
            let start = std::mem::replace(&mut at, frame.end);
            (frame.from, frame.update, self.bytes.slice(start..frame.end))
        })
    }

    /// All frames but those of `own`, in as few pieces as there can be. They share memory with this.
    pub fn without(&self, own: Option<Alias>) -> impl Iterator<Item = Bytes> {
        let mut frames = self.frames.iter().peekable();
        let mut at = 0;
        std::iter::from_fn(move || {
            while let Some(frame) = frames.next_if(|frame| Some(frame.from) == own) {
                at = frame.end;
            }
            let start = at;
            while let Some(frame) = frames.next_if(|frame| Some(frame.from) != own) {
                at = frame.end;
            }
            (at > start).then(|| self.bytes.slice(start..at))
        })
    }
}

/// Appends a binary frame with `message`.
pub fn put_message(message: &impl prost::Message, out: &mut BytesMut) {
    put_header(message.encoded_len(), out);
    // Fails only for want of memory, of which a `BytesMut` finds more.
    let _ = message.encode(out);
}

/// Appends RFC-5's `peer_update_message`.
pub fn put_peer_update(from: Alias, body: &[u8], unreliable: bool, out: &mut BytesMut) {
    const CASE: u8 = 3 << 3 | 2;
    let alias = varint_field_len(wire_alias(from).into());
    let inner = alias + bytes_field_len(body) + if unreliable { 2 } else { 0 };
    put_header(1 + varint_len(inner as u64) + inner, out);
    out.put_u8(CASE);
    put_varint(inner, out);
    put_varint_field(wire_alias(from).into(), out);
    put_bytes_field(2, body, out);
    if unreliable {
        out.put_slice(&[3 << 3, 1]);
    }
}

/// Appends `systemMessage` of the first generation.
pub fn put_system_message(from: Alias, body: &[u8], out: &mut BytesMut) {
    const CASE: u8 = 2 << 3 | 2;
    let inner = varint_field_len(wire_alias(from).into()) + bytes_field_len(body);
    put_header(1 + varint_len(inner as u64) + inner, out);
    out.put_u8(CASE);
    put_varint(inner, out);
    put_varint_field(wire_alias(from).into(), out);
    put_bytes_field(2, body, out);
}

/// Appends `identityMessage` of the first generation.
pub fn put_identity_message(from: Alias, identity: &str, body: &[u8], out: &mut BytesMut) {
    const CASE: u8 = 3 << 3 | 2;
    let inner =
        varint_field_len(wire_alias(from).into()) + bytes_field_len(identity.as_bytes()) + bytes_field_len(body);
    put_header(1 + varint_len(inner as u64) + inner, out);
    out.put_u8(CASE);
    put_varint(inner, out);
    put_varint_field(wire_alias(from).into(), out);
    put_bytes_field(2, identity.as_bytes(), out);
    put_bytes_field(3, body, out);
}

/// The header of a whole binary message from a server (RFC 6455, section 5.2).
fn put_header(length: usize, out: &mut BytesMut) {
    const FINAL_BINARY: u8 = 0x82;
    out.reserve(10 + length);
    out.put_u8(FINAL_BINARY);
    match length {
        0..=125 => out.put_u8(length as u8),
        126..=0xffff => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

/// Field 1, an alias: never 0.
fn put_varint_field(value: u64, out: &mut BytesMut) {
    out.put_u8(1 << 3);
    put_varint(value as usize, out);
}

const fn varint_field_len(value: u64) -> usize {
    1 + varint_len(value)
}

/// A field of bytes. An empty one is left out, as proto3 does.
fn put_bytes_field(number: u8, bytes: &[u8], out: &mut BytesMut) {
    if !bytes.is_empty() {
        out.put_u8(number << 3 | 2);
        put_varint(bytes.len(), out);
        out.put_slice(bytes);
    }
}

const fn bytes_field_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { 1 + varint_len(bytes.len() as u64) + bytes.len() }
}

const fn varint_len(value: u64) -> usize {
    let mut length = 1;
    let mut rest = value >> 7;
    while rest > 0 {
        length += 1;
        rest >>= 7;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rfc5, ws_2022};
    use proptest::prelude::*;
    use prost::Message;

    /// The messages of frames, read by hand.
    fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some((first, rest)) = bytes.split_first() {
            assert_eq!(*first, 0x82);
            let (short, rest) = rest.split_first().unwrap();
            let (length, rest) = match *short {
                126 => (usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
                127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
                short => (usize::from(short), rest),
            };
            assert!(length > 125 || *short < 126, "the shortest header");
            messages.push(rest[..length].to_vec());
            bytes = &rest[length..];
        }
        messages
    }

    fn one(put: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        put(&mut out);
        let mut messages = messages(&out);
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    #[test]
    fn each_kind_is_what_the_generated_encoder_writes() {
        let largest = Alias(u32::MAX - 1);
        for (alias, length) in [(Alias(0), 0), (Alias(126), 1), (largest, 120), (Alias(3), 300), (Alias(7), 70_000)] {
            let body = vec![7; length];
            for unreliable in [false, true] {
                let update = rfc5::WsPeerUpdate { from_alias: wire_alias(alias), body: body.clone(), unreliable };
                let packet = rfc5::WsPacket { message: Some(rfc5::ws_packet::Message::PeerUpdateMessage(update)) };
                let written = one(|out| put_peer_update(alias, &body, unreliable, out));
                assert_eq!(written, packet.encode_to_vec());
                assert_eq!(one(|out| put_message(&packet, out)), written);
            }
            let from_alias = wire_alias(alias).into();
            let system = ws_2022::WsSystem { from_alias, body: body.clone() };
            let system = ws_2022::WsMessage { data: Some(ws_2022::ws_message::Data::SystemMessage(system)) };
            assert_eq!(one(|out| put_system_message(alias, &body, out)), system.encode_to_vec());
            let identity = ws_2022::WsIdentity { from_alias, identity: "0x1".to_owned(), body: body.clone() };
            let identity = ws_2022::WsMessage { data: Some(ws_2022::ws_message::Data::IdentityMessage(identity)) };
            assert_eq!(one(|out| put_identity_message(alias, "0x1", &body, out)), identity.encode_to_vec());
        }
    }

    proptest! {
        #[test]
        fn everybody_has_all_but_its_own(from in prop::collection::vec(0..4u32, 0..20), own in 0..5u32) {
            let mut writer = FramesWriter::default();
            for (number, alias) in from.iter().enumerate() {
                writer.add(Alias(*alias), None, |out| put_system_message(Alias(*alias), &[number as u8, 1], out));
            }
            let frames = writer.finish();
            prop_assert_eq!(frames.len(), from.len());
            prop_assert_eq!(frames.has(Alias(own)), from.contains(&own));
            let each: Vec<u32> = frames.each().map(|(alias, ..)| alias.0).collect();
            prop_assert_eq!(&each, &from);
            let all = frames.without(None).collect::<Vec<_>>();
            prop_assert_eq!(all.len(), usize::from(!from.is_empty()), "in one piece");
            let numbers = |pieces: Vec<Bytes>| -> Vec<usize> {
                let messages = pieces.iter().flat_map(|piece| messages(piece));
                messages.map(|message| usize::from(message[message.len() - 2])).collect()
            };
            let others: Vec<usize> = (0..from.len()).filter(|number| from[*number] != own).collect();
            prop_assert_eq!(numbers(frames.without(Some(Alias(own))).collect()), others);
        }
    }
}
