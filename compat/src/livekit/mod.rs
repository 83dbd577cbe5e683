//! Rooms for LiveKit's own clients: kernels that are told `livekit:…` connect here with the SDK that they shipped with, and are in
//! the same room as everybody else.
//!
//! | path | who comes |
//! |---|---|
//! | `/rtc` | clients with two connections, one for each direction (protocols 7 to 17) |
//! | `/rtc/v1` | clients with one (since 2025) |
//! | `/rtc/validate`, `/rtc/v1/validate` | those whom the first two did not let in, to hear why |
//!
//! A WebSocket carries signals; media and data flow over WebRTC, through one UDP port for all, or TCP ([`IcePorts`]). What a client
//! sends lossily is an update or an event by what it is; what it sends reliably is ordered. Whoever came by another door is a
//! participant whose identity is its address. Sound goes from LiveKit's clients to LiveKit's clients.
//!
//! Programs govern rooms by LiveKit's server API, at `/twirp/livekit.RoomService/<method>`.
//!
//! What is not here: video, encryption from end to end, data tracks, simulcast, TURN, and rooms made by anybody but the region.

mod api;
mod data;
mod departed;
mod gate;
mod ice_tcp;
#[doc(hidden)]
pub mod inside;
mod join;
mod link;
mod lobby;
mod mailbox;
mod negotiation;
mod notice;
mod participant;
mod peer;
mod permission;
mod ports;
mod presence;
mod profile;
mod quality;
mod request;
mod requests;
mod rooms;
mod routes;
mod sdp;
mod signals;
mod speech;
mod stun;
mod talk;
mod tracks;

pub use api::WebhookReceiver;
pub use livekit_protocol::IceServer;
pub use ports::IcePorts;

use crate::counters::RoomCounters;
use crate::doorway::Doorway;
use crate::ws_room::occupancy::Occupancy;
use crate::ws_room::outgoing;
use api::{Api, Book, Webhooks};
use atoll_core::auth::LivekitKeys;
use atoll_core::limit::{AmongEquals, Budget, Crowd};
use atoll_core::region::RoomWatch;
use axum::Router;
use axum::routing::{any, get};
use lobby::Lobby;
use rooms::Rooms;
use std::sync::Arc;
use str0m::config::DtlsCert;

/// Participants for each session of the region: kernels enter the next island before they leave the last.
const SEATS_PER_SESSION: usize = 2;

/// Most seats of one address by this door: its sessions have two at most, and it may be in some rooms beside the islands'.
const SEATS_OF_ADDRESS: usize = 16;

/// What the door is to know.
pub struct Settings {
    /// Who may come in is who has a token signed with one of these.
    pub keys: LivekitKeys,
    /// Where media and data flow.
    pub ports: IcePorts,
    /// What clients are told of servers that help them reach this one.
    pub ice_servers: Vec<IceServer>,
    /// Who is told of what happens in rooms.
    pub webhooks: Vec<Arc<dyn WebhookReceiver>>,
}

/// The door, open.
pub struct Routes {
    /// Where clients come in.
    pub clients: Router,
    /// Where programs govern rooms. Who may is who has a token, which costs more to look at than other requests.
    pub api: Router,
}

/// The door cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The system made no key for the connections' certificate.
    #[error("no certificate for WebRTC could be made")]
    Certificate,
}

#[derive(Clone)]
struct Door {
    doorway: Doorway,
    keys: LivekitKeys,
    ports: Arc<ports::Shared>,
    _ports: Arc<IcePorts>,
    certificate: Arc<DtlsCert>,
    ice_servers: Arc<[IceServer]>,
    rooms: Arc<Rooms>,
    book: Arc<Book>,
    lobby: Arc<Lobby>,
    crowd: Arc<Crowd>,
    occupancy: Arc<Occupancy>,
    budget: Arc<Budget>,
    counters: Arc<RoomCounters>,
}

/// The door's routes. Has to be called on a tokio runtime; each request must carry a [`ClientAddress`](crate::ClientAddress) among its extensions.
///
/// # Errors
/// [`OpenError`].
pub fn routes(doorway: Doorway, settings: Settings) -> Result<Routes, OpenError> {
    let most = doorway.region.settings().max_sessions.saturating_mul(SEATS_PER_SESSION);
    let counters = Arc::clone(&doorway.counters().rooms);
    // Each edge opens one such door.
    let _ = doorway.counters().ice.set(Arc::clone(settings.ports.counters()));
    let api_counters = Arc::clone(&doorway.counters().api);
    let webhooks = Webhooks::start(settings.webhooks, &settings.keys, &api_counters);
    let region = doorway.region.clone();
    let book = Book::new(region.settings().max_room_members, webhooks);
    let watch: Arc<dyn RoomWatch> = Arc::clone(&book) as _;
    region.watch_rooms(&watch);
    tokio::spawn(Book::look_after(Arc::downgrade(&book)));
    let rooms = Arc::<Rooms>::default();
    let (keys, counted) = (settings.keys.clone(), api_counters);
    let api = Api { region, keys, rooms: Arc::clone(&rooms), book: Arc::clone(&book), counters: counted };
    let door = Door {
        doorway,
        keys: settings.keys,
        ports: settings.ports.shared(),
        _ports: Arc::new(settings.ports),
        certificate: Arc::new(peer::certificate().ok_or(OpenError::Certificate)?),
        ice_servers: settings.ice_servers.into(),
        rooms,
        book,
        lobby: Arc::default(),
        crowd: Arc::new(Crowd::new(most, None, AmongEquals::NewcomerLeaves)),
        occupancy: Arc::default(),
        budget: outgoing::budget(),
        counters,
    };
    let clients = Router::new()
        .route("/rtc", any(join::enter_pair))
        .route("/rtc/v1", any(join::enter_single))
        .route("/rtc/validate", get(join::validate))
        .route("/rtc/v1/validate", get(join::validate))
        .with_state(door);
    Ok(Routes { clients, api: api::routes(api) })
}
