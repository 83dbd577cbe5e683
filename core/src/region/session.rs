//! One login of a peer.

use super::{Capabilities, Inner, Topics};
use crate::archipelago::{Position, PositionError};
use crate::limit::{Bucket, Spot};
use crate::room::SessionId;
use atoll_proto::Address;
use atoll_proto::archipelago::{self as wire, IslandChangedMessage};
use bytes::Bytes;
use prost::Message as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Island changes that may wait for a session before it counts as not reading.
const EVENT_CAPACITY: usize = 64;

/// Heartbeats taken in a second: many times what clients send.
const HEARTBEATS: u32 = 10;

/// Heartbeats taken at once after a pause: those of a connection that stood still for some seconds come together.
const HEARTBEATS_AT_ONCE: u32 = 60;

/// A session that tells where it stands and hears of no island for so long announces itself again: what archipelago was
/// told of it may have been lost on the bus.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(10);

/// Longest name of a desired room, in bytes. Island ids are a fraction of it.
const MAX_DESIRED_ROOM: usize = 64;

/// Something a session is told.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// Archipelago put the peer into an island. A grant for its room can be had until the next event of this kind.
    IslandChanged(IslandChangedMessage),
    /// The address logged in elsewhere; nothing follows.
    Kicked,
    /// The region is full, and another session has the spot of this one: it is to be dropped. Nothing follows.
    Evicted,
}

/// Why a heartbeat had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// NaN, infinite, or absurdly far away.
    #[error("a position that is no place: {0}")]
    InvalidPosition(#[from] PositionError),
    /// Its desired room has a name longer than any island's.
    #[error("a desired room with a name of more than {MAX_DESIRED_ROOM} bytes")]
    DesiredRoomTooLong,
    /// More than ten a second for some time, or than sixty at once.
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
    spot: Arc<Spot>,
    /// Its last event was told.
    is_over: bool,
    heartbeats: Bucket,
    /// The last heartbeat taken, as it was published.
    last_heartbeat: Option<Bytes>,
    announced: Duration,
}

impl Session {
    pub(super) fn open(
        region: &Arc<Inner>,
        address: Address,
        from: IpAddr,
        capabilities: Capabilities,
    ) -> Option<Self> {
        let (sender, events) = mpsc::channel(EVENT_CAPACITY);
        let kicked = Arc::new(AtomicBool::new(false));
        let (id, spot) = region.registry.open(address, from, capabilities, sender, Arc::clone(&kicked))?;
        let region = Arc::clone(region);
        let mut session = Self {
            region,
            address,
            id,
            events,
            kicked,
            spot,
            is_over: false,
            heartbeats: Bucket::new(HEARTBEATS, HEARTBEATS_AT_ONCE),
            last_heartbeat: None,
            announced: Duration::ZERO,
        };
        session.announce();
        Some(session)
    }

    /// Who logged in.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The session's way to the topics.
    pub fn topics(&self) -> Topics {
        Topics::new(Arc::clone(&self.region), self.address)
    }

    /// Tells this login from others of the address.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Passes on where the peer stands, and which island it would like to be in, on
    /// `client-proto.peer.<address>.heartbeat`.
    ///
    /// # Errors
    /// [`HeartbeatError`]: the heartbeat had no effect.
    pub fn heartbeat(&mut self, position: Position, desired_room: Option<&str>) -> Result<(), HeartbeatError> {
        let Position { x, y, z } = Position::checked(position.x, position.y, position.z)?;
        if desired_room.is_some_and(|room| room.len() > MAX_DESIRED_ROOM) {
            return Err(HeartbeatError::DesiredRoomTooLong);
        }
        let now = self.region.host.monotonic();
        self.heartbeats.take(now, 1).map_err(|_| HeartbeatError::TooOften)?;
        let position = wire::Position { x: x as f32, y: y as f32, z: z as f32 };
        let heartbeat = wire::Heartbeat { position: Some(position), desired_room: desired_room.map(str::to_owned) };
        self.last_heartbeat = Some(heartbeat.encode_to_vec().into());
        self.region.counters.heartbeats.add(1);
        self.repeat_heartbeat();
        Ok(())
    }

    /// Passes on once more what the last heartbeat said, for a client that cannot speak for itself for the moment. Nothing
    /// happens before the first.
    pub fn repeat_heartbeat(&mut self) {
        let Some(heartbeat) = self.last_heartbeat.clone() else { return };
        let now = self.region.host.monotonic();
        if now > self.announced + ANNOUNCE_AGAIN && self.region.registry.island(self.address, self.id).is_none() {
            self.announce();
        }
        self.region.publish(&format!("client-proto.peer.{}.heartbeat", self.address), heartbeat);
    }

    fn announce(&mut self) {
        self.announced = self.region.host.monotonic();
        self.region.announce(self.address);
    }

    /// Says whether its client is away, as that of a parked session is. From a full region the idle go first.
    pub fn set_idle(&self, is_idle: bool) {
        self.spot.set_idle(is_idle);
    }

    /// The next event. `None` after [`SessionEvent::Kicked`] and [`SessionEvent::Evicted`], or when events were not read
    /// and had to be dropped. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<SessionEvent> {
        if self.is_over {
            return None;
        }
        let is_evicted = tokio::select! {
            biased;
            () = self.spot.evicted() => true,
            event = self.events.recv() => match event {
                Some(event) => return Some(event),
                None => false,
            }
        };
        self.is_over = true;
        // Who was evicted may come again, and who was kicked should not: of both, this has to be told.
        if self.kicked.load(Ordering::Relaxed) {
            return Some(SessionEvent::Kicked);
        }
        is_evicted.then_some(SessionEvent::Evicted)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let gone = || self.region.publish(&format!("peer.{}.disconnect", self.address), Bytes::new());
        // A replaced session must not log out its successor.
        self.region.registry.close(self.address, self.id, gone);
    }
}
