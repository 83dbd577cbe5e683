//! How a client is told where its island's packets flow.

mod livekit_rooms;
mod ws_rooms;

pub use crate::archipelago::service::OFFLINE;
pub use livekit_rooms::LivekitRooms;
pub use ws_rooms::WsRooms;

use super::{Capabilities, Transport};
use crate::Host;
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
    /// LiveKit.
    Livekit,
}

/// A text that names no transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a transport is ws or livekit")]
pub struct DefaultTransportError;

impl FromStr for DefaultTransport {
    type Err = DefaultTransportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Ws, Self::Livekit].into_iter().find(|transport| transport.name() == text).ok_or(DefaultTransportError)
    }
}

impl DefaultTransport {
    const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Livekit => "livekit",
        }
    }
}

impl fmt::Display for DefaultTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes the connection strings of one transport. `now` is in seconds since 1970.
pub trait TransportStrings: Debug + Send + Sync + 'static {
    /// Which one it is.
    fn transport(&self) -> DefaultTransport;

    /// For this session of `address`; `None` when its client does not have the transport.
    fn write(&self, room: &str, address: Address, session: SessionId, client: Capabilities, now: u64)
    -> Option<String>;

    /// For `address`, whose session another program holds; `None` when such clients are not sent here. What they can use is
    /// not known: they are taken for kernels since October 2022.
    fn write_for_foreign(&self, room: &str, address: Address, now: u64) -> Option<String>;
}

/// Strings for everybody: `quic:<island>` for native clients; for others the default transport if they can use it, else the
/// first that they can.
pub struct ByCapabilities {
    /// Tried first.
    pub default: DefaultTransport,
    /// The transports that are served, in the order in which they are tried then.
    pub transports: Vec<Box<dyn TransportStrings>>,
    /// Whose time stands in tokens.
    pub host: Arc<dyn Host>,
}

impl ByCapabilities {
    fn first(&self, write: impl Fn(&dyn TransportStrings, u64) -> Option<String>) -> String {
        let now = self.host.unix_millis() / 1000;
        let of = |by_default: bool| {
            let is_one = move |transport: &&dyn TransportStrings| (transport.transport() == self.default) == by_default;
            self.transports.iter().map(AsRef::as_ref).filter(is_one)
        };
        let mut strings = of(true).chain(of(false)).filter_map(|transport| write(transport, now));
        strings.next().unwrap_or_else(|| OFFLINE.to_owned())
    }
}

impl ConnectionStrings for ByCapabilities {
    fn write(&self, island: &str, address: Address, session: SessionId, client: Capabilities) -> String {
        if client.includes(Transport::Quic) {
            return format!("quic:{island}");
        }
        self.first(|transport, now| transport.write(island, address, session, client, now))
    }

    fn write_for_foreign(&self, island: &str, address: Address) -> String {
        self.first(|transport, now| transport.write_for_foreign(island, address, now))
    }
}

impl Debug for ByCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ByCapabilities");
        shown.field("default", &self.default).field("transports", &self.transports).finish_non_exhaustive()
    }
}
