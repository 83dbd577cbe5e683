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

/// What an operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether clients are taken to have WebSocket rooms beside LiveKit, as browsers' explorers do.
    pub ws_room: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ws_room: true }
    }
}

/// The door's routes. Each request must carry a [`ClientAddress`] among its extensions.
pub fn routes(doorway: Doorway, settings: Settings) -> Router {
    Router::new().route("/archipelago/ws", any(upgrade)).route("/ws", any(upgrade)).with_state((doorway, settings))
}

async fn upgrade(
    State((doorway, settings)): State<(Doorway, Settings)>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    doorway.upgrade(DoorName::Archipelago, client, request, move |socket, arrival| {
        conversation::serve(socket, arrival, settings)
    })
}
