//! Framing of the control stream: each message is a varint length and that many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Largest control message, in bytes, without its length prefix.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Most bytes a length prefix may have: enough for [`MAX_MESSAGE`], so that a longer one is refused unread.
pub const MAX_PREFIX: usize = 3;

/// Why a control stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced length is above the reader's limit.
    #[error("a message of {length} bytes; at most {limit} are allowed")]
    TooLarge {
        /// The length announced, in bytes.
        length: usize,
        /// The limit it broke, in bytes.
        limit: usize,
    },
    /// The length prefix has more bytes than the limit can need.
    #[error("a length prefix of more than {MAX_PREFIX} bytes")]
    LongPrefix,
}

/// Takes the first whole message off the front of `buffer`, or `None` when more bytes are needed.
///
/// Never asks for memory on the word of a length: the caller grows `buffer` by what arrived.
///
/// # Errors
/// A [`FrameError`] once the prefix shows that the message cannot be accepted; the stream is unusable then.
pub fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some((length, prefix)) = read_varint(buffer)? else {
        return Ok(None);
    };
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    if buffer.len() < prefix + length {
        return Ok(None);
    }
    buffer.advance(prefix);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Appends `message` with its length prefix to `out`.
pub fn put_frame(message: &impl prost::Message, out: &mut BytesMut) {
    let length = message.encoded_len();
    out.reserve(MAX_PREFIX + length);
    put_varint(length, out);
    message.encode(out).unwrap_or_else(|_| unreachable!("a BytesMut grows as needed"));
}

/// The length and the bytes of the prefix that gave it.
fn read_varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(MAX_PREFIX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    if bytes.len() >= MAX_PREFIX {
        return Err(FrameError::LongPrefix);
    }
    Ok(None)
}

pub(crate) fn put_varint(mut value: usize, out: &mut impl BufMut) {
    while value >= 0x80 {
        out.put_u8(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames_of(bytes: &[u8], step: usize) -> Result<Vec<Bytes>, FrameError> {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = take_frame(&mut buffer, MAX_MESSAGE)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn a_giant_length_is_refused_from_its_prefix() {
        let mut buffer = BytesMut::from(&[0x81, 0x80, 0x04][..]);
        let error = take_frame(&mut buffer, MAX_MESSAGE);
        assert_eq!(error, Err(FrameError::TooLarge { length: 65_537, limit: MAX_MESSAGE }));
        let mut buffer = BytesMut::from(&[0xff; 3][..]);
        assert_eq!(take_frame(&mut buffer, MAX_MESSAGE), Err(FrameError::LongPrefix));
    }

    proptest! {
        #[test]
        fn frames_survive_any_split(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8), step in 1usize..64) {
            let mut bytes = BytesMut::new();
            for message in &messages {
                put_varint(message.len(), &mut bytes);
                bytes.extend_from_slice(message);
            }
            prop_assert_eq!(frames_of(&bytes, step).unwrap(), messages);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), step in 1usize..64) {
            let _ = frames_of(&bytes, step);
        }
    }
}
