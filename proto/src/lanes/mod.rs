//! The two lanes of numbered messages beside the datagrams, as docs/protocol.md section 6 tells them.
//!
//! One machine for each direction, without I/O and without a clock, for the edge and its clients alike. [`Outgoing`]
//! keeps what was sent until it is acknowledged and says what to send next; [`Ordered`] and [`Unordered`] tell new
//! messages from repeated ones, and [`Incoming`] holds one of each and writes the acknowledgement. A session keeps its
//! machines when its connection is lost: [`Outgoing::rewind`] begins anew on the next one.
//!
//! Numbers begin with 1 and never have holes. What had to be dropped unacknowledged is announced as a gap, in its place.
//! A full lane drops messages of the source that has most in it, so that none pushes out those of another.

mod incoming;
mod outgoing;
mod sources;
mod spans;

pub use self::incoming::{Incoming, NumberError, Ordered, Unordered, Verdict};
pub use self::outgoing::{AcknowledgeError, Bounds, Item, Outgoing};

use std::time::Duration;

/// Type byte of the unidirectional stream that carries the ordered lane.
pub const ORDERED_STREAM: u8 = 1;

/// Type byte of a unidirectional stream that carries one large message.
pub const LARGE_STREAM: u8 = 2;

/// Largest payload of an ordered message, in bytes.
pub const MAX_ORDERED: usize = 65_536;

/// Largest payload of a large message, in bytes.
pub const MAX_LARGE: usize = 1_048_576;

/// Largest frame of the ordered stream, in bytes without its length prefix: a payload and what stands beside it.
pub const MAX_ORDERED_FRAME: usize = MAX_ORDERED + 256;

/// Largest header of a large message, in bytes without its length prefix.
pub const MAX_LARGE_HEADER: usize = 512;

/// How many large streams a client may have open at a time.
pub const MAX_LARGE_STREAMS: usize = 4;

/// How far the number of a large message (or the first of a gap) may be above the last number up to which the sender
/// knows everything to have arrived. It bounds what a receiver has to remember.
pub const LARGE_AHEAD: u64 = 16;

/// Most numbers in `Received.large_beyond`.
pub const MAX_BEYOND: usize = 16;

/// What the ordered lane keeps: 256 KiB, 4,096 messages, 60 s.
pub const ORDERED_BOUNDS: Bounds =
    Bounds { bytes: 256 * 1024, entries: 4096, age: Duration::from_secs(60), ahead: u64::MAX };

/// What the large lane keeps: 4 MiB, 64 messages, 60 s.
pub const LARGE_BOUNDS: Bounds =
    Bounds { bytes: 4 * 1024 * 1024, entries: 64, age: Duration::from_secs(60), ahead: LARGE_AHEAD };

/// How long after a message arrived it is acknowledged at the latest.
pub const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(250);

/// After how many messages an acknowledgement is due, however little time has passed.
pub const ACKNOWLEDGE_AFTER: u32 = 32;
