//! The archipelago door: `/archipelago/ws` and `/ws`, where explorers since April 2023 log in, tell where they stand, and
//! learn their island. Each binary message is one `ClientPacket` or `ServerPacket`; coordinates are floats.
//!
//! Beside its own island changes a client hears who else comes into its island and who leaves it. What is not as in the
//! originals, because no client depends on it: the one who signs must be the address that asked for the challenge, and a
//! message that cannot be read ends the connection with code 1007 at any time, not only during the login.

mod conversation;
mod neighbours;

use crate::counters::DoorName;
use crate::doorway::{ClientAddress, Doorway};
use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::any;

/// The door's routes. Each request must carry a [`ClientAddress`] among its extensions.
pub fn routes(doorway: Doorway) -> Router {
    Router::new().route("/archipelago/ws", any(upgrade)).route("/ws", any(upgrade)).with_state(doorway)
}

async fn upgrade(
    State(doorway): State<Doorway>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    doorway.upgrade(DoorName::Archipelago, client, request, conversation::serve)
}
