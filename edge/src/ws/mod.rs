//! Native sessions (`crate::native`) over WebSocket, for clients whose UDP is blocked: `/atoll/ws` on the HTTP port.
//!
//! Refusals are told by a close code after the upgrade: a browser learns nothing of another answer.

mod incoming;
mod mover;

use crate::native::{Carrier, Door, Ending, LOGIN_TIME, SUBPROTOCOL, queues, serve};
use atoll_compat::ClientAddress;
use atoll_proto::channel::MAX_WEBSOCKET_MESSAGE;
use atoll_proto::close::CloseCode;
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::any;
use tokio::time::Instant;

/// The path of the WebSocket door.
pub const WEBSOCKET_PATH: &str = "/atoll/ws";

/// Bytes read from a socket at a time; also what each idle connection holds.
const READ_BUFFER: usize = 4 * 1024;

/// Bytes that wait in the library before it writes to the socket.
const WRITE_BUFFER: usize = 4 * 1024;

/// Bytes that may wait there at most: a message, and answers to pings. With more the library keeps the last one.
const MAX_WRITE_BUFFER: usize = 2 * MAX_WEBSOCKET_MESSAGE;

/// The route of the door. Each request must carry a [`ClientAddress`] among its extensions.
pub fn routes(door: Door) -> Router {
    Router::new().route(WEBSOCKET_PATH, any(upgrade)).with_state(door)
}

async fn upgrade(
    State(door): State<Door>,
    Extension(ClientAddress(from)): Extension<ClientAddress>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let deadline = Instant::now() + LOGIN_TIME;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        // One byte more, so that it is this side that says what is wrong.
        .max_message_size(MAX_WEBSOCKET_MESSAGE + 1)
        .max_frame_size(MAX_WEBSOCKET_MESSAGE + 1)
        .protocols([SUBPROTOCOL]);
    let offers_others = upgrade.requested_protocols().next().is_some() && upgrade.selected_protocol().is_none();
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let refusal = if offers_others {
        Some(Ending::new(CloseCode::UnsupportedProtocol, "only atoll.1 is spoken here"))
    } else {
        door.refuses_origin(origin)
    };
    // Not before it is known that somebody waits.
    let spot = door.enter(from);
    upgrade.on_upgrade(move |socket| async move {
        let (queues, streams, datagrams, mover) = queues(from);
        let connection = door.connection(Carrier::Queues(queues), streams, datagrams);
        let served = async {
            match (refusal, spot) {
                (Some(ending), _) => connection.end(ending).await,
                (None, None) => {
                    connection.end(Ending::new(CloseCode::Overloaded, "too many from here wait to log in")).await;
                }
                (None, Some(spot)) => serve(door.clone(), connection, spot, deadline).await,
            }
        };
        let carried = async {
            let _open = Open::new(&door);
            mover::carry(socket, mover, door.counters()).await;
        };
        // The session may go on without this connection, and this connection with another session.
        tokio::join!(served, carried);
    })
}

/// Counts a WebSocket until it is dropped.
struct Open<'a>(&'a Door);

impl<'a> Open<'a> {
    fn new(door: &'a Door) -> Self {
        door.counters().websockets.add(1);
        Self(door)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.counters().websockets.subtract(1);
    }
}
