//! LiveKit's server API: programs list and govern rooms as they do with a livekit-server, and are told by webhooks who comes and
//! goes.
//!
//! `POST /twirp/livekit.RoomService/<method>`, with a token whose grants allow it: `roomList` to list rooms, `roomCreate` to make
//! and end them, `roomAdmin` and the room for all else. Everybody who has a seat in a room is a participant, by whatever door. What
//! of LiveKit's API is not here answers `unimplemented`.

mod book;
mod kept;
mod methods;
mod twirp;
mod webhooks;

pub(super) use book::Book;
pub use webhooks::WebhookReceiver;
pub(super) use webhooks::Webhooks;

use super::request;
use super::rooms::Rooms;
use crate::counters::ApiCounters;
use atoll_core::auth::{LivekitCaller, LivekitKeys};
use atoll_core::region::Region;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use methods::Methods;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use twirp::{Code, Format, TwirpError};

/// Largest request, in bytes: metadata and attributes of the largest size, with what JSON puts around them.
const MAX_REQUEST: usize = 256 * 1024;

/// The service that is served.
const ROOM_SERVICE: &str = "livekit.RoomService";

/// Those of LiveKit that are not.
const OTHER_SERVICES: [&str; 6] = [
    "livekit.Egress",
    "livekit.Ingress",
    "livekit.SIP",
    "livekit.AgentDispatchService",
    "livekit.Connector",
    "livekit.PhoneNumberService",
];

/// What the API is made of.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) region: Region,
    pub(super) keys: LivekitKeys,
    pub(super) rooms: Arc<Rooms>,
    pub(super) book: Arc<Book>,
    pub(super) counters: Arc<ApiCounters>,
}

/// The routes of the API.
pub(super) fn routes(api: Api) -> Router {
    Router::new().route("/twirp/{*path}", any(serve)).with_state(api)
}

async fn serve(State(api): State<Api>, Path(path): Path<String>, request: Request) -> Response {
    match api.answer(&path, request).await {
        Ok(answer) => {
            api.counters.answered.add(1);
            answer
        }
        Err(error) => {
            tracing::debug!("a call of LiveKit's API, {path}, was refused: {error:?}");
            api.counters.refused.add(1);
            error.into_response()
        }
    }
}

impl Api {
    async fn answer(&self, path: &str, request: Request) -> Result<Response, TwirpError> {
        let (service, method) = path.split_once('/').unwrap_or((path, ""));
        let is_method = !method.is_empty() && !method.contains('/');
        let is_known = service == ROOM_SERVICE || OTHER_SERVICES.contains(&service);
        if !is_known || !is_method {
            return Err(Code::BadRoute.error(format!("no handler for path /twirp/{path}")));
        }
        if request.method() != Method::POST {
            return Err(Code::BadRoute.error("only POST is allowed"));
        }
        let format = Format::of(request.headers()).ok_or_else(|| Code::BadRoute.error("unexpected Content-Type"))?;
        let caller = self.caller(&request)?;
        if service != ROOM_SERVICE {
            return Err(Code::Unimplemented.error(format!("{service} is not served here")));
        }
        let body = to_bytes(request.into_body(), MAX_REQUEST).await;
        let body = body.map_err(|_| {
            Code::Malformed.error(format!("the request broke off, or is larger than {MAX_REQUEST} bytes"))
        })?;
        let methods = Methods { api: self, caller };
        match method {
            "ListRooms" => format.write(&methods.list_rooms(format.read(&body)?)?),
            "CreateRoom" => format.write(&methods.create_room(format.read(&body)?)?),
            "DeleteRoom" => format.write(&methods.delete_room(format.read(&body)?).await?),
            "ListParticipants" => format.write(&methods.list_participants(format.read(&body)?)?),
            "GetParticipant" => format.write(&methods.participant(format.read(&body)?)?),
            "RemoveParticipant" => format.write(&methods.remove_participant(format.read(&body)?).await?),
            "UpdateParticipant" => format.write(&methods.update_participant(format.read(&body)?)?),
            "UpdateRoomMetadata" => format.write(&methods.update_room_metadata(format.read(&body)?)?),
            "SendData" => format.write(&methods.send_data(format.read(&body)?).await?),
            _ => Err(Code::Unimplemented.error(format!("{method} is not served here"))),
        }
    }

    fn caller(&self, request: &Request) -> Result<LivekitCaller, TwirpError> {
        let token = request::token(request.uri(), request.headers());
        let token = token.ok_or_else(|| Code::Unauthenticated.error("there is no token"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.keys.caller(&token, now).map_err(|error| Code::Unauthenticated.error(error.to_string()))
    }
}
