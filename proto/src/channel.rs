//! The channels of `atoll/1` over WebSocket: each binary message is a channel byte and bytes of that channel.
//! docs/protocol.md section 1 lists them.

use bytes::{BufMut, Bytes, BytesMut};

/// Largest binary message, in bytes, the channel byte included.
pub const MAX_WEBSOCKET_MESSAGE: usize = 66_560;

/// Most bytes of a large message that go into one binary message, so that the other channels pass between.
pub const LARGE_SLICE: usize = 16 * 1024;

/// What the bytes of a binary message belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The control stream, cut anywhere.
    Control = 0,
    /// The ordered stream without its type byte, cut anywhere.
    Ordered = 1,
    /// Large streams without their type byte, one after the other, cut anywhere.
    Large = 2,
    /// One whole datagram.
    Datagram = 3,
}

impl Channel {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Control),
            1 => Some(Self::Ordered),
            2 => Some(Self::Large),
            3 => Some(Self::Datagram),
            _ => None,
        }
    }
}

/// Why a binary message cannot be taken. The session ends (4006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// It has no channel byte.
    #[error("an empty message")]
    Empty,
    /// It is larger than [`MAX_WEBSOCKET_MESSAGE`].
    #[error("a message of {0} bytes; at most {MAX_WEBSOCKET_MESSAGE} are allowed")]
    TooLarge(usize),
    /// Its channel is none of [`Channel`].
    #[error("unknown channel {0}")]
    Unknown(u8),
}

/// Takes a binary message apart; the bytes share its memory and may be none.
///
/// # Errors
/// [`ChannelError`] when it is empty, too large or for no known channel.
pub fn split(message: &Bytes) -> Result<(Channel, Bytes), ChannelError> {
    let byte = *message.first().ok_or(ChannelError::Empty)?;
    if message.len() > MAX_WEBSOCKET_MESSAGE {
        return Err(ChannelError::TooLarge(message.len()));
    }
    let channel = Channel::from_byte(byte).ok_or(ChannelError::Unknown(byte))?;
    Ok((channel, message.slice(1..)))
}

/// The binary message that carries `bytes`: fewer than [`MAX_WEBSOCKET_MESSAGE`] of them, which the caller sees to.
pub fn join(channel: Channel, bytes: &[u8]) -> Bytes {
    debug_assert!(bytes.len() < MAX_WEBSOCKET_MESSAGE, "streams are cut, datagrams are small");
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel as u8);
    message.put_slice(bytes);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split_again() {
        for channel in [Channel::Control, Channel::Ordered, Channel::Large, Channel::Datagram] {
            for bytes in [&b""[..], b"x", &[7; MAX_WEBSOCKET_MESSAGE - 1]] {
                assert_eq!(split(&join(channel, bytes)), Ok((channel, Bytes::copy_from_slice(bytes))));
            }
        }
    }

    #[test]
    fn what_has_no_channel_is_told_apart() {
        assert_eq!(split(&Bytes::new()), Err(ChannelError::Empty));
        assert_eq!(split(&Bytes::from_static(&[4, 0])), Err(ChannelError::Unknown(4)));
        let large = Bytes::from(vec![0; MAX_WEBSOCKET_MESSAGE + 1]);
        assert_eq!(split(&large), Err(ChannelError::TooLarge(MAX_WEBSOCKET_MESSAGE + 1)));
    }
}
