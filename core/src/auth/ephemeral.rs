//! The message by which a wallet hands its authority to a throw-away key for a while.

use super::javascript_date;

/// An ephemeral message: three lines or more, read by position.
///
/// ```text
/// Decentraland Login
/// Ephemeral address: 0x…
/// Expiration: 2099-01-01T00:00:00.000Z
/// ```
#[derive(Clone, Debug)]
pub(super) struct Ephemeral {
    /// What the wallet signs: the payload without carriage returns.
    pub(super) message: String,
    /// The next authority as written. Not necessarily an address: then nothing can be signed by it.
    pub(super) address: String,
    /// Milliseconds since 1970, or nothing when the text is no date.
    pub(super) expires: Option<i64>,
}

impl Ephemeral {
    /// Reads a payload; the labels are skipped by their length and may say anything. Nothing if a line is missing.
    pub(super) fn parse(payload: &str) -> Option<Self> {
        let message = payload.replace('\r', "");
        let mut lines = message.split('\n').skip(1);
        let address = skip_utf16(lines.next()?, "Ephemeral address: ".len())?.to_owned();
        let expires = javascript_date::parse(skip_utf16(lines.next()?, "Expiration: ".len())?);
        Some(Self { message, address, expires })
    }
}

/// The text after `units` UTF-16 code units, empty if there are no more. Nothing if that cuts a character in two.
fn skip_utf16(text: &str, units: usize) -> Option<&str> {
    let mut skipped = 0;
    let mut rest = text.chars();
    while skipped < units {
        match rest.next() {
            Some(c) => skipped += c.len_utf16(),
            None => return Some(""),
        }
    }
    (skipped == units).then_some(rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_by_position() {
        let read = Ephemeral::parse("any text\r\n123456789012345678 0xAb\r\nabcdefghijk 2099\r\nmore\r").unwrap();
        assert_eq!(read.message, "any text\n123456789012345678 0xAb\nabcdefghijk 2099\nmore");
        assert_eq!(read.address, "0xAb");
        assert_eq!(read.expires, Some(4_070_908_800_000));
    }

    #[test]
    fn short_lines_are_empty_and_missing_lines_are_refused() {
        let read = Ephemeral::parse("\n\n").unwrap();
        assert_eq!((read.address.as_str(), read.expires), ("", None));
        assert!(Ephemeral::parse("\n").is_none());
        assert!(Ephemeral::parse("Decentraland Login").is_none());
    }

    #[test]
    fn labels_are_measured_in_utf16() {
        let read = Ephemeral::parse("\n😀😀😀😀😀😀😀😀😀 0x1\n😀😀😀😀😀 :2099").unwrap();
        assert_eq!((read.address.as_str(), read.expires), ("0x1", Some(4_070_908_800_000)));
        assert!(Ephemeral::parse("\n😀😀😀😀😀😀😀😀😀😀0x1\n").is_none());
    }
}
