//! Frames are the same however their bytes are cut, and are those that the bytes say.
#![no_main]

use atoll_fuzz::Input;
use atoll_proto::framing::{FrameError, MAX_MESSAGE, MAX_PREFIX, take_frame};
use atoll_proto::lanes::{MAX_LARGE_HEADER, MAX_ORDERED_FRAME};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

const LIMITS: [usize; 5] = [MAX_MESSAGE, MAX_ORDERED_FRAME, MAX_LARGE_HEADER, 1, 0];

/// The frames, and why there are no more: the bytes left over, or the error.
type Read = (Vec<Bytes>, Result<usize, FrameError>);

fn in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>, limit: usize) -> Read {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match take_frame(&mut buffer, limit) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    let left = buffer.len();
    (frames, Ok(left))
}

/// The same, as plainly as possible.
fn expected(mut bytes: &[u8], limit: usize) -> Read {
    let mut frames = Vec::new();
    loop {
        let prefix = bytes.iter().take(MAX_PREFIX).take_while(|byte| **byte >= 0x80).count() + 1;
        if prefix > MAX_PREFIX {
            return (frames, Err(FrameError::LongPrefix));
        }
        if prefix > bytes.len() {
            return (frames, Ok(bytes.len()));
        }
        let length = bytes[..prefix].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        if length > limit {
            return (frames, Err(FrameError::TooLarge { length, limit }));
        }
        let Some(frame) = bytes.get(prefix..prefix + length) else {
            return (frames, Ok(bytes.len()));
        };
        frames.push(Bytes::copy_from_slice(frame));
        bytes = &bytes[prefix + length..];
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let limit = LIMITS[usize::from(input.byte()) % LIMITS.len()];
    let step = usize::from(input.byte()) + 1;
    let bytes = input.rest();
    let expected = expected(bytes, limit);
    assert_eq!(in_pieces(std::iter::once(bytes), limit), expected);
    assert_eq!(in_pieces(bytes.chunks(step), limit), expected);
    assert_eq!(in_pieces(bytes.chunks(1), limit), expected);
});
