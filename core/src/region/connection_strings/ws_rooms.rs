//! The way into WebSocket rooms.

use super::super::{Capabilities, Transport};
use super::{DefaultTransport, TransportStrings};
use crate::auth::RoomKeys;
use crate::room::SessionId;
use atoll_proto::Address;

/// `ws-room:<url>/rooms/<room>?access_token=<token>`, and `/ws-rooms/` for the first generation.
#[derive(Debug, Clone)]
pub struct WsRooms {
    /// Where clients reach them: `wss://` or `ws://`, a host, and perhaps a port and a path, without a slash at the end.
    pub url: String,
    /// The same for clients of other programs' sessions, which may be sent to other rooms; to none when `None`.
    pub foreign_url: Option<String>,
    /// Signs tokens.
    pub keys: RoomKeys,
}

impl WsRooms {
    fn with_token(&self, url: String, address: Address, session: Option<SessionId>, now: u64) -> Option<String> {
        let token = self.keys.mint(&url, address, session, now).ok()?;
        Some(format!("ws-room:{url}?access_token={token}"))
    }
}

impl TransportStrings for WsRooms {
    fn transport(&self) -> DefaultTransport {
        DefaultTransport::Ws
    }

    fn write(
        &self,
        room: &str,
        address: Address,
        session: SessionId,
        client: Capabilities,
        now: u64,
    ) -> Option<String> {
        let path = match (client.includes(Transport::WsRoom), client.includes(Transport::FirstWsRoom)) {
            (true, _) => "rooms",
            (false, true) => "ws-rooms",
            (false, false) => return None,
        };
        self.with_token(format!("{}/{path}/{room}", self.url), address, Some(session), now)
    }

    fn write_for_foreign(&self, room: &str, address: Address, now: u64) -> Option<String> {
        let url = format!("{}/rooms/{room}", self.foreign_url.as_ref()?);
        self.with_token(url, address, None, now)
    }
}
