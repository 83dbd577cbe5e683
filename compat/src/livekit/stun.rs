//! As much of STUN (RFC 8489) as it takes to know whom a datagram is for, without keeping anything of it.

/// What every message has at its fifth byte.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const BINDING_REQUEST: [u8; 2] = [0, 1];
const USERNAME: [u8; 2] = [0, 6];
const HEADER: usize = 20;

/// The name that a binding request gives the one it is for: the first half of its user name, which ICE (RFC 8445, section
/// 7.2.2) has both sides agree upon. `None` for everything else.
pub(super) fn addressee(datagram: &[u8]) -> Option<&str> {
    let (header, mut rest) = datagram.split_at_checked(HEADER)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE {
        return None;
    }
    while let Some((head, after)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = after.get(..length)?;
        if head[..2] == USERNAME {
            return std::str::from_utf8(value).ok()?.split_once(':').map(|(ours, _)| ours);
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// A binding request with these attributes.
#[cfg(test)]
pub(super) fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend([7; 12]);
    for (kind, value) in attributes {
        message.extend(kind.to_be_bytes());
        message.extend((value.len() as u16).to_be_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_request_names_whom_it_is_for() {
        assert_eq!(addressee(&request(&[(6, b"ours:theirs")])), Some("ours"));
        assert_eq!(addressee(&request(&[(0x24, &[1, 2, 3, 4]), (0x8022, b"x"), (6, b"abc:d")])), Some("abc"));
    }

    #[test]
    fn everything_else_is_for_nobody() {
        let good = request(&[(0x8022, b"xyz"), (6, b"ours:theirs")]);
        for end in 0..good.len() - 1 {
            assert_eq!(addressee(&good[..end]), None, "{end} bytes");
        }
        for (at, byte) in [(0, 1), (1, 3), (4, 0)] {
            let mut other = good.clone();
            other[at] = byte;
            assert_eq!(addressee(&other), None);
        }
        assert_eq!(addressee(&request(&[(6, b"without")])), None);
        assert_eq!(addressee(&request(&[(6, &[0xff, b':'])])), None);
        assert_eq!(addressee(&[0x16; 64]), None);
    }
}
