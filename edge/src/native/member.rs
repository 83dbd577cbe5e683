//! A session as the region knows it: its heartbeats, its island, and its seats. Whether it has a connection is told by who
//! calls.

use super::carrier::Carrier;
use super::control::ControlWriter;
use super::door::Door;
use super::ending::Ending;
use super::link::{Hush, NativeLink, Ways};
use super::members;
use super::seats::{Found, Seats};
use atoll_core::Address;
use atoll_core::archipelago::Position;
use atoll_core::region::{HeartbeatError, JoinFailed, Region, SendFailed, Session, SessionEvent};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage};
use atoll_proto::atoll::ErrorCode;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::Tag;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// How long a client may be silent where another service on the bus is the archipelago.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest time between two heartbeats of a parked session.
const REPEAT: Duration = Duration::from_secs(10);

/// A way to the client: what its links send on.
pub(super) type Way = (Carrier, ControlWriter);

/// What an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The session goes on.
    On,
    /// The address logged in elsewhere.
    Kicked,
}

/// A session and its seats.
pub(super) struct Member {
    region: Region,
    session: Session,
    ways: Ways,
    seats: Seats,
    /// The island it stands in. Its peers are only kept until a client has heard of them.
    island: Option<IslandChangedMessage>,
    /// When the client last said where it stands.
    heard: Instant,
    /// When to look whether it could be heard at all.
    doubt: Instant,
    patience: Duration,
}

impl Member {
    pub(super) fn new(session: Session, door: &Door, ways: Ways) -> Self {
        let region = door.region().clone();
        let archipelago = region.settings().archipelago.as_ref();
        let patience = archipelago.map_or(SILENCE, |archipelago| archipelago.peer_timeout);
        let heard = Instant::now();
        let doubt = heard + doubt_after(patience);
        Self { region, session, ways, seats: Seats::default(), island: None, heard, doubt, patience }
    }

    pub(super) fn address(&self) -> Address {
        self.session.address()
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Says whether it has to do without a connection: from a full region such sessions go first.
    pub(super) fn set_idle(&self, is_idle: bool) {
        self.session.set_idle(is_idle);
    }

    /// The next news of the region. Cancel-safe.
    pub(super) async fn next_event(&mut self) -> Option<SessionEvent> {
        self.session.next_event().await
    }

    /// Does what an event asks for. Without a way to the client, what it must not miss is collected for it.
    pub(super) async fn follow(&mut self, event: Option<SessionEvent>, way: Option<&Way>) -> Result<Step, Ending> {
        match event {
            Some(SessionEvent::IslandChanged(island)) => {
                match members::checked(island) {
                    Some(island) => self.move_to(island, way).await?,
                    None => tracing::warn!(address = %self.address(), "an island with an absurdly long name"),
                }
                Ok(Step::On)
            }
            Some(SessionEvent::Kicked) => Ok(Step::Kicked),
            Some(SessionEvent::Evicted) => {
                Err(Ending::new(CloseCode::Overloaded, "the region is full, and most of its sessions come from here"))
            }
            None => Err(Ending::new(CloseCode::TooSlow, "island changes were not taken up")),
        }
    }

    /// Sits down once more in the room of its island, now with a new way to the client.
    pub(super) async fn sit_again(&mut self, way: &Way) -> Result<(), Ending> {
        match self.island.take() {
            Some(island) => self.move_to(island, Some(way)).await,
            None => Ok(()),
        }
    }

    /// Takes the seat in the island's room; the former one is kept for a while.
    async fn move_to(&mut self, island: IslandChangedMessage, way: Option<&Way>) -> Result<(), Ending> {
        let grant = self.region.grant(&self.session);
        // A later change is already in the queue and will be followed instead.
        let Some(grant) = grant.filter(|grant| grant.room().as_str() == island.island_id) else { return Ok(()) };
        let mut kept = island.clone();
        if way.is_some() {
            kept.peers = Vec::new();
            kept.from_island_id = None;
        }
        self.island = Some(kept);
        // The client must not hear of the former room's members after those of this one.
        self.seats.hush();
        let hush = Hush::default();
        let link = NativeLink::new(self.ways.clone(), way.cloned(), hush.clone(), island);
        match self.region.join(grant, Box::new(link)).await {
            Ok(seat) => self.seats.take(seat, hush),
            Err(JoinFailed::Stale) => {}
            Err(JoinFailed::Full) => {
                self.seats.stand_up();
                self.ways.refusals.add(ErrorCode::RoomFull);
            }
            Err(JoinFailed::Ending) => return Err(Ending::shutting_down()),
        }
        Ok(())
    }

    /// Passes on where the client says it stands.
    pub(super) fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let place = heartbeat.position.as_ref().map(|at| Position { x: at.x.into(), y: at.y.into(), z: at.z.into() });
        let Some(place) = place else { return self.ways.refusals.add(ErrorCode::InvalidPosition) };
        let refused = match self.session.heartbeat(place, heartbeat.desired_room.as_deref()) {
            Ok(()) => return self.heard(),
            Err(HeartbeatError::InvalidPosition(_)) => ErrorCode::InvalidPosition,
            Err(HeartbeatError::DesiredRoomTooLong) => ErrorCode::InvalidRoom,
            Err(HeartbeatError::TooOften) => ErrorCode::TooFast,
        };
        self.ways.refusals.add(refused);
    }

    /// Says again where the client stood last, and how soon to do so once more.
    pub(super) fn repeat_heartbeat(&mut self) -> Duration {
        self.session.repeat_heartbeat();
        doubt_after(self.patience)
    }

    /// The client is there.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        self.doubt = self.heard + doubt_after(self.patience);
    }

    /// Until then nobody listened to the client: its silence before is none.
    pub(super) fn excuse(&mut self, until: Option<Instant>) {
        let now = Instant::now();
        if now < self.doubt.min(self.silent_at()) {
            return;
        }
        self.doubt = now + doubt_after(self.patience);
        if let Some(until) = until.filter(|until| *until > self.heard) {
            self.heard = until;
            self.session.repeat_heartbeat();
        }
    }

    /// When [`Member::excuse`] is to be called at the latest.
    pub(super) fn doubt_at(&self) -> Instant {
        self.doubt
    }

    /// When the client has been silent for too long.
    pub(super) fn silent_at(&self) -> Instant {
        self.heard + self.patience
    }

    /// Gives up seats that were kept long enough.
    pub(super) fn expire_seats(&mut self) {
        self.seats.expire();
    }

    /// Passes on an ordered or large message.
    pub(super) async fn send_ordered(&self, tag: Tag, payload: Bytes) -> Result<(), Ending> {
        let seat = match self.seats.find(tag) {
            Found::Current(seat) | Found::Left(seat) => seat,
            Found::None => {
                let never = !self.seats.ever_seated();
                self.ways.refusals.add(if never { ErrorCode::NoSeat } else { ErrorCode::LeftRoom });
                return Ok(());
            }
        };
        match seat.send_ordered(payload).await {
            Ok(()) => Ok(()),
            Err(SendFailed::Ending) => Err(Ending::shutting_down()),
            Err(SendFailed::TooLarge(_)) => {
                self.ways.refusals.add(ErrorCode::PayloadTooLarge);
                Ok(())
            }
        }
    }
}

/// How long nothing may be heard before a heartbeat is repeated for a client that cannot be heard.
fn doubt_after(patience: Duration) -> Duration {
    REPEAT.min(patience / 4)
}
