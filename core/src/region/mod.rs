//! The region: the only thing a door talks to.
//!
//! A door turns a client's bytes into these calls, in this order: [`Region::challenge`], [`Region::login`], then for as
//! long as the [`Session`] lives [`Session::heartbeat`] and [`Session::next_event`]; for each island it is put into,
//! [`Region::grant`] and [`Region::join`], which give a [`Seat`] to send through and push frames to the door's
//! [`Link`]. A door that has no session, or for a room that is no island, asks [`Region::grant_in`] instead. Rooms live on shard tasks; nothing here holds a lock while packets flow.
//!
//! A door whose client has lost its connection keeps the [`Session`] and the seat, answers
//! [`Behind`](crate::room::Pressure::Behind) in its link and calls [`Session::repeat_heartbeat`]; when the client is back,
//! it joins again with a new link.

mod attendance;
mod capabilities;
mod connection_strings;
mod governing;
mod grant;
mod islands;
mod life;
mod line;
mod login;
mod named;
mod registry;
mod seat;
mod session;
mod shard;
mod status;
mod supervise;
mod topics;
mod visits;

pub use capabilities::{Capabilities, Transport};
pub use connection_strings::{
    ByCapabilities, ConnectionStrings, DefaultTransport, DefaultTransportError, LivekitRooms, NativeOnly, OFFLINE,
    TransportStrings, WsRooms,
};
pub use grant::{Grant, GrantError, JoinFailed, Right, VerifiedToken};
pub use life::Over;
pub use line::{Busy, SendFailed};
pub use login::{LoginError, Proof};
pub use named::{MAX_ROOM_NAME, NamedRooms, RoomAccess, RoomPattern, RoomRule, RoomRuleError};
pub use seat::{Bridge, Seat};
pub use session::{HeartbeatError, Session, SessionEvent};
pub use status::{BusStatus, PacketsRefused, Status, TopicsStatus};
pub use topics::{
    IslandChanges, MAX_TOPIC_PAYLOAD, Publication, PublishError, Scope, SubscribeError, Topic, TopicError,
    TopicMessage, TopicPattern, TopicSubscription, Topics,
};
pub use visits::RoomWatch;

use crate::Host;
use crate::archipelago::service::EDGE_HEADER;
use crate::archipelago::service::{Service, ServiceSettings};
use crate::auth::{Challenge, ContractWallets, RoomKeys, ServerName, SignedFetch};
use crate::bus::{Bus, Message, Subject};
use crate::census::{self, Census};
use crate::limit::{Budget, Pace};
use crate::room::{Link, RoomId, Sender};
use atoll_proto::Address;
use attendance::Present;
use bytes::Bytes;
use life::Life;
use login::{Shown, Verifier};
use registry::Registry;
use shard::Shard;
use status::Counters;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use supervise::Failures;
use tokio::sync::watch;

/// How long a peer may be silent where another process runs archipelago: the originals' figure.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// How a region behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names this server in challenges.
    pub server_name: ServerName,
    /// Tasks that rooms are spread over: one per core that may broadcast.
    pub shards: usize,
    /// Most sessions at a time; at least 1. For one more, a session goes from where most sessions come from.
    pub max_sessions: usize,
    /// Most members of one room.
    pub max_room_members: usize,
    /// Time between two ticks of a room, zero to send every packet on at once; `None` goes by the room's members.
    pub tick: Option<Duration>,
    /// Most auth chains checked at the same moment; more logins wait. One of more than four links may come on top.
    pub max_verifications: usize,
    /// How often a heartbeat is expected.
    pub heartbeat_interval: Duration,
    /// The archipelago service this region runs, unless another one on the bus does its work.
    pub archipelago: Option<ServiceSettings>,
    /// Asks contract wallets; without one they are refused.
    pub contract_wallets: Option<Arc<dyn ContractWallets>>,
    /// What sessions are told of the way to their island's room.
    pub connection_strings: Arc<dyn ConnectionStrings>,
    /// The rooms beside those of islands.
    pub rooms: NamedRooms,
    /// Signs and checks tokens for rooms; without them none holds.
    pub room_keys: Option<RoomKeys>,
}

