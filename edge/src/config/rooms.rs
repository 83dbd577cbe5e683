//! `rooms.*`, `transport.*` and `ws_room.*`.

use super::Key;
use super::keys::{list, quoted};
use atoll_core::auth::RoomKeys;
use atoll_core::region::{DefaultTransport, NamedRooms};
use std::fmt;
use std::str::FromStr;

/// Shortest secret, in bytes: half of what HS256 makes of it.
const SHORTEST: usize = 16;

/// Rooms and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rooms {
    /// `rooms.rules`: the rooms beside those of islands.
    pub named: NamedRooms,
    /// `transport.default`: the transport that kernels are sent to, if they can use it.
    pub transport: DefaultTransport,
    /// `ws_room.secret`: signs tokens for WebSocket rooms; made at the first start when `None`.
    pub secret: Option<RoomSecret>,
    /// `ws_room.former_secret`: what it was before; its tokens are still taken.
    pub former_secret: Option<RoomSecret>,
}

/// A secret that tokens for rooms are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomSecret(String);

/// A text that is too short to be a [`RoomSecret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret has at least {SHORTEST} bytes")]
pub struct RoomSecretError;

impl Rooms {
    /// The keys of rooms; `kept` is the secret when the operator has none.
    ///
    /// # Errors
    /// Those of `kept`.
    pub fn keys<E>(&self, kept: impl FnOnce() -> Result<[u8; 32], E>) -> Result<RoomKeys, E> {
        let former = self.former_secret.as_ref().map(|secret| secret.0.as_bytes());
        Ok(match &self.secret {
            Some(secret) => RoomKeys::new(secret.0.as_bytes(), former),
            None => RoomKeys::new(&kept()?, former),
        })
    }
}

impl FromStr for RoomSecret {
    type Err = RoomSecretError;

    fn from_str(text: &str) -> Result<Self, RoomSecretError> {
        if text.len() < SHORTEST {
            return Err(RoomSecretError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for RoomSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomSecret")
    }
}

/// The keys, section by section.
pub(super) const RULES: Key = Key {
    name: "rooms.rules",
    flag: None,
    placeholder: "RULE,...",
    help: "The rooms beside those of islands, and who may enter without a token; the first that fits a name counts; none when not set",
    rule: "a list of up to 64 rules: a name in which each `*` stands for anything, a space, and `open`, `token` or addresses with spaces between them",
    example: "[\"world-* open\", \"backstage token\"]",
    written: |config| list(&config.rooms.named.0),
    set: |config, value| value.list().map(|rules| config.rooms.named = NamedRooms(rules)),
};

pub(super) const TRANSPORT_DEFAULT: Key = Key {
    name: "transport.default",
    flag: None,
    placeholder: "NAME",
    help: "The transport that kernels are sent to for their island, if they can use it; else the first that they can",
    rule: "`ws`",
    example: "",
    written: |config| Some(quoted(config.rooms.transport)),
    set: |config, value| value.parse().map(|transport| config.rooms.transport = transport),
};

pub(super) const WS_ROOM_SECRET: Key = Key {
    name: "ws_room.secret",
    flag: None,
    placeholder: "TEXT",
    help: "Signs tokens for WebSocket rooms (HS256); made at the first start and kept in state_dir when not set",
    rule: "16 bytes or more",
    example: "\"a long text that nobody guesses\"",
    written: |config| config.rooms.secret.as_ref().map(|_| quoted("…")),
    set: |config, value| value.parse().map(|secret| config.rooms.secret = Some(secret)),
};

pub(super) const WS_ROOM_FORMER_SECRET: Key = Key {
    name: "ws_room.former_secret",
    flag: None,
    placeholder: "TEXT",
    help: "What ws_room.secret was before: tokens signed with it are still taken",
    rule: "16 bytes or more",
    example: "\"the text that it was before\"",
    written: |config| config.rooms.former_secret.as_ref().map(|_| quoted("…")),
    set: |config, value| value.parse().map(|secret| config.rooms.former_secret = Some(secret)),
};

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError, Sources};
    use super::*;
    use atoll_core::Address;

    fn with(variables: &[(&str, &str)]) -> Result<Rooms, ConfigError> {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Config::read(Sources { environment, ..Sources::default() }).map(|config| config.rooms)
    }

    #[test]
    fn rules_come_in_their_order() {
        let rooms = with(&[("ATOLL_ROOMS__RULES", "world-* open, backstage token")]).unwrap();
        let written: Vec<_> = rooms.named.0.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["world-* open", "backstage token"]);
        for wrong in ["world-*", "a/b open", "x closed", "x open,"] {
            assert!(with(&[("ATOLL_ROOMS__RULES", wrong)]).is_err(), "{wrong}");
        }
        assert_eq!(with(&[]).unwrap(), Rooms::default());
    }

    #[test]
    fn secrets_sign_and_stay_secret() {
        let (one, other) = ("the first of all secrets", "another of the secrets");
        let minted = |rooms: &Rooms, kept: u8| {
            let keys = rooms.keys(|| Ok::<_, ()>([kept; 32])).unwrap();
            (keys.mint("ws://a/rooms/x", Address([1; 20]), None, 0).unwrap(), keys)
        };
        let before = with(&[("ATOLL_WS_ROOM__SECRET", one)]).unwrap();
        let after = [("ATOLL_WS_ROOM__SECRET", other), ("ATOLL_WS_ROOM__FORMER_SECRET", one)];
        let after = with(&after).unwrap();
        let ((old, old_keys), (new, new_keys)) = (minted(&before, 0), minted(&after, 0));
        assert!(new_keys.verify(&old, "x", 0).is_ok() && new_keys.verify(&new, "x", 0).is_ok());
        assert!(old_keys.verify(&new, "x", 0).is_err());
        let (kept, _) = minted(&Rooms::default(), 1);
        assert!(minted(&Rooms::default(), 1).1.verify(&kept, "x", 0).is_ok());
        assert!(minted(&Rooms::default(), 2).1.verify(&kept, "x", 0).is_err());
        assert!(Rooms::default().keys(|| Err("no disk")).is_err());
        assert!(!format!("{after:?}").contains("secrets"));
    }
}
