//! The datagrams of `atoll/1`, read without copying. docs/protocol.md section 5 draws the bytes.

use crate::framing::put_varint;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Largest payload of one datagram, in bytes.
pub const MAX_PAYLOAD: usize = 1100;

/// Largest chunk the edge sends, in bytes, without the WebTransport session prefix.
///
/// Below what QUIC carries before path discovery (1161 with HTTP/3) and what Chromium takes (1211).
pub const MAX_CHUNK: usize = 1150;

/// Bytes before the payload of a datagram upstream: kind, tag, sequence.
pub const UP_HEADER: usize = 7;

/// Names one incarnation of a room on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

/// The small number that stands for a member inside one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(pub u32);

/// A sender's counter over its datagrams in one room; wraps at 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sequence(pub u16);

impl Sequence {
    /// Whether `self` was sent after `other`, by serial arithmetic: within half the circle ahead of it.
    pub const fn is_newer_than(self, other: Self) -> bool {
        matches!(self.0.wrapping_sub(other.0), 1..=0x7fff)
    }

    /// The sequence that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// How a datagram is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The latest counts.
    Update = 0,
    /// Every one is passed on, no order promised.
    Event = 1,
    /// A voice frame.
    Voice = 2,
}

impl Kind {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Update),
            1 => Some(Self::Event),
            2 => Some(Self::Voice),
            _ => None,
        }
    }
}

/// Why a datagram cannot be read. It is dropped; the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// It ends before its header or an entry does.
    #[error("the datagram is truncated")]
    Truncated,
    /// Its kind is none of [`Kind`].
    #[error("unknown datagram kind {0}")]
    UnknownKind(u8),
    /// Its payload is above [`MAX_PAYLOAD`].
    #[error("a payload of {0} bytes; at most {MAX_PAYLOAD} are allowed")]
    PayloadTooLarge(usize),
}

/// A datagram from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// How it is to be delivered.
    pub kind: Kind,
    /// The room it is for.
    pub tag: Tag,
    /// The sender's counter.
    pub sequence: Sequence,
    /// The comms packet, at most [`MAX_PAYLOAD`] bytes.
    pub payload: Bytes,
}

impl Up {
    /// Reads a datagram; the payload shares its memory.
    ///
    /// # Errors
    /// [`DatagramError`] when it is too short, too large or of an unknown kind.
    pub fn decode(mut datagram: Bytes) -> Result<Self, DatagramError> {
        if datagram.len() < UP_HEADER {
            return Err(DatagramError::Truncated);
        }
        let kind = datagram.get_u8();
        let kind = Kind::from_byte(kind).ok_or(DatagramError::UnknownKind(kind))?;
        let tag = Tag(datagram.get_u32());
        let sequence = Sequence(datagram.get_u16());
        if datagram.len() > MAX_PAYLOAD {
            return Err(DatagramError::PayloadTooLarge(datagram.len()));
        }
        Ok(Self { kind, tag, sequence, payload: datagram })
    }

    /// Appends the datagram's bytes to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.reserve(UP_HEADER + self.payload.len());
        out.put_u8(self.kind as u8);
        out.put_u32(self.tag.0);
        out.put_u16(self.sequence.0);
        out.put_slice(&self.payload);
    }
}

/// One sender's news inside a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who sent it.
    pub alias: Alias,
    /// How it was sent.
    pub kind: Kind,
    /// The sender's counter.
    pub sequence: Sequence,
    /// The comms packet, at most [`MAX_PAYLOAD`] bytes.
    pub payload: Bytes,
}

impl Entry {
    /// The bytes this entry takes in a chunk.
    pub fn encoded_len(&self) -> usize {
        varint_len(self.alias.0 as usize) + 3 + varint_len(self.payload.len()) + self.payload.len()
    }
}

/// Packs entries into chunks of at most [`MAX_CHUNK`] bytes, in order, each behind `prefix` and the room's tag.
///
/// `prefix` is what a transport puts before every datagram (WebTransport: its session id). Entries are never split;
/// each payload must be at most [`MAX_PAYLOAD`] bytes, which leaves room for any header.
pub fn encode_chunks<'a>(prefix: &[u8], tag: Tag, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Bytes> {
    let full = prefix.len() + MAX_CHUNK;
    let mut chunks = Vec::new();
    let mut chunk = BytesMut::new();
    for entry in entries {
        debug_assert!(entry.payload.len() <= MAX_PAYLOAD, "payloads are checked at the door");
        if !chunk.is_empty() && chunk.len() + entry.encoded_len() > full {
            chunks.push(chunk.split().freeze());
        }
        if chunk.is_empty() {
            chunk.reserve(full);
            chunk.put_slice(prefix);
            chunk.put_u32(tag.0);
        }
        put_varint(entry.alias.0 as usize, &mut chunk);
        chunk.put_u8(entry.kind as u8);
        chunk.put_u16(entry.sequence.0);
        put_varint(entry.payload.len(), &mut chunk);
        chunk.put_slice(&entry.payload);
    }
    if !chunk.is_empty() {
        chunks.push(chunk.freeze());
    }
    chunks
}

