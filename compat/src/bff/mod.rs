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
mod comms;
mod director;
mod modules;
mod peer;
mod service;
mod socket;

pub use service::Ports;

use crate::counters::DoorName;
use crate::doorway::{ClientAddress, Doorway};
use crate::rpc::PortIds;
use atoll_core::region::{Capabilities, Transport};
use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use std::net::IpAddr;

/// The sub-protocol of kernels from July to October 2022. Those of August and September stop when they are told that
/// their address is connected already.
const FIRST_GENERATION: &str = "comms";

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    capabilities: Capabilities,
    /// Whether it can be told that its address has a session.
    tells_already_connected: bool,
    from: IpAddr,
}

impl Client {
    /// A kernel at `from`; `is_first_generation` when it offered the sub-protocol `comms`.
    pub const fn of(is_first_generation: bool, from: IpAddr) -> Self {
        let both = Capabilities::NONE.with(Transport::Livekit).with(Transport::P2p);
        let rooms = if is_first_generation { Transport::FirstWsRoom } else { Transport::WsRoom };
        Self { capabilities: both.with(rooms), tells_already_connected: !is_first_generation, from }
    }
}

#[derive(Clone)]
struct Door {
    doorway: Doorway,
    ids: PortIds,
}

/// The door's routes. Each request must carry a [`ClientAddress`] among its extensions.
pub fn routes(doorway: Doorway) -> Router {
    let door = Door { doorway, ids: PortIds::default() };
    Router::new().route("/rpc", any(upgrade)).route("/bff/rpc", any(upgrade)).with_state(door)
}

async fn upgrade(
    State(Door { doorway, ids }): State<Door>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    doorway.upgrade(DoorName::Bff, client, request, |socket, arrival| socket::serve(socket, arrival, ids))
}

fn encoded(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}
