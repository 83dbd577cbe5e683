//! A session as the region knows it: its heartbeats, its island, and its seats. Whether it has a connection is told by who
//! calls.

use super::carrier::Carrier;
use super::control::ControlWriter;
use super::door::Door;
use super::ending::Ending;
use super::link::{Hush, Lost, NativeLink, Ways};
use super::members::{self, Place};
use super::room_string::RoomString;
use super::seats::{Found, Seats};
use atoll_core::Address;
use atoll_core::archipelago::Position;
use atoll_core::limit::Bucket;
use atoll_core::region::{Grant, HeartbeatError, JoinFailed, Region, Right, SendFailed, Session, SessionEvent};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage};
use atoll_proto::atoll::ErrorCode;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::Tag;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any session.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a client may be silent where another service on the bus is the archipelago.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest time between two heartbeats of a parked session.
const REPEAT: Duration = Duration::from_secs(10);

/// Rooms that a client may ask for in a second.
const JOINS: u32 = 2;

/// Rooms that it may ask for at once.
const JOINS_AT_ONCE: u32 = 16;

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
    /// The room that its client has joined; it sits there and not in that of its island.
    joined: Option<Joined>,
    joins: Bucket,
    /// When the client last said where it stands.
    heard: Instant,
    /// When to look whether it could be heard at all.
    doubt: Instant,
    patience: Duration,
}

/// A room that is no island.
#[derive(Clone)]
struct Joined {
    grant: Grant,
    lost: Lost,
}

impl Member {
    pub(super) fn new(session: Session, door: &Door, ways: Ways) -> Self {
        let region = door.region().clone();
        let archipelago = region.settings().archipelago.as_ref();
        let patience = archipelago.map_or(SILENCE, |archipelago| archipelago.peer_timeout);
        let heard = Instant::now();
        let doubt = heard + doubt_after(patience);
        let joins = Bucket::new(JOINS, JOINS_AT_ONCE);
        let seats = Seats::default();
        Self { region, session, ways, seats, island: None, joined: None, joins, heard, doubt, patience }
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
                    // Where its client will go back to.
                    Some(island) if self.joined.is_some() => self.island = Some(island),
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

    /// Sits down once more where it sat, now with a new way to the client.
    pub(super) async fn sit_again(&mut self, way: &Way) -> Result<(), Ending> {
        match (self.joined.clone(), self.island.take()) {
            (Some(joined), island) => {
                self.island = island;
                // Whoever has the seat now would be kicked, and kick in turn.
                if !joined.lost.is_set() && !self.sit_in(joined, way).await? {
                    self.seats.stand_up();
                }
                Ok(())
            }
            (None, Some(island)) => self.move_to(island, Some(way)).await,
            (None, None) => Ok(()),
        }
    }

    /// Takes a seat in the room that a connection string names; goes back to the island for an empty one. What is refused
    /// changes nothing.
    pub(super) async fn join_room(&mut self, connection_string: &str, way: &Way) -> Result<(), Ending> {
        if self.joins.take(self.region.now(), 1).is_err() {
            self.ways.refusals.add(ErrorCode::TooFast);
            return Ok(());
        }
        if connection_string.is_empty() {
            return self.go_back(way).await;
        }
        let Some(RoomString { room, token }) = RoomString::parse(connection_string) else {
            self.ways.refusals.add(ErrorCode::InvalidConnectionString);
            return Ok(());
        };
        let right = match token {
            Some(token) => Right::SessionWithToken(&self.session, token),
            None => Right::Session(&self.session),
        };
        let grant = match self.region.grant_in(room, right).await {
            Ok(grant) => grant,
            Err(error) => {
                tracing::debug!(address = %self.address(), "a room was refused: {error}");
                self.ways.refusals.add(ErrorCode::RoomRefused);
                return Ok(());
            }
        };
        if grant.is_of_island() {
            return self.go_back(way).await;
        }
        match self.sit_in(Joined { grant, lost: Lost::default() }, way).await? {
            true => Ok(()),
            // Its link was told to be silent for a seat that is not to be had.
            false => self.sit_again(way).await,
        }
    }

    async fn go_back(&mut self, way: &Way) -> Result<(), Ending> {
        self.heard();
        if self.joined.take().is_some() && self.island.is_none() {
            self.seats.stand_up();
        }
        self.sit_again(way).await
    }

    /// Takes the seat in a room that is no island, if there is one; the former seat is kept for a while.
    async fn sit_in(&mut self, joined: Joined, way: &Way) -> Result<bool, Ending> {
        self.seats.hush();
        let (hush, place) = (Hush::default(), Place::Room(joined.grant.room().as_str().to_owned()));
        let link = NativeLink::new(self.ways.clone(), Some(way.clone()), hush.clone(), place);
        match self.region.join(joined.grant.clone(), Box::new(link.joined(joined.lost.clone()))).await {
            Ok(seat) => {
                self.seats.take(seat, hush);
                self.joined = Some(joined);
                Ok(true)
            }
            Err(JoinFailed::Full) => {
                self.ways.refusals.add(ErrorCode::RoomFull);
                Ok(false)
            }
            // The session has ended, and its next event says so.
            Err(JoinFailed::Stale) => Ok(true),
            Err(JoinFailed::Ending) => Err(Ending::shutting_down()),
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
        let link = NativeLink::new(self.ways.clone(), way.cloned(), hush.clone(), Place::Island(island));
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

    /// When the client has been silent for too long. In a room that it joined it need not say where it stands.
    pub(super) fn silent_at(&self) -> Instant {
        self.heard + if self.joined.is_some() { FOR_EVER } else { self.patience }
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
