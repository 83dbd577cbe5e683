//! How a client comes in.

use super::data::{Words, sid};
use super::departed::Departed;
use super::link::RoomLink;
use super::lobby::Return;
use super::mailbox::Mailbox;
use super::participant::Participant;
use super::peer::Peer;
use super::quality::Quality;
use super::request::{self, RequestError, Wish};
use super::routes::Side;
use super::signals::{Signals, come_again, go};
use super::speech::Speech;
use super::talk::Talk;
use super::tracks::{Heard, Published, livekit_source};
use super::{Door, SEATS_OF_ADDRESS};
use crate::counters::{DoorName, Refusal};
use crate::doorway::{Arrival, ClientAddress};
use crate::ended::Ended;
use crate::socket::Socket;
use atoll_core::auth::{LivekitGrants, LivekitToken, LivekitTokenError};
use atoll_core::region::{Grant, GrantError, JoinFailed, Right, Transport, VerifiedToken};
use atoll_core::room::Sender;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use livekit_protocol::participant_info::State as ParticipantState;
use livekit_protocol::{DisconnectReason, ParticipantInfo, ParticipantPermission};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// Largest signal, in bytes: a session description of many sections.
const MAX_SIGNAL: u64 = 512 * 1024 + 4096;

/// How long a last message may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why somebody may not come in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no permissions to access the room: {0}")]
    Token(#[from] LivekitTokenError),
    #[error("no permissions to access the room: there is no token")]
    NoToken,
    #[error("no permissions to access the room: {0}")]
    Grant(#[from] GrantError),
    #[error("{0}")]
    Request(#[from] RequestError),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        // 404 would tell clients that this server does not know their version; so it is not used for rooms.
        let status = match &self {
            Self::Token(error) if error.is_forbidden() => StatusCode::FORBIDDEN,
            Self::Token(_) | Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Grant(_) => StatusCode::FORBIDDEN,
            Self::Request(_) => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

pub(super) async fn enter_pair(
    State(door): State<Door>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    let wish = request::read_pair(request.uri());
    enter(door, client, request, wish).await
}

pub(super) async fn enter_single(
    State(door): State<Door>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Response {
    match request::read_single(request.uri()) {
        Ok(wish) => enter(door, client, request, wish).await,
        Err(error) => refuse(&door, error.into()),
    }
}

/// Says what the other two would have said.
pub(super) async fn validate(State(door): State<Door>, uri: Uri, headers: HeaderMap) -> Response {
    let answer = match admit(&door, &uri, &headers).await {
        Ok(_) => (StatusCode::OK, "success").into_response(),
        Err(refused) => refused.into_response(),
    };
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], answer).into_response()
}

async fn enter(door: Door, client: ClientAddress, request: Request, wish: Wish) -> Response {
    let (token, grant) = match admit(&door, request.uri(), request.headers()).await {
        Ok(admitted) => admitted,
        Err(refused) => return refuse(&door, refused),
    };
    let doorway = door.doorway.clone();
    doorway.upgrade(DoorName::Livekit, client, request, move |socket, arrival| {
        serve(door, socket, arrival, token, grant, wish)
    })
}

fn refuse(door: &Door, refused: Refused) -> Response {
    tracing::debug!("a LiveKit client was refused: {refused}");
    door.doorway.counters().of(DoorName::Livekit).refused(Refusal::Unauthorized);
    refused.into_response()
}

/// Who a request's token lets in.
async fn admit(door: &Door, uri: &Uri, headers: &HeaderMap) -> Result<(LivekitToken, Grant), Refused> {
    let token = request::token(uri, headers).ok_or(Refused::NoToken)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let token = door.keys.read(&token, now)?;
    let (address, session, hidden) = (token.address()?, token.session, token.grants.hidden);
    let verified = VerifiedToken { address, session, hidden };
    let grant = door.doorway.region.grant_in(&token.room, Right::Verified(verified)).await?;
    Ok((token, grant))
}

async fn serve(door: Door, socket: Socket, arrival: Arrival, token: LivekitToken, grant: Grant, wish: Wish) {
    socket.allow(MAX_SIGNAL);
    if let Some(sid) = wish.resumes.clone() {
        let (room, identity) = (token.room.clone(), token.identity.clone());
        let returned = Box::new(Return { socket, wish });
        let Err(returned) = door.lobby.hand_over(&room, &identity, &sid, returned) else { return };
        return turn_away(&door, returned.socket, Ended::SessionOver).await;
    }
    let from = arrival.from;
    let counters = Arc::clone(&arrival.counters);
    let Sender::Peer(address) = *grant.sender() else { return turn_away(&door, socket, Ended::NoRoom).await };
    let Some(_occupied) = door.occupancy.enter_below(grant.room().clone(), address, SEATS_OF_ADDRESS) else {
        let signals = Signals::new(Arc::clone(&door.budget), Arc::clone(&door.counters));
        // It has others to leave before it may come again.
        signals.leave(go(DisconnectReason::JoinFailure), Ended::Evicted);
        return say_and_close(socket, &signals, Ended::Evicted).await;
    };
    let Some(spot) = door.crowd.enter(from) else { return turn_away(&door, socket, Ended::Evicted).await };
    let client = door.doorway.region.capabilities(&grant);
    let is_older = client.includes(Transport::FirstWsRoom) && !client.includes(Transport::WsRoom);
    let words = if is_older { Words::Older } else { Words::Rfc4 };
    let mailbox = Arc::new(Mailbox::new(words, Arc::clone(&door.budget), Arc::clone(&door.counters)));
    let link = RoomLink::new(Arc::clone(&mailbox), Arc::clone(&door.counters));
    let sender = grant.sender().clone();
    let info = info(&token);
    let expected = door.book.expect(grant.room(), &sender, info.clone());
    let seat = match door.doorway.region.join(grant, Box::new(link)).await {
        Ok(seat) => seat,
        Err(failed) => {
            let ended = match failed {
                JoinFailed::Stale => Ended::SessionOver,
                JoinFailed::Full => Ended::RoomFull,
                JoinFailed::Ending => Ended::Ending,
            };
            return turn_away(&door, socket, ended).await;
        }
    };
    // A reseat is no visit that would have asked for it.
    drop(expected);
    counters.logins.add(1);
    // From here on the seat counts, and not the wait for it.
    drop(arrival);
    let (alias, tag) = (seat.alias(), seat.tag());
    let name: Arc<str> = sid(alias, &sender).into();
    let info = ParticipantInfo { sid: name.to_string(), identity: sender.to_string(), ..info };
    let place = door.rooms.enter(tag, alias, Arc::clone(&mailbox), info);
    let entry = door.lobby.enter(&token.room, &token.identity, &name, place.number());
    let candidates = door.ports.candidates(from);
    let peer = |side| Peer::new(side, &door.certificate, candidates.clone(), door.ports.has_tcp());
    let subscriber = (!wish.dialect.is_single()).then(|| peer(Side::Subscriber));
    tracing::debug!(sid = &*name, client = wish.client, "a LiveKit client came in");
    let participant = Participant {
        dialect: wish.dialect,
        sid: name,
        alias,
        talk: Talk::new(seat, Arc::clone(place.room()), door.doorway.region.pace(), Arc::clone(&door.counters)),
        place,
        mailbox,
        inbox: door.ports.inbox(),
        publisher: peer(Side::Publisher),
        subscriber,
        signals: Signals::new(Arc::clone(&door.budget), Arc::clone(&door.counters)),
        others: BTreeMap::new(),
        departed: Departed::default(),
        counted_at: None,
        owes_count: false,
        published: Published::default(),
        heard: Heard::new(wish.auto_subscribe),
        speech: Speech::new(),
        quality: Quality::new(Instant::now()),
        last_number: 0,
        owes_offer: false,
        has_joined: false,
        first: Some(wish),
        is_active: false,
        full_since: None,
        refresh_at: Instant::now(),
        patience: Participant::first_patience(),
        token,
        door,
    };
    let ended = participant.run(socket, entry, spot).await;
    tracing::debug!("a LiveKit client has gone: {ended}");
}

/// Tells a client that its seat is not to be had, and to begin anew.
async fn turn_away(door: &Door, socket: Socket, ended: Ended) {
    let signals = Signals::new(Arc::clone(&door.budget), Arc::clone(&door.counters));
    signals.leave(come_again(DisconnectReason::StateMismatch), ended.clone());
    say_and_close(socket, &signals, ended).await;
}

async fn say_and_close(mut socket: Socket, signals: &Signals, ended: Ended) {
    let saying = async { while socket.receive_sending(&**signals.outgoing()).await.is_ok() {} };
    let _ = timeout(FAREWELL, saying).await;
    socket.close(&ended).await;
}

/// What a token allows, as LiveKit's messages have it.
fn permission(grants: &LivekitGrants) -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: grants.can_subscribe,
        can_publish: grants.can_publish,
        can_publish_data: grants.can_publish_data,
        can_publish_sources: grants.can_publish_sources.iter().map(|source| livekit_source(*source)).collect(),
        hidden: grants.hidden,
        can_update_metadata: grants.can_update_own_metadata,
        ..Default::default()
    }
}

fn info(token: &LivekitToken) -> ParticipantInfo {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ParticipantInfo {
        state: ParticipantState::Joined as i32,
        name: token.name.clone(),
        metadata: token.metadata.clone().unwrap_or_default(),
        attributes: token.attributes.clone().into_iter().collect(),
        permission: Some(permission(&token.grants)),
        joined_at: now.as_secs() as i64,
        joined_at_ms: now.as_millis() as i64,
        version: 1,
        ..Default::default()
    }
}
