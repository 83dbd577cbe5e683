//! What the scripted edge says.

use super::{CHALLENGE, NEIGHBOUR, NEIGHBOUR_NAME, OWN, TAG, put};
use atoll_proto::archipelago::{ChallengeResponseMessage, IslandChangedMessage, WelcomeMessage};
use atoll_proto::atoll::server_message::Message;
use atoll_proto::atoll::{
    IslandChanged, Limits, Member, Ordered, OrderedMessage, Received, ServerMessage, Welcome, ordered_message,
};
use bytes::Bytes;

pub(crate) fn framed(message: Message) -> Bytes {
    put(&ServerMessage { message: Some(message) })
}

pub(crate) fn challenge() -> Message {
    let challenge_to_sign = CHALLENGE.to_owned();
    Message::ChallengeResponse(ChallengeResponseMessage { challenge_to_sign, ..Default::default() })
}

/// `token` takes the session up later; `resumed` is what the edge has of one that goes on.
pub(crate) fn welcome(address: &str, token: &str, resumed: Option<Received>) -> Message {
    let limits =
        Limits { max_message_bytes: 65_536, max_payload_bytes: 1100, heartbeat_interval_ms: 250, ..Default::default() };
    Message::Welcome(Welcome {
        welcome: Some(WelcomeMessage { peer_id: address.to_owned() }),
        limits: Some(limits),
        resume_token: token.to_owned(),
        resume_window_ms: 60_000,
        resumed,
    })
}

/// Seats the client and one neighbour.
pub(crate) fn seat(address: &str) -> Message {
    let member = |alias, name: &str| Member { alias, name: name.to_owned() };
    let island = IslandChangedMessage { island_id: "I1".to_owned(), ..Default::default() };
    Message::IslandChanged(IslandChanged {
        island: Some(island),
        tag: TAG,
        alias: OWN,
        members: vec![member(OWN, address), member(NEIGHBOUR, NEIGHBOUR_NAME)],
        foreign_transport: None,
        room: String::new(),
    })
}

/// An ordered message of the neighbour.
pub(crate) fn ordered(number: u64, payload: &str) -> OrderedMessage {
    let sender = Some(Member { alias: NEIGHBOUR, name: NEIGHBOUR_NAME.to_owned() });
    let ordered = Ordered { tag: TAG, number, sender, payload: payload.as_bytes().to_vec() };
    OrderedMessage { message: Some(ordered_message::Message::Ordered(ordered)) }
}
