//! What every door of this crate is given by the edge that mounts it.

use atoll_core::limit::{Crowd, Spot};
use atoll_core::region::Region;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Decides whether a page of this origin may open sessions; none is what programs send.
pub type OriginRule = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// What a door needs beside its own settings. Clones share it.
#[derive(Clone)]
pub struct Doorway {
    /// Where peers log in.
    pub region: Region,
    /// Who has a connection and no session yet, by any door.
    pub waiting: Arc<Crowd>,
    /// Which web pages may come in.
    pub allows_origin: OriginRule,
    /// True once every connection is to end.
    pub ending: watch::Receiver<bool>,
}

/// The address of the client that sent a request. The edge puts one among the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// A WebSocket on its way in.
pub(crate) struct Arrival {
    pub(crate) doorway: Doorway,
    pub(crate) from: IpAddr,
    pub(crate) spot: Spot,
    /// The first subprotocol that the client offered.
    pub(crate) protocol: Option<String>,
}

impl Doorway {
    /// Upgrades a request to a WebSocket of messages of at most `max_message` bytes, if it may come in.
    ///
    /// The first subprotocol offered is taken, whatever it is, as the npm package `ws` does: browsers insist on an answer.
    pub(crate) fn upgrade<F: Future<Output = ()> + Send + 'static>(
        &self,
        ClientAddress(from): ClientAddress,
        headers: &HeaderMap,
        upgrade: WebSocketUpgrade,
        max_message: usize,
        serve: impl FnOnce(WebSocket, Arrival) -> F + Send + 'static,
    ) -> Response {
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        if !(self.allows_origin)(origin) {
            return (StatusCode::FORBIDDEN, "pages of this origin may not open sessions here").into_response();
        }
        let Some(spot) = self.waiting.enter(from) else {
            return (StatusCode::SERVICE_UNAVAILABLE, "too many wait to log in").into_response();
        };
        let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
        let protocol = offered.and_then(|offered| offered.split(',').next()).map(|first| first.trim().to_owned());
        let arrival = Arrival { doorway: self.clone(), from, spot, protocol: protocol.clone() };
        upgrade
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(max_message)
            .max_frame_size(max_message)
            .protocols(protocol)
            .on_upgrade(move |socket| serve(socket, arrival))
    }
}

/// Bytes read from a socket at a time, which each idle connection holds, and that wait before they are written.
const BUFFER: usize = 4 * 1024;
