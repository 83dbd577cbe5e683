//! Reads foreign bytes exactly as the original implementations do.
//!
//! Kernels and services of Comms V3 decode with code that ts-proto generated over protobufjs. It takes many inputs
//! that a stricter decoder refuses, and answers some of them differently:
//!
//! - a sub-message that comes again **replaces** the former one; nothing is merged;
//! - a known field with another wire type is skipped as if it were unknown;
//! - the length of a sub-message is not compared with its parent's: reading goes on where the sub-message's fields end;
//! - the tag 0 and the end of a group end the message they stand in; whole groups are skipped;
//! - a varint of 32 bits has 1 to 5 bytes or exactly 10, and the upper bits are dropped;
//! - a 64-bit number above 2^53 - 1 is an error; invalid UTF-8 becomes U+FFFD;
//! - of two map entries with one key the last counts, and an entry without its sub-message is dropped.
//!
//! [`decode`] does the same, so that what an original accepts is accepted here with the same meaning, and what it
//! refuses is refused. There are two differences, both on purpose. **Coordinates** (x, y, z and position_x, _y, _z) are
//! read as meant when they come as a float where a double is declared, or the reverse: kernels of 2022 sent both. And
//! the rules are those of the decoders of 2023 for every message; those of 2022 did not look at wire types at all and
//! read garbage instead of skipping.
//!
//! The depth of the recursion is that of the message types, none of which contains itself; the work is linear in the
//! number of bytes.

mod reader;
#[cfg(test)]
mod tests;

pub(crate) use self::reader::Reader;
use self::reader::{ReadField, keep_last};

/// A message that [`decode`] reads: every message this crate generates from its `.proto` files.
pub trait Decode: prost::Message + Default + ReadField {}

impl<M: prost::Message + Default + ReadField> Decode for M {}

/// Reads one message, which takes up all of `bytes`. No bytes at all are the message with nothing set.
///
/// Of a map's entries with one key only the last is in the result, at its own place.
pub fn decode<M: Decode>(bytes: &[u8]) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.fields_until(bytes.len())
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value goes on behind the last byte.
    #[error("the message ends within a value")]
    UnexpectedEnd,
    /// An unknown field has the wire type 6 or 7, so nobody knows where it ends.
    #[error("wire type {0} does not exist")]
    WireType(u8),
    /// A 64-bit number has more than 10 bytes.
    #[error("a number has more than 10 bytes")]
    VarintTooLong,
    /// A 64-bit number is above 2^53 - 1, the largest the original clients can hold.
    #[error("a number is above 2^53 - 1")]
    NumberTooLarge,
    /// Unknown groups are nested deeper than the 100 levels protobufjs goes down.
    #[error("groups are nested too deep")]
    TooDeep,
}

/// The field readers that build.rs writes, one for each message.
mod readers {
    use super::{DecodeError, ReadField, Reader, keep_last};

    include!(concat!(env!("OUT_DIR"), "/readers.rs"));
}
