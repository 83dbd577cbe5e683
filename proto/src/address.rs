//! Ethereum addresses: who a peer is.

use std::fmt;
use std::str::FromStr;

/// A peer's identity: a 20-byte Ethereum address.
///
/// Written as lower-case `0x` and 40 hexadecimal digits, everywhere: in bus subjects, rooms and messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 20]);

/// A text that is not an Ethereum address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ethereum address (0x and 40 hexadecimal digits)")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `0x` or `0X` and 40 hexadecimal digits of any case; mixed-case checksums are not verified, as the
    /// original services do not.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).ok_or(AddressError)?.as_bytes();
        if digits.len() != 40 {
            return Err(AddressError);
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, AddressError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(AddressError),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_read_and_lower_case_written() {
        let lower = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
        for text in [lower, "0X19E7E376E7C213B7E7E7E46CC70A5DD086DAFF2A"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), lower);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("0x{}", "a".repeat(41));
        for text in
            ["", "0x", "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a", &long, "0x19e7e376e7c213b7e7e7e46cc70a5dd086daffg0"]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text:?}");
        }
    }
}
