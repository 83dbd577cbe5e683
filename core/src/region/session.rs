//! One login of a peer.

use super::Inner;
use crate::archipelago::{Position, PositionError};
use crate::room::SessionId;
use atoll_proto::Address;
use atoll_proto::archipelago::{self as wire, IslandChangedMessage};
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Island changes that may wait for a session before it counts as not reading.
const EVENT_CAPACITY: usize = 64;

/// What a session's client can use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Schemes of the connection strings it understands, best first.
    pub schemes: Vec<String>,
}

impl Capabilities {
    /// The scheme of the native transport: datagrams on the session's own connection.
    pub const QUIC: &'static str = "quic";

    /// Whether the client understands connection strings of this scheme.
    pub fn understands(&self, scheme: &str) -> bool {
        self.schemes.iter().any(|known| known == scheme)
    }
}

/// Something a session is told.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// Archipelago put the peer into an island. A grant for its room can be had until the next event of this kind.
    IslandChanged(IslandChangedMessage),
    /// The address logged in elsewhere; nothing follows.
    Kicked,
}

/// Why a heartbeat had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// It has no position.
    #[error("a heartbeat without a position")]
    NoPosition,
    /// NaN, infinite, or absurdly far away.
    #[error("a position that is no place: {0}")]
    InvalidPosition(#[from] PositionError),
}

/// One authenticated connection of a peer. Dropping it logs the peer out.
pub struct Session {
    region: Arc<Inner>,
    address: Address,
    id: SessionId,
    capabilities: Arc<Capabilities>,
    events: mpsc::Receiver<SessionEvent>,
}

impl Session {
    pub(super) fn open(region: &Arc<Inner>, address: Address, capabilities: Capabilities) -> Option<Self> {
        let (sender, events) = mpsc::channel(EVENT_CAPACITY);
        let capabilities = Arc::new(capabilities);
        let id = region.registry.open(address, Arc::clone(&capabilities), sender)?;
        Some(Self { region: Arc::clone(region), address, id, capabilities, events })
    }

    /// Who logged in.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Tells this login from others of the address.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// What the client said it can use.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Passes on where the peer stands, on `client-proto.peer.<address>.heartbeat`.
    ///
    /// # Errors
    /// [`HeartbeatError`]: the heartbeat had no effect.
    pub fn heartbeat(&self, heartbeat: &wire::Heartbeat) -> Result<(), HeartbeatError> {
        let position = heartbeat.position.as_ref().ok_or(HeartbeatError::NoPosition)?;
        Position::checked(position.x.into(), position.y.into(), position.z.into())?;
        let subject = format!("client-proto.peer.{}.heartbeat", self.address);
        self.region.publish(&subject, heartbeat.encode_to_vec().into());
        self.region.counters.heartbeats.add(1);
        Ok(())
    }

    /// The next event. `None` after [`SessionEvent::Kicked`], or when events were not read and had to be dropped.
    pub async fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.recv().await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A replaced session must not log out its successor.
        if self.region.registry.close(self.address, self.id) {
            self.region.publish(&format!("peer.{}.disconnect", self.address), bytes::Bytes::new());
        }
    }
}
