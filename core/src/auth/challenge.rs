//! The text a client has to sign to log in.

use std::fmt;
use std::str::FromStr;

/// The name by which clients know a server: 1 to 32 of `a` to `z`, `0` to `9` and `-`.
///
/// It is a part of every [`Challenge`], so that a signature for one server is worth nothing at another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerName(String);

/// A text that is not a [`ServerName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerNameError {
    /// The text is empty or longer than 32 characters.
    #[error("a server name has 1 to 32 characters")]
    Length,
    /// A character other than `a` to `z`, `0` to `9` and `-`. A colon above all: clients refuse to sign a challenge
    /// that holds one.
    #[error("a server name consists of a-z, 0-9 and -, not {0:?}")]
    Character(char),
}

impl ServerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(other) = text.chars().find(|c| !is_allowed(*c)) {
            return Err(ServerNameError::Character(other));
        }
        if text.is_empty() || text.len() > 32 {
            return Err(ServerNameError::Length);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text to sign: `dcl-<server name>-<32 lower-case hexadecimal digits>`.
///
/// Existing clients sign nothing else than `dcl-` and characters other than a colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Challenge(String);

impl Challenge {
    /// The challenge of `server` with 16 fresh random bytes. It has to be used once, for one connection.
    pub fn new(server: &ServerName, random: [u8; 16]) -> Self {
        Self(format!("dcl-{server}-{:032x}", u128::from_be_bytes(random)))
    }

    /// A challenge in the shape of the original BFF, `dcl-0.` and 25 digits of base 36, with 16 fresh random bytes.
    pub fn kernel(random: [u8; 16]) -> Self {
        let mut rest = u128::from_be_bytes(random);
        let digits = (0..25).map(|_| {
            let digit = (rest % 36) as u32;
            rest /= 36;
            char::from_digit(digit, 36).unwrap_or('0')
        });
        Self(format!("dcl-0.{}", digits.collect::<String>()))
    }

    /// The challenge as text, as it goes to the client and as the final authority of its auth chain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_holds_the_server_name_and_every_random_byte() {
        let server: ServerName = "eu-1".parse().unwrap();
        let random = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff];
        let challenge = Challenge::new(&server, random);
        assert_eq!(challenge.as_str(), "dcl-eu-1-000102030405060708090a0b0c0d0eff");
        assert_eq!(challenge.to_string(), challenge.as_str());
        assert_ne!(challenge, Challenge::new(&server, [0; 16]));
    }

    #[test]
    fn server_names_are_short_and_plain() {
        for text in ["a", "eu-1", "0", &"z".repeat(32)] {
            assert_eq!(text.parse::<ServerName>().unwrap().as_str(), text);
        }
        assert_eq!("".parse::<ServerName>(), Err(ServerNameError::Length));
        assert_eq!("z".repeat(33).parse::<ServerName>(), Err(ServerNameError::Length));
        for (text, character) in [("eu:1", ':'), ("EU", 'E'), ("e u", ' '), ("é", 'é'), ("a.b", '.')] {
            assert_eq!(text.parse::<ServerName>(), Err(ServerNameError::Character(character)));
        }
    }
}
