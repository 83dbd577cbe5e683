//! WebSocket rooms: where kernels hear the peers of their island, or of a named room, in three generations.
//!
//! | path | generation | who comes in |
//! |---|---|---|
//! | `/ws-rooms/<name>?access_token=<token>` | April to September 2022 (`WsMessage`) | by token |
//! | `/rooms/<name>?access_token=<token>` | September 2022 (RFC-5) | by token, welcomed at once |
//! | `/rooms/<name>` | since then (RFC-5) | by a signed challenge |
//! | `/rooms/status` | | anybody: `{version, currentTime, commitHash, users, rooms, details: [{roomName, count}]}` |
//!
//! A seat here is one as any other: who stands in the room hears it, by whatever transport. Reliability goes by the flag that
//! RFC-5 has: reliable packets come all and in order; of the others a position, which a later one makes worthless, is passed on
//! with the room's ticks. The first generation has no flag: positions and voice are unreliable, everything else is not.
//!
//! What is not as in the originals: a token's audience has to name the room; only another session of the address is kicked,
//! and only from the same room; a client that does not read as fast as its room speaks misses positions that newer ones
//! have replaced, and is closed with 4010 (`too_slow`) when more waits for it that must not be lost than it may have waiting.
//! Unreliable packets above what a datagram carries are passed on reliably, as all were there. Frames above 16 KiB close
//! the socket with 1009, as they did; the first generation may send a megabyte. Packets above 16 KiB, which only others can
//! say, are not sent to clients of RFC-5: some are not made for more.

mod conversation;
pub(crate) mod frames;
mod incoming;
mod link;
mod login;
mod occupancy;
pub(crate) mod outgoing;

pub use frames::{First, FirstFrames, Rfc5, first_frame, first_frames};
pub use incoming::{Said, read};

use crate::counters::{DoorName, Refusal};
use crate::doorway::{ClientAddress, Doorway};
use atoll_core::limit::{AmongEquals, Budget, Crowd};
use atoll_core::region::{Grant, GrantError, Right};
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use occupancy::Occupancy;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seats here for each session of the region: kernels enter the next island before they leave the last.
pub const SEATS_PER_SESSION: usize = 2;

/// Largest message that a client of RFC-5 may send, in bytes: that of the originals.
pub const MAX_RFC5_FRAME: usize = 16 * 1024;

/// What the edge says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Its version.
    pub version: &'static str,
    /// The commit it was built from.
    pub commit_hash: &'static str,
}

/// Which messages a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// `WsMessage`.
    First,
    /// RFC-5.
    Rfc5,
}

#[derive(Clone)]
struct Door {
    doorway: Doorway,
    settings: Settings,
    seats: Seats,
}

/// Who has a seat by this door.
#[derive(Clone)]
struct Seats {
    crowd: Arc<Crowd>,
    occupancy: Arc<Occupancy>,
    waiting: Arc<Budget>,
}

/// The door's routes. Each request must carry a [`ClientAddress`] among its extensions.
pub fn routes(doorway: Doorway, settings: Settings) -> Router {
    let most = doorway.region.settings().max_sessions.saturating_mul(SEATS_PER_SESSION);
    let seats = Seats {
        crowd: Arc::new(Crowd::new(most, None, AmongEquals::NewcomerLeaves)),
        occupancy: Arc::default(),
        waiting: outgoing::budget(),
    };
    Router::new()
        .route("/rooms/status", get(status))
        .route("/rooms/{name}", any(enter))
        .route("/ws-rooms/{name}", any(enter_first))
        .with_state(Door { doorway, settings, seats })
}

async fn enter(
    State(Door { doorway, seats, .. }): State<Door>,
    Path(room): Path<String>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    let grant = match by_token(&doorway, &room, token_of(&request)).await {
        Some(Ok(grant)) => Some(grant),
        Some(Err(error)) => return (StatusCode::UNAUTHORIZED, error.to_string()).into_response(),
        None => None,
    };
    doorway.upgrade(DoorName::WsRoom, client, request, move |socket, arrival| {
        conversation::serve_rfc5(socket, arrival, seats, room, grant)
    })
}

async fn enter_first(
    State(Door { doorway, seats, .. }): State<Door>,
    Path(room): Path<String>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    // Its clients are let in first and closed then, as the originals did.
    let grant = by_token(&doorway, &room, token_of(&request)).await.and_then(Result::ok);
    doorway.upgrade(DoorName::WsRoom, client, request, move |socket, arrival| {
        conversation::serve_first(socket, arrival, seats, grant)
    })
}

fn token_of(request: &Request) -> Option<String> {
    let mut pairs = request.uri().query()?.split('&');
    pairs.find_map(|pair| pair.strip_prefix("access_token=")).map(str::to_owned)
}

/// What a token is good for, if there is one.
async fn by_token(doorway: &Doorway, room: &str, token: Option<String>) -> Option<Result<Grant, GrantError>> {
    let granted = doorway.region.grant_in(room, Right::Token(&token?)).await;
    if let Err(error) = &granted {
        tracing::debug!(room, "a token for a room was refused: {error}");
        doorway.counters().of(DoorName::WsRoom).refused(Refusal::Unauthorized);
    }
    Some(granted)
}

async fn status(State(Door { settings, seats, .. }): State<Door>) -> Json<Value> {
    let rooms = seats.occupancy.rooms();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    Json(json!({
        "version": settings.version,
        "currentTime": now,
        "commitHash": settings.commit_hash,
        "users": rooms.iter().map(|(_, count)| count).sum::<usize>(),
        "rooms": rooms.len(),
        "details": rooms.iter().map(|(name, count)| json!({ "roomName": name, "count": count })).collect::<Vec<_>>(),
    }))
}