/// Reads a chunk from the edge: its tag, and its entries in order.
///
/// # Errors
/// [`DatagramError::Truncated`] when there is no whole tag. A fault in an entry is that item's error and the last item:
/// the entries before it are good.
pub fn decode_chunk(mut chunk: Bytes) -> Result<(Tag, Entries), DatagramError> {
    if chunk.len() < 4 {
        return Err(DatagramError::Truncated);
    }
    let tag = Tag(chunk.get_u32());
    Ok((tag, Entries { rest: chunk }))
}

/// The entries of a chunk; payloads share the chunk's memory.
#[derive(Debug, Clone)]
pub struct Entries {
    rest: Bytes,
}

impl Iterator for Entries {
    type Item = Result<Entry, DatagramError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = take_entry(&mut self.rest);
        if entry.is_err() {
            self.rest = Bytes::new();
        }
        Some(entry)
    }
}

fn take_entry(rest: &mut Bytes) -> Result<Entry, DatagramError> {
    let alias = Alias(take_varint(rest)?);
    if rest.len() < 3 {
        return Err(DatagramError::Truncated);
    }
    let kind = rest.get_u8();
    let kind = Kind::from_byte(kind).ok_or(DatagramError::UnknownKind(kind))?;
    let sequence = Sequence(rest.get_u16());
    let length = take_varint(rest)? as usize;
    if length > MAX_PAYLOAD {
        return Err(DatagramError::PayloadTooLarge(length));
    }
    if rest.len() < length {
        return Err(DatagramError::Truncated);
    }
    Ok(Entry { alias, kind, sequence, payload: rest.split_to(length) })
}

/// A 32-bit varint; bits above the 32nd are an error, as is a sixth byte.
fn take_varint(rest: &mut Bytes) -> Result<u32, DatagramError> {
    let mut value = 0u64;
    for index in 0..5 {
        if rest.is_empty() {
            return Err(DatagramError::Truncated);
        }
        let byte = rest.get_u8();
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| DatagramError::Truncated);
        }
    }
    Err(DatagramError::Truncated)
}

const fn varint_len(value: usize) -> usize {
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
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Update), Just(Kind::Event), Just(Kind::Voice)]
    }

    fn entries() -> impl Strategy<Value = Entry> {
        (any::<u32>(), kinds(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD)).prop_map(
            |(alias, kind, sequence, payload)| Entry {
                alias: Alias(alias),
                kind,
                sequence: Sequence(sequence),
                payload: payload.into(),
            },
        )
    }

    #[test]
    fn newer_is_within_half_the_circle() {
        let s = Sequence;
        assert!(s(1).is_newer_than(s(0)) && s(0).is_newer_than(s(65_535)) && s(32_767).is_newer_than(s(0)));
        assert!(!s(0).is_newer_than(s(0)) && !s(65_535).is_newer_than(s(0)) && !s(32_768).is_newer_than(s(0)));
        assert_eq!(s(65_535).next(), s(0));
    }

    #[test]
    fn an_oversize_payload_is_told_apart() {
        let datagram = Bytes::from(vec![0; UP_HEADER + MAX_PAYLOAD + 1]);
        assert_eq!(Up::decode(datagram), Err(DatagramError::PayloadTooLarge(MAX_PAYLOAD + 1)));
        assert_eq!(Up::decode(Bytes::from_static(&[9, 0, 0, 0, 0, 0, 0])), Err(DatagramError::UnknownKind(9)));
        assert_eq!(Up::decode(Bytes::from_static(&[0; 6])), Err(DatagramError::Truncated));
    }

    proptest! {
        #[test]
        fn up_round_trips(kind in kinds(), tag: u32, sequence: u16, payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD)) {
            let up = Up { kind, tag: Tag(tag), sequence: Sequence(sequence), payload: payload.into() };
            let mut bytes = BytesMut::new();
            up.encode(&mut bytes);
            prop_assert_eq!(Up::decode(bytes.freeze()).unwrap(), up);
        }

        #[test]
        fn chunks_hold_every_entry_once_and_in_order(tag: u32, entries in prop::collection::vec(entries(), 0..12)) {
            let chunks = encode_chunks(&[0], Tag(tag), &entries);
            let mut back = Vec::new();
            for mut chunk in chunks {
                prop_assert!(chunk.len() <= 1 + MAX_CHUNK);
                chunk.advance(1);
                let (read, entries) = decode_chunk(chunk).unwrap();
                prop_assert_eq!(read, Tag(tag));
                for entry in entries {
                    back.push(entry.unwrap());
                }
            }
            prop_assert_eq!(back, entries);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..1300)) {
            let bytes = Bytes::from(bytes);
            let _ = Up::decode(bytes.clone());
            if let Ok((_, entries)) = decode_chunk(bytes) {
                entries.for_each(drop);
            }
        }
    }
}
