//! The BFF door: `/rpc` and `/bff/rpc`, where kernels of 2022 and 2023 log in, tell where they stand, learn their island, and
//! speak to scenes by topics.
//!
//! A kernel opens one port, loads `BffAuthenticationService`, signs the port's challenge, and then finds `CommsService` and
//! `TopicsService` there. Its session is the port's: closing the port, or the socket, logs it out. Several ports on one
//! socket are several sessions.
//!
//! What is not as in the original, because no client depends on it: publishing to wildcards or to names that services own is
//! refused; nobody hears another peer's own affairs; broken auth chains are answered with "Authentication failed" instead of
//! JavaScript's words; streams whose reader has left end at once.

mod authentication;
mod client;
mod comms;
mod director;
mod modules;
mod peer;
mod service;
mod socket;

pub use client::{Client, Settings};
pub use service::Ports;

use crate::counters::DoorName;
use crate::doorway::{ClientAddress, Doorway};
use crate::rpc::PortIds;
use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;

#[derive(Clone)]
struct Door {
    doorway: Doorway,
    settings: Settings,
    ids: PortIds,
}

/// The door's routes. Each request must carry a [`ClientAddress`] among its extensions.
pub fn routes(doorway: Doorway, settings: Settings) -> Router {
    let door = Door { doorway, settings, ids: PortIds::default() };
    Router::new().route("/rpc", any(upgrade)).route("/bff/rpc", any(upgrade)).with_state(door)
}

async fn upgrade(
    State(Door { doorway, settings, ids }): State<Door>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    doorway
        .upgrade(DoorName::Bff, client, request, move |socket, arrival| socket::serve(socket, arrival, settings, ids))
}

fn encoded(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}
