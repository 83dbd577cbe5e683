//! Values off the wire, with the habits of protobufjs' reader.

use std::collections::HashSet;
use std::hash::Hash;

use super::DecodeError;

/// How deep unknown groups may be nested.
const MAX_GROUP_DEPTH: usize = 100;

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A message that can take in one field after the other.
pub trait ReadField {
    /// Reads the value behind `tag` into its field. `false`: the tag is unknown and nothing was read.
    fn read_field(&mut self, tag: u32, reader: &mut Reader<'_>) -> Result<bool, DecodeError>;

    /// Called once after the last field.
    fn finish(&mut self) {}
}

/// Walks over the bytes of one message and of all messages in it.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// May stand one behind the end; see [`Reader::uint64`].
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Whether there is nothing left to read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// Reads fields up to `end` and a little further, should the last one go on behind it.
    pub(crate) fn fields_until<M: Default + ReadField>(&mut self, end: usize) -> Result<M, DecodeError> {
        let mut message = M::default();
        while self.position < end {
            let tag = self.uint32()?;
            if message.read_field(tag, self)? {
                continue;
            }
            if tag == 0 || tag & 7 == 4 {
                break;
            }
            self.skip(tag)?;
        }
        message.finish();
        Ok(message)
    }

    /// Reads a sub-message with its length.
    pub(crate) fn message<M: Default + ReadField>(&mut self) -> Result<M, DecodeError> {
        let length = self.uint32()? as usize;
        self.fields_until(self.position.saturating_add(length))
    }

    /// Reads a packed list of numbers with its length.
    pub(crate) fn packed<T>(
        &mut self,
        list: &mut Vec<T>,
        read: fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        let length = self.uint32()? as usize;
        let end = self.position.saturating_add(length);
        while self.position < end {
            list.push(read(self)?);
        }
        Ok(())
    }

    /// Reads a varint of 32 bits: after a fifth byte that is not the last, five more are passed over unseen.
    pub(crate) fn uint32(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.take(5)?;
        Ok(value)
    }

    pub(crate) fn int32(&mut self) -> Result<i32, DecodeError> {
        self.uint32().map(u32::cast_signed)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        self.uint32().map(|value| value != 0)
    }

    /// Reads a varint of 64 bits, at most 2^53 - 1.
    ///
    /// When 4 bytes or fewer are left, the fourth is taken as the last one whatever it is, even when it is missing.
    pub(crate) fn uint64(&mut self) -> Result<u64, DecodeError> {
        let value =
            if self.bytes.len().saturating_sub(self.position) > 4 { self.long_varint()? } else { self.short_varint()? };
        if value > MAX_SAFE_INTEGER {
            return Err(DecodeError::NumberTooLarge);
        }
        Ok(value)
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for index in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong)
    }

    fn short_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        let last = self.bytes.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        Ok(value | u64::from(last & 0x7f) << 21)
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn float(&mut self) -> Result<f32, DecodeError> {
        self.array().map(f32::from_le_bytes)
    }

    pub(crate) fn double(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        self.slice().map(<[u8]>::to_vec)
    }

    pub(crate) fn string(&mut self) -> Result<String, DecodeError> {
        self.slice().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Passes over the value behind a tag; whether the end of its group has the right number does not matter.
    pub(crate) fn skip(&mut self, tag: u32) -> Result<(), DecodeError> {
        let mut wire_type = tag & 7;
        let mut depth = 0;
        loop {
            match wire_type {
                0 => while self.byte()? >= 0x80 {},
                1 => drop(self.take(8)?),
                2 => drop(self.slice()?),
                3 => depth += 1,
                4 if depth > 0 => depth -= 1,
                5 => drop(self.take(4)?),
                other => return Err(DecodeError::WireType(other as u8)),
            }
            if depth == 0 {
                return Ok(());
            }
            wire_type = self.uint32()? & 7;
            if depth > MAX_GROUP_DEPTH && wire_type != 4 {
                return Err(DecodeError::TooDeep);
            }
        }
    }

    /// The bytes of a field with a length.
    pub(crate) fn slice(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.uint32()? as usize;
        self.take(length)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let rest = self.bytes.get(self.position..).ok_or(DecodeError::UnexpectedEnd)?;
        let array = rest.first_chunk().ok_or(DecodeError::UnexpectedEnd)?;
        self.position += N;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.position..).ok_or(DecodeError::UnexpectedEnd)?;
        let slice = rest.get(..length).ok_or(DecodeError::UnexpectedEnd)?;
        self.position += length;
        Ok(slice)
    }
}

/// Of the entries with one key, keeps the last.
pub(super) fn keep_last<T, K: Eq + Hash>(entries: &mut Vec<T>, key: fn(&T) -> &K) {
    if entries.len() < 2 {
        return;
    }
    let mut seen = HashSet::with_capacity(entries.len());
    let mut is_last: Vec<bool> = entries.iter().rev().map(|entry| seen.insert(key(entry))).collect();
    drop(seen);
    entries.retain(|_| is_last.pop().unwrap_or(true));
}
