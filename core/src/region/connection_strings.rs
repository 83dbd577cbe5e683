//! How a client is told where its island's packets flow.

pub use crate::archipelago::service::OFFLINE;

use super::{Capabilities, Transport};
use crate::Host;
use crate::auth::RoomKeys;
use crate::room::SessionId;
use atoll_proto::Address;
use std::fmt::{self, Debug};
use std::str::FromStr;
use std::sync::Arc;

/// Writes the connection strings of island changes that come from Atoll's own archipelago service. The edge that holds the
/// sessions knows its doors, so it decides.
pub trait ConnectionStrings: Debug + Send + Sync + 'static {
    /// Where this session of `address` finds the room of `island`; [`OFFLINE`] when there is no way that its client can use.
    fn write(&self, island: &str, address: Address, session: SessionId, client: Capabilities) -> String;

    /// Where `address`, whose session another program holds, finds the room of `island`. That program passes the string on.
    fn write_for_foreign(&self, _island: &str, _address: Address) -> String {
        OFFLINE.to_owned()
    }

    /// Whether such a client is told of its islands at all. Who was sent to a room of its own would leave it for them.
    fn tells_of_islands(&self, _client: Capabilities) -> bool {
        true
    }
}

/// `quic:<island>` for clients that have datagrams on their session's connection, [`OFFLINE`] for others.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeOnly;

impl ConnectionStrings for NativeOnly {
    fn write(&self, island: &str, _: Address, _: SessionId, client: Capabilities) -> String {
        if client.includes(Transport::Quic) { format!("quic:{island}") } else { OFFLINE.to_owned() }
    }
}

/// The transport that an island gets by default, for those who can use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultTransport {
    /// WebSocket rooms.
    #[default]
    Ws,
}

/// A text that names no transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a transport is ws")]
pub struct DefaultTransportError;

impl FromStr for DefaultTransport {
    type Err = DefaultTransportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::Ws.to_string() { Ok(Self::Ws) } else { Err(DefaultTransportError) }
    }
}

impl fmt::Display for DefaultTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ws => "ws",
        })
    }
}

/// Strings for everybody: `quic:<island>` for native clients; for others the default transport if they can use it, else the
/// first that they can.
pub struct ByCapabilities {
    /// Tried first.
    pub default: DefaultTransport,
    /// Where clients reach WebSocket rooms: `wss://` or `ws://`, a host, and perhaps a port and a path, without a slash
    /// at the end.
    pub ws_url: String,
    /// The same for clients of other programs' sessions, which may be sent to other rooms; to none when `None`.
    pub foreign_ws_url: Option<String>,
    /// Signs tokens for WebSocket rooms.
    pub keys: RoomKeys,
    /// Whose time stands in tokens.
    pub host: Arc<dyn Host>,
}

impl ByCapabilities {
    /// `ws-room:<url>?access_token=<token>`, with a token for this session.
    fn ws_room(&self, room: &str, address: Address, session: SessionId, client: Capabilities) -> Option<String> {
        let path = match (client.includes(Transport::WsRoom), client.includes(Transport::FirstWsRoom)) {
            (true, _) => "rooms",
            (false, true) => "ws-rooms",
            (false, false) => return None,
        };
        self.with_token(format!("{}/{path}/{room}", self.ws_url), address, Some(session))
    }

    fn with_token(&self, url: String, address: Address, session: Option<SessionId>) -> Option<String> {
        let token = self.keys.mint(&url, address, session, self.host.unix_millis() / 1000).ok()?;
        Some(format!("ws-room:{url}?access_token={token}"))
    }
}

impl ConnectionStrings for ByCapabilities {
    fn write(&self, island: &str, address: Address, session: SessionId, client: Capabilities) -> String {
        if client.includes(Transport::Quic) {
            return format!("quic:{island}");
        }
        let by_default = match self.default {
            DefaultTransport::Ws => self.ws_room(island, address, session, client),
        };
        by_default.unwrap_or_else(|| OFFLINE.to_owned())
    }

    /// What such a client can use is not known: it gets what kernels have understood since October 2022.
    fn write_for_foreign(&self, island: &str, address: Address) -> String {
        let url = self.foreign_ws_url.as_ref().map(|origin| format!("{origin}/rooms/{island}"));
        url.and_then(|url| self.with_token(url, address, None)).unwrap_or_else(|| OFFLINE.to_owned())
    }
}

impl Debug for ByCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ByCapabilities");
        shown.field("default", &self.default).field("ws_url", &self.ws_url);
        shown.field("foreign_ws_url", &self.foreign_ws_url).finish_non_exhaustive()
    }
}
