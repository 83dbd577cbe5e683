//! `signed-login`: where explorers ask, with a signed request (ADR-44), for the connection string of a realm that has one room
//! for everybody. `POST /signed-login`, `POST /comms/signed-login`. And for that of a room of this edge that is no island: the same
//! paths and `/<room>`; the string has a token for the signer then. It is of the default transport, or of that which the query
//! names (`?transport=ws`, `?transport=livekit`); native clients, too, can use a token for WebSocket rooms.
//!
//! The answer is `{"fixedAdapter": "<connection string>"}`, or `{"message": "<why not>"}` with a status that says whose fault it
//! is: 400 for a request that cannot be read, 401 for one that proves nothing, 403 for one that is signed for something else,
//! 431 for one that is too large, 503 when it cannot be judged now. The signature names the path and the moment, not the host:
//! who sees a request can show it to another server for a minute. This one takes it once.

mod request;

use crate::counters::{DoorName, Refusal};
use crate::doorway::{ClientAddress, Doorway};
use crate::fixed_adapter::FixedAdapter;
use atoll_core::Address;
use atoll_core::auth::{AuthError, LivekitKeys};
use atoll_core::region::{DefaultTransport, GrantError, LoginError, OFFLINE};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use request::read;
use serde_json::json;
use std::sync::Arc;

/// Where it is asked.
pub const PATHS: [&str; 2] = ["/signed-login", "/comms/signed-login"];

#[derive(Clone)]
struct Door {
    doorway: Doorway,
    /// What is handed out.
    adapter: Arc<str>,
    rooms: RoomsAt,
}

/// Where the rooms of this edge are.
#[derive(Clone)]
pub struct RoomsAt {
    /// Where its WebSocket doors are.
    pub origin: RoomsOrigin,
    /// The transport of who names none.
    pub default: DefaultTransport,
    /// LiveKit, if kernels are sent there.
    pub livekit: Option<LivekitAt>,
}

/// A LiveKit, and who signs tokens for it.
#[derive(Debug, Clone)]
pub struct LivekitAt {
    /// Where it is: `wss://` or `ws://`, and no slash at the end; where the WebSocket doors are when `None`.
    pub url: Option<String>,
    /// Signs tokens.
    pub keys: LivekitKeys,
}

/// Scheme, host and port of this edge's WebSocket doors, as who asks with these headers reaches them.
pub type RoomsOrigin = Arc<dyn Fn(&HeaderMap) -> String + Send + Sync>;

/// The door's routes, which hand out `adapter`. Each request must carry a [`ClientAddress`] among its extensions.
///
/// Who follows a `signed-login:` to here must not be sent on to another one: then, and without an adapter, it is `offline:offline`.
pub fn routes(doorway: Doorway, adapter: Option<&FixedAdapter>, rooms: RoomsAt) -> Router {
    let adapter = adapter.filter(|adapter| !adapter.is_signed_login()).map_or(OFFLINE, FixedAdapter::as_str);
    let door = Door { doorway, adapter: adapter.into(), rooms };
    let routes = |routes: Router<Door>, path: &'static str| {
        let room = format!("{path}/{{room}}");
        routes.route(path, post(hand_out).fallback(wrong_method)).route(&room, post(admit).fallback(wrong_method))
    };
    PATHS.into_iter().fold(Router::new(), routes).with_state(door)
}

async fn hand_out(
    State(door): State<Door>,
    Extension(from): Extension<ClientAddress>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match identify(&door.doorway, from, &uri, &headers).await {
        Ok(address) => {
            tracing::debug!(%address, "an adapter was handed out");
            Json(json!({ "fixedAdapter": &*door.adapter })).into_response()
        }
        Err((status, why)) => refused(status, &why),
    }
}

