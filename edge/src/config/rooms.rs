//! `rooms.*`, `transport.*` and `ws_room.*`.

use super::{HttpUrl, Secret};
use atoll_core::auth::RoomKeys;
use atoll_core::region::{DefaultTransport, NamedRooms};

/// Rooms and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rooms {
    /// `rooms.rules`: the rooms beside those of islands.
    pub named: NamedRooms,
    /// `transport.default`: the transport that kernels are sent to, if they can use it.
    pub transport: DefaultTransport,
    /// `ws_room.secret`: signs tokens for WebSocket rooms; made at the first start when `None`.
    pub secret: Option<Secret>,
    /// `ws_room.former_secret`: what it was before; its tokens are still taken.
    pub former_secret: Option<Secret>,
    /// `ws_room.url`: where sessions of other programs are sent to.
    pub url: Option<HttpUrl>,
}

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
        let refused = with(&[("ATOLL_WS_ROOM__SECRET", "too short, yes")]).unwrap_err().to_string();
        assert!(refused.contains("ws_room.secret = … is refused") && !refused.contains("too short"), "{refused}");
    }
}
