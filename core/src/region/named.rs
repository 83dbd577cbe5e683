//! Rooms that are not islands, and who may enter them.

use atoll_proto::Address;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Longest name of a room, in bytes.
pub const MAX_ROOM_NAME: usize = 128;

/// Most addresses of one rule.
const MAX_ADDRESSES: usize = 256;

/// Which rooms there are beside the islands: the first rule whose pattern fits a name counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedRooms(pub Vec<RoomRule>);

/// Who may enter the rooms of one pattern. As text: the pattern, and `open`, `token`, or addresses; each after a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRule {
    /// A name in which each `*` stands for anything.
    pub pattern: RoomPattern,
    /// Who may enter.
    pub access: RoomAccess,
}

/// Names of rooms: `*` stands for any characters, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPattern(String);

/// Who may enter a room that is no island, beside those with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomAccess {
    /// Everybody who proves an address.
    Open,
    /// Nobody.
    Token,
    /// These.
    Only(BTreeSet<Address>),
}

/// A text that is no [`RoomRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomRuleError {
    /// It has no pattern, or one with characters that no room's name has.
    #[error("a room's name has 1 to {MAX_ROOM_NAME} visible characters without / ? # and %")]
    Pattern,
    /// What follows the pattern is none of the three.
    #[error("a pattern is followed by `open`, `token`, or 1 to {MAX_ADDRESSES} addresses")]
    Access,
}

impl NamedRooms {
    /// Who may enter the room of this name; `None` when there is no such room.
    pub fn access(&self, name: &str) -> Option<&RoomAccess> {
        let rule = self.0.iter().find(|rule| rule.pattern.fits(name))?;
        is_room_name(name).then_some(&rule.access)
    }
}

impl RoomAccess {
    /// Whether somebody may enter who only proves this address.
    pub fn admits(&self, address: Address) -> bool {
        match self {
            Self::Open => true,
            Self::Token => false,
            Self::Only(addresses) => addresses.contains(&address),
        }
    }
}

impl RoomPattern {
    /// Whether a name is one of its.
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

/// Whether a room may be called so: the name stands in URLs as it is, where some have a meaning of their own.
pub(super) fn is_room_name(name: &str) -> bool {
    if [".", "..", "status"].contains(&name) {
        return false;
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#%".contains(&byte);
    (1..=MAX_ROOM_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

impl FromStr for RoomRule {
    type Err = RoomRuleError;

    fn from_str(text: &str) -> Result<Self, RoomRuleError> {
        let mut words = text.split_ascii_whitespace();
        let pattern = words.next().filter(|pattern| is_room_name(pattern)).ok_or(RoomRuleError::Pattern)?;
        let rest: Vec<&str> = words.collect();
        let access = match rest.as_slice() {
            ["open"] => RoomAccess::Open,
            ["token"] => RoomAccess::Token,
            [] => return Err(RoomRuleError::Access),
            addresses if addresses.len() > MAX_ADDRESSES => return Err(RoomRuleError::Access),
            addresses => {
                let addresses: Result<_, _> = addresses.iter().map(|address| address.parse::<Address>()).collect();
                RoomAccess::Only(addresses.map_err(|_| RoomRuleError::Access)?)
            }
        };
        Ok(Self { pattern: RoomPattern(pattern.to_owned()), access })
    }
}

impl fmt::Display for RoomRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern.0)?;
        match &self.access {
            RoomAccess::Open => f.write_str(" open"),
            RoomAccess::Token => f.write_str(" token"),
            RoomAccess::Only(addresses) => addresses.iter().try_for_each(|address| write!(f, " {address}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
    const OTHER: &str = "0x1563915e194d8cfba1943570603f7606a3115508";

    #[test]
    fn a_pattern_fits_whole_names() {
        for (pattern, fitting, others) in [
            ("lobby", &["lobby"][..], &["lobby2", "a-lobby", "lobb", ""][..]),
            ("world-*", &["world-", "world-a", "world-a-b"], &["world", "a-world-a"]),
            ("*.eth", &[".eth", "a.eth", "a.eth.eth"], &["a.et", "a.eth2"]),
            ("a*b*c", &["abc", "a1b2c", "abbcc"], &["ab", "acb", "abca"]),
            ("ab*ba", &["abba", "abxba"], &["aba", "ab"]),
            ("*", &["x", "anything"], &[]),
        ] {
            let rule: RoomRule = format!("{pattern} open").parse().unwrap();
            assert!(fitting.iter().all(|name| rule.pattern.fits(name)), "{pattern}");
            assert!(!others.iter().any(|name| rule.pattern.fits(name)), "{pattern}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = ["vip-* token", &format!("vip-club {ONE}"), &format!("club {ONE} {OTHER}"), "* open"];
        let rooms = NamedRooms(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        let admits =
            |name: &str, address: &str| rooms.access(name).map(|access| access.admits(address.parse().unwrap()));
        assert_eq!(admits("vip-club", ONE), Some(false));
        assert_eq!(admits("club", OTHER), Some(true));
        assert_eq!(admits("club", "0x0000000000000000000000000000000000000001"), Some(false));
        assert_eq!(admits("elsewhere", OTHER), Some(true));
        for none in ["", "a/b", "a b", "\u{e4}", "a%20", &"x".repeat(MAX_ROOM_NAME + 1)] {
            assert_eq!(admits(none, ONE), None, "{none}");
        }
        assert_eq!(NamedRooms::default().access("lobby"), None);
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in ["world-* open", "x token", &format!("club {OTHER} {ONE}")] {
            assert_eq!(text.parse::<RoomRule>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("", RoomRuleError::Pattern),
            ("a/b open", RoomRuleError::Pattern),
            ("lobby", RoomRuleError::Access),
            ("lobby closed", RoomRuleError::Access),
            ("lobby open token", RoomRuleError::Access),
            ("lobby 0x1", RoomRuleError::Access),
        ] {
            assert_eq!(text.parse::<RoomRule>(), Err(error), "{text}");
        }
        let many = format!("lobby{}", format!(" {ONE}").repeat(MAX_ADDRESSES + 1));
        assert_eq!(many.parse::<RoomRule>(), Err(RoomRuleError::Access));
    }
}
