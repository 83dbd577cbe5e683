//! One login of a peer.

use super::Inner;
use crate::archipelago::{Position, PositionError};
use crate::room::SessionId;
use atoll_proto::Address;
use atoll_proto::archipelago::{self as wire, IslandChangedMessage};
use bytes::Bytes;
use prost::Message as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Island changes that may wait for a session before it counts as not reading.
const EVENT_CAPACITY: usize = 64;

/// Heartbeats that may come at once, after a pause.
const HEARTBEAT_BURST: Duration = Duration::from_secs(1);

/// Time that each heartbeat uses up of [`HEARTBEAT_BURST`]: ten a second are taken, many times what clients send.
const HEARTBEAT_COST: Duration = Duration::from_millis(100);

/// A session that tells where it stands and hears of no island for so long announces itself again: what archipelago was
/// told of it may have been lost on the bus.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(10);

/// Longest name of a desired room, in bytes. Island ids are a fraction of it.
const MAX_DESIRED_ROOM: usize = 64;

/// What a session's client can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Datagrams on the session's own connection: connection strings `quic:…`.
    pub quic: bool,
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
    /// Its desired room has a name longer than any island's.
    #[error("a desired room with a name of more than {MAX_DESIRED_ROOM} bytes")]
    DesiredRoomTooLong,
    /// More than ten a second.
    #[error("more than ten heartbeats a second")]
    TooOften,
}

/// One authenticated connection of a peer. Dropping it logs the peer out.
pub struct Session {
    region: Arc<Inner>,
    address: Address,
    id: SessionId,
    events: mpsc::Receiver<SessionEvent>,
    kicked: Arc<AtomicBool>,
    /// When the heartbeats taken so far will have been paid for.
    heartbeats_paid: Duration,
    announced: Duration,
}

impl Session {
    pub(super) fn open(region: &Arc<Inner>, address: Address, capabilities: Capabilities) -> Option<Self> {
        let (sender, events) = mpsc::channel(EVENT_CAPACITY);
        let kicked = Arc::new(AtomicBool::new(false));
        let id = region.registry.open(address, capabilities, sender, Arc::clone(&kicked))?;
        let region = Arc::clone(region);
        let mut session =
            Self { region, address, id, events, kicked, heartbeats_paid: Duration::ZERO, announced: Duration::ZERO };
        session.announce();
        Some(session)
    }

    /// Who logged in.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Tells this login from others of the address.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Passes on where the peer stands, on `client-proto.peer.<address>.heartbeat`.
    ///
    /// # Errors
    /// [`HeartbeatError`]: the heartbeat had no effect.
    pub fn heartbeat(&mut self, heartbeat: &wire::Heartbeat) -> Result<(), HeartbeatError> {
        let position = heartbeat.position.as_ref().ok_or(HeartbeatError::NoPosition)?;
        Position::checked(position.x.into(), position.y.into(), position.z.into())?;
        if heartbeat.desired_room.as_ref().is_some_and(|room| room.len() > MAX_DESIRED_ROOM) {
            return Err(HeartbeatError::DesiredRoomTooLong);
        }
        let now = self.region.host.monotonic();
        let paid = self.heartbeats_paid.max(now) + HEARTBEAT_COST;
        if paid > now + HEARTBEAT_BURST {
            return Err(HeartbeatError::TooOften);
        }
        self.heartbeats_paid = paid;
        if now > self.announced + ANNOUNCE_AGAIN && self.region.registry.island(self.address, self.id).is_none() {
            self.announce();
        }
        let subject = format!("client-proto.peer.{}.heartbeat", self.address);
        self.region.publish(&subject, heartbeat.encode_to_vec().into());
        self.region.counters.heartbeats.add(1);
        Ok(())
    }

    fn announce(&mut self) {
        self.announced = self.region.host.monotonic();
        self.region.publish(&format!("peer.{}.connect", self.address), Bytes::new());
    }

    /// The next event. `None` after [`SessionEvent::Kicked`], or when events were not read and had to be dropped.
    pub async fn next_event(&mut self) -> Option<SessionEvent> {
        if let Some(event) = self.events.recv().await {
            return Some(event);
        }
        self.kicked.swap(false, Ordering::Relaxed).then_some(SessionEvent::Kicked)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let gone = || self.region.publish(&format!("peer.{}.disconnect", self.address), Bytes::new());
        // A replaced session must not log out its successor.
        self.region.registry.close(self.address, self.id, gone);
    }
}
