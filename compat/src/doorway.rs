//! What every door of this crate is given by the edge that mounts it.

use crate::bounded::{Bounded, Limit, SMALL};
use crate::counters::{Counted, Counters, DoorCounters, DoorName, Refusal};
use crate::handshake::Handshake;
use crate::socket::Socket;
use atoll_core::limit::{AmongEquals, Crowd, Spot};
use atoll_core::region::Region;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Decides whether a page of this origin may open sessions; none is what programs send.
pub type OriginRule = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// What a door needs beside its own settings. Clones share it.
#[derive(Clone)]
pub struct Doorway {
    pub(crate) region: Region,
    waiting: Arc<Crowd>,
    allows_origin: OriginRule,
    ending: watch::Receiver<bool>,
    /// Who is sending a large message.
    large: Arc<Crowd>,
    counters: Arc<Counters>,
}

/// The address of the client that sent a request. The edge puts one among the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// A WebSocket on its way in.
pub(crate) struct Arrival {
    pub(crate) doorway: Doorway,
    pub(crate) counters: Arc<DoorCounters>,
    pub(crate) from: IpAddr,
    pub(crate) waiting: Waiting,
    /// The first subprotocol that the client offered.
    pub(crate) protocol: Option<String>,
}

/// The wait of somebody who has not logged in yet.
pub(crate) struct Waiting {
    spot: Spot,
    _counted: Counted,
}

impl Waiting {
    /// Waits until others need the place of who waits. Cancel-safe.
    pub(crate) async fn evicted(&self) {
        self.spot.evicted().await;
    }
}

/// Largest message of any client, in bytes, once it has logged in.
pub(crate) const LARGE: u64 = 2 << 20;

/// Messages above [`SMALL`] that may be under way to all doors together.
const LARGE_AT_A_TIME: usize = 32;

/// Bytes read from a socket at a time, which each idle connection holds, and that wait before they are written.
const BUFFER: usize = 4 * 1024;

/// Bytes that may wait there: the largest piece of a message, and answers to pings. With more the library keeps the last one.
const MAX_BUFFER: usize = 64 * 1024;

impl Doorway {
    /// A way to sessions of `region`. `waiting` is who has a connection and no session yet, by any door; every connection ends
    /// once `ending` is true.
    pub fn new(region: Region, waiting: Arc<Crowd>, allows_origin: OriginRule, ending: watch::Receiver<bool>) -> Self {
        let large = Arc::new(Crowd::new(LARGE_AT_A_TIME, None, AmongEquals::OldestLeaves));
        Self { region, waiting, allows_origin, ending, large, counters: Arc::default() }
    }

    /// What all doors with this way count.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Whether a page that sent these headers may open sessions.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        (self.allows_origin)(origin)
    }

    /// Lets somebody wait who has a connection and no session, unless too many from there do.
    pub(crate) fn wait(&self, from: IpAddr, counters: &Arc<DoorCounters>) -> Option<Waiting> {
        let spot = self.waiting.enter(from);
        if spot.is_none() {
            counters.refused(Refusal::Crowded);
        }
        Some(Waiting { spot: spot?, _counted: counters.waiting() })
    }

    /// Upgrades a request to a WebSocket, if it may come in. Messages are small ones until the door says otherwise.
    pub(crate) fn upgrade<F: Future<Output = ()> + Send + 'static>(
        &self,
        door: DoorName,
        ClientAddress(from): ClientAddress,
        request: Request,
        serve: impl FnOnce(Socket, Arrival) -> F + Send + 'static,
    ) -> Response {
        let counters = Arc::clone(self.counters.of(door));
        if !self.allows(request.headers()) {
            counters.refused(Refusal::Origin);
            return (StatusCode::FORBIDDEN, "pages of this origin may not open sessions here").into_response();
        }
        let handshake = match Handshake::read(request) {
            Ok(handshake) => handshake,
            Err(error) => return error.into_response(),
        };
        let Some(waiting) = self.wait(from, &counters) else {
            return (StatusCode::SERVICE_UNAVAILABLE, "too many wait to log in").into_response();
        };
        let answer = handshake.answer();
        let Handshake { upgrade, protocol, .. } = handshake;
        let arrival = Arrival { doorway: self.clone(), counters, from, waiting, protocol };
        tokio::spawn(async move {
            // Otherwise the client did not wait for the answer.
            if let Ok(connection) = upgrade.await {
                let socket = arrival.doorway.open(TokioIo::new(connection), &arrival).await;
                serve(socket, arrival).await;
            }
        });
        answer
    }

    async fn open(&self, connection: TokioIo<Upgraded>, arrival: &Arrival) -> Socket {
        let limit = Limit::new(SMALL);
        let stream = Bounded::new(connection, limit.clone(), Arc::clone(&self.large), arrival.from);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(MAX_BUFFER)
            .max_message_size(Some(LARGE as usize))
            .max_frame_size(Some(LARGE as usize));
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Socket::new(stream, limit, Arc::clone(&arrival.counters), self.ending.clone())
    }
}