/// A region's rules at work. Cheap to clone; the last clone's end ends its tasks.
#[derive(Clone)]
pub struct Region {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    settings: Settings,
    host: Arc<dyn Host>,
    bus: Arc<dyn Bus>,
    verifier: Verifier,
    registry: Registry,
    /// What waits in subscriptions to topics.
    topics: Arc<Budget>,
    census: Arc<Mutex<Census>>,
    shards: Vec<Shard>,
    counters: Arc<Counters>,
    failures: Failures,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Region {
    /// Starts a region's tasks on the current tokio runtime.
    pub fn start(settings: Settings, host: Arc<dyn Host>, bus: Arc<dyn Bus>) -> Self {
        let counters = Arc::new(Counters::default());
        let failures = Failures::new();
        let mut start = [0; 4];
        host.random(&mut start);
        let shards: Vec<Shard> = shard::start(&settings, &host, &counters, &failures);
        let service = settings.archipelago.clone().map(|archipelago| {
            let watch = counters.archipelago.clone();
            let writer = Arc::clone(&settings.connection_strings);
            let strings = move |island: &str, peer: &str| match peer.parse() {
                Ok(address) => writer.write_for_foreign(island, address),
                Err(_) => OFFLINE.to_owned(),
            };
            let service = Service::new(archipelago, Arc::clone(&host), Arc::clone(&bus), watch, Box::new(strings));
            failures.spawn("the archipelago service".to_owned(), service.run())
        });
        let peer_timeout = settings.archipelago.as_ref().map_or(PEER_TIMEOUT, |service| service.peer_timeout);
        let census = Arc::new(Mutex::new(Census::new(peer_timeout.as_millis() as u64)));
        let counting = census::run(Arc::clone(&census), Arc::clone(&host), Arc::clone(&bus));
        let counting = failures.spawn("the census".to_owned(), counting);
        let inner = Arc::new_cyclic(|weak| {
            let changes = islands::route(weak.clone(), islands::subscribe(&*bus));
            let router = failures.spawn("the router of island changes".to_owned(), changes);
            let absent = failures.spawn("the search for the absent".to_owned(), attendance::run(weak.clone()));
            Inner {
                verifier: Verifier::new(&settings, &host),
                registry: Registry::new(settings.max_sessions, u32::from_le_bytes(start)),
                topics: topics::budget(),
                tasks: service.into_iter().chain([router, absent, counting]).collect(),
                census,
                settings,
                host,
                bus,
                shards,
                counters,
                failures,
            }
        });
        Self { inner }
    }

    /// How this region behaves.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// A text for one client to sign, valid for one login.
    pub fn challenge(&self) -> Challenge {
        let mut random = [0; 16];
        self.inner.host.random(&mut random);
        Challenge::new(&self.inner.settings.server_name, random)
    }

    /// A text for one client to sign, in the shape that kernels know: `dcl-0.` and digits of base 36.
    pub fn kernel_challenge(&self) -> Challenge {
        let mut random = [0; 16];
        self.inner.host.random(&mut random);
        Challenge::kernel(random)
    }

    /// Whether a session of this address is open.
    pub fn is_logged_in(&self, address: Address) -> bool {
        self.inner.registry.contains(address)
    }

    /// Checks a proof and opens a session. An older session of the same address is told
    /// [`SessionEvent::Kicked`] and ends.
    ///
    /// `from` is where the client is in the network. In a full region, one session of the place that most of them come from
    /// is told [`SessionEvent::Evicted`]: first one whose client is away ([`Session::set_idle`]), then the oldest. The
    /// login is refused instead when no place has more sessions than this one makes for its own, unless its own has the
    /// most already.
    ///
    /// # Errors
    /// [`LoginError`]; nothing has changed then, except that a signed fetch which held is used up.
    pub async fn login(&self, proof: Proof, from: IpAddr, capabilities: Capabilities) -> Result<Session, LoginError> {
        let address = self.inner.verifier.verify(proof).await?;
        let session = Session::open(&self.inner, address, from, capabilities).ok_or(LoginError::Full)?;
        self.inner.counters.logins.add(1);
        Ok(session)
    }

    /// Who signed a request with `auth_chain_json`. It opens no session and need not name this server; it works once.
    ///
    /// # Errors
    /// [`LoginError`]; a request that held is used up, and no other is.
    pub async fn identify(&self, request: SignedFetch, auth_chain_json: String) -> Result<Address, LoginError> {
        self.inner.verifier.verify(Shown::Request(request, auth_chain_json)).await
    }

    /// The right of a session to a seat in the room of its island: `None` while archipelago has put it into none.
    pub fn grant(&self, session: &Session) -> Option<Grant> {
        let (room, generation) = self.inner.registry.island(session.address(), session.id())?;
        let (sender, session) = (Sender::Peer(session.address()), Some(session.id()));
        Some(Grant { room, sender, session, generation: Some(generation), hidden: false })
    }

    /// Takes the seat that a grant is for. `link` hears a snapshot of the members first.
    ///
    /// When the session has the seat already, this is another connection of it: the link takes over, neighbours notice
    /// nothing, and the former link hears [`CloseReason::Reseated`](crate::room::CloseReason::Reseated). What is sent
    /// through the former [`Seat`] is taken until it is dropped.
    ///
    /// # Errors
    /// [`JoinFailed::Stale`] when the session has been put elsewhere since, [`JoinFailed::Full`], [`JoinFailed::Ending`].
    pub async fn join(&self, grant: Grant, link: Box<dyn Link>) -> Result<Seat, JoinFailed> {
        let Sender::Peer(address) = grant.sender else { return Err(JoinFailed::Stale) };
        let life = match grant.session {
            Some(session) => {
                let life = self.inner.registry.life(address, session, grant.generation);
                Some(life.ok_or(JoinFailed::Stale)?)
            }
            None => None,
        };
        let session = grant.session;
        let seat = self.shard_of(&grant.room).join(grant, link).await?;
        let moves = life.as_ref().and_then(Life::taken_at);
        let present = session.zip(moves).and_then(|(id, moves)| Present::new(&self.inner, address, id, moves));
        Ok(seat.living(life, present))
    }

    /// Opens a link that stands for many members, such as a mesh or another edge. It hears all of the room.
    ///
    /// # Errors
    /// [`JoinFailed::Ending`].
    pub async fn open_link(&self, room: RoomId, link: Box<dyn Link>) -> Result<Bridge, JoinFailed> {
        self.shard_of(&room).open_link(room, link).await
    }

    /// How fast one client may say what none of may be lost: for a door to keep to.
    pub fn pace(&self) -> Pace {
        Pace::new(Arc::clone(&self.inner.host))
    }

    /// The region's clock, from any start: for bounds in time.
    pub fn now(&self) -> Duration {
        self.inner.host.monotonic()
    }

    /// Sessions open now.
    pub fn sessions(&self) -> usize {
        self.inner.registry.len()
    }

    /// What went wrong in one of the region's own tasks, if anything did. Such a region should be ended and started again:
    /// rooms of a failed task are gone, and no new ones are made in their place.
    pub fn failed(&self) -> Option<Arc<str>> {
        self.failures().borrow().clone()
    }

    /// [`Region::failed`], to wait for.
    pub fn failures(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.inner.failures.watch()
    }

    /// Looks at who is where. What is looked at stands still meanwhile, so look briefly.
    pub fn census<T>(&self, look: impl FnOnce(&Census) -> T) -> T {
        look(&self.inner.census.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the region holds and has done so far.
    pub fn status(&self) -> Status {
        self.inner.counters.status(self.sessions(), self.inner.registry.evictions(), self.inner.topics.kept())
    }

    fn shard_of(&self, room: &RoomId) -> &Shard {
        shard::pick(&self.inner.shards, room)
    }
}

impl Inner {
    /// Publishes; a message the bus does not take is lost and counted.
    fn publish(&self, subject: &str, payload: Bytes) {
        self.hand_over(Subject::new(subject).ok().map(|subject| Message::new(subject, payload)));
    }

    /// Says that `address` has logged in, and that its connection strings are written here.
    fn announce(&self, address: Address) {
        let mut message =
            Subject::new(&format!("peer.{address}.connect")).ok().map(|subject| Message::new(subject, Bytes::new()));
        if let Some(message) = &mut message {
            message.headers.push((EDGE_HEADER.to_owned(), "1".to_owned()));
        }
        self.hand_over(message);
    }

    fn hand_over(&self, message: Option<Message>) {
        let taken = message.is_some_and(|message| self.bus.publish(message).is_ok());
        if !taken {
            self.counters.bus_lost.add(1);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests;