async fn admit(
    State(door): State<Door>,
    Path(room): Path<String>,
    Extension(from): Extension<ClientAddress>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let transport = match door.rooms.transport(&uri) {
        Ok(transport) => transport,
        Err((status, why)) => return refused(status, why),
    };
    let address = match identify(&door.doorway, from, &uri, &headers).await {
        Ok(address) => address,
        Err((status, why)) => return refused(status, &why),
    };
    match door.connection_string(transport, &room, address, &headers) {
        Ok(string) => {
            tracing::debug!(%address, room, "a token for a room was handed out");
            Json(json!({ "fixedAdapter": string })).into_response()
        }
        Err(error) => refused(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

impl RoomsAt {
    /// The transport that is asked for, or what to answer. A query is not signed, so it says nothing that matters to others.
    fn transport(&self, uri: &Uri) -> Result<DefaultTransport, (StatusCode, &'static str)> {
        let parameters = uri.query().unwrap_or_default().split('&');
        let transport = match parameters.filter_map(|parameter| parameter.strip_prefix("transport=")).next() {
            Some(name) => name.parse().map_err(|_| (StatusCode::BAD_REQUEST, "a transport is ws or livekit"))?,
            None => self.default,
        };
        match (transport, &self.livekit) {
            (DefaultTransport::Livekit, None) => Err((StatusCode::NOT_FOUND, "nobody is sent to LiveKit here")),
            (transport, _) => Ok(transport),
        }
    }
}

impl Door {
    fn connection_string(
        &self,
        transport: DefaultTransport,
        room: &str,
        address: Address,
        headers: &HeaderMap,
    ) -> Result<String, GrantError> {
        let (origin, region) = ((self.rooms.origin)(headers), &self.doorway.region);
        match (transport, &self.rooms.livekit) {
            (DefaultTransport::Livekit, Some(livekit)) => {
                let token = region.mint_livekit(room, address, &livekit.keys)?;
                Ok(format!("livekit:{}?access_token={token}", livekit.url.as_ref().unwrap_or(&origin)))
            }
            _ => {
                let url = format!("{origin}/rooms/{room}");
                Ok(format!("ws-room:{url}?access_token={}", region.mint(room, address, &url)?))
            }
        }
    }
}

/// Who signed the request, or what to answer.
async fn identify(
    doorway: &Doorway,
    ClientAddress(from): ClientAddress,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Address, (StatusCode, String)> {
    let counters = doorway.counters().of(DoorName::SignedLogin);
    if !doorway.allows(headers) {
        counters.refused(Refusal::Origin);
        return Err((StatusCode::FORBIDDEN, "pages of this origin may not open sessions here".to_owned()));
    }
    let (request, auth_chain_json) = read(uri.path(), headers).map_err(|error| {
        counters.refused(Refusal::Unauthorized);
        (error.status(), error.to_string())
    })?;
    // Whoever waits to be judged is among those who have not logged in.
    let waiting = doorway.wait(from, counters).ok_or_else(too_many)?;
    let identified = tokio::select! {
        identified = doorway.region.identify(request, auth_chain_json) => identified,
        () = waiting.evicted() => {
            counters.refused(Refusal::Crowded);
            return Err(too_many());
        }
    };
    identified.inspect(|_| counters.logins.add(1)).map_err(|error| {
        tracing::debug!("a signed login was refused: {error}");
        counters.refused(Refusal::of(&error));
        (status(&error), words(&error))
    })
}

async fn wrong_method() -> Response {
    let answer = refused(StatusCode::METHOD_NOT_ALLOWED, "this is asked by POST");
    ([(header::ALLOW, "POST")], answer).into_response()
}

fn too_many() -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, "too many wait to log in".to_owned())
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

fn status(error: &LoginError) -> StatusCode {
    match error {
        LoginError::Unauthorized(AuthError::Malformed(_)) => StatusCode::BAD_REQUEST,
        LoginError::Unauthorized(_) | LoginError::OtherSigner | LoginError::SignedFetch(_) => StatusCode::UNAUTHORIZED,
        LoginError::TooManyContracts => StatusCode::UNAUTHORIZED,
        LoginError::NoEthereumNode(_) | LoginError::Busy | LoginError::Full | LoginError::Ending => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        LoginError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn words(error: &LoginError) -> String {
    match error {
        // Which node, and what it said, is for the log.
        LoginError::NoEthereumNode(_) => "the Ethereum node could not be asked".to_owned(),
        error => error.to_string(),
    }
}
