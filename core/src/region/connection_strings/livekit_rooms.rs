//! The way into rooms by LiveKit, served here or by another server.

use super::super::{Capabilities, GrantError, Region, Transport};
use super::{DefaultTransport, TransportStrings};
use crate::auth::LivekitKeys;
use crate::room::SessionId;
use atoll_proto::Address;

/// `livekit:<url>?access_token=<token>`, of which the token names the room.
#[derive(Debug, Clone)]
pub struct LivekitRooms {
    /// Where clients reach them: `wss://` or `ws://`, a host, and perhaps a port and a path, without a slash at the end.
    pub url: String,
    /// Whether `url` is another server's, to which sessions here mean nothing.
    pub is_outside: bool,
    /// Signs tokens.
    pub keys: LivekitKeys,
}

impl LivekitRooms {
    fn with_token(&self, room: &str, address: Address, session: Option<SessionId>, now: u64) -> Option<String> {
        let token = self.keys.mint(room, address, session, now).ok()?;
        Some(format!("livekit:{}?access_token={token}", self.url))
    }
}

impl TransportStrings for LivekitRooms {
    fn transport(&self) -> DefaultTransport {
        DefaultTransport::Livekit
    }

    fn write(
        &self,
        room: &str,
        address: Address,
        session: SessionId,
        client: Capabilities,
        now: u64,
    ) -> Option<String> {
        if !client.includes(Transport::Livekit) {
            return None;
        }
        let session = (!self.is_outside).then_some(session);
        self.with_token(room, address, session, now)
    }

    fn write_for_foreign(&self, room: &str, address: Address, now: u64) -> Option<String> {
        self.with_token(room, address, None, now)
    }
}

impl Region {
    /// A LiveKit token for the room of this name, for an address that a rule of [`Settings::rooms`](super::super::Settings::rooms)
    /// lets in, signed by `keys`.
    ///
    /// # Errors
    /// [`GrantError::NoSuchRoom`].
    pub fn mint_livekit(&self, room: &str, address: Address, keys: &LivekitKeys) -> Result<String, GrantError> {
        let access = self.settings().rooms.access(room);
        if !access.is_some_and(|access| access.admits(address)) {
            return Err(GrantError::NoSuchRoom);
        }
        let now = self.inner.host.unix_millis() / 1000;
        keys.mint(room, address, None, now).map_err(|_| GrantError::NoSuchRoom)
    }
}
