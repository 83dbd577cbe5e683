//! The first message of a session, or of a session that goes on.

use super::door::Door;
use atoll_core::Address;
use atoll_proto::archipelago::WelcomeMessage;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::atoll::{Limits, Received, Welcome};
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;
use atoll_proto::lanes::{MAX_LARGE, MAX_ORDERED};

/// What a client is told first, whether its session is new or goes on.
pub(super) fn welcome(door: &Door, address: Address, token: String, resumed: Option<Received>) -> ToClient {
    let heartbeat_interval = door.region().settings().heartbeat_interval;
    let milliseconds = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    ToClient::Welcome(Welcome {
        welcome: Some(WelcomeMessage { peer_id: address.to_string() }),
        limits: Some(Limits {
            max_message_bytes: MAX_MESSAGE as u32,
            max_payload_bytes: MAX_PAYLOAD as u32,
            heartbeat_interval_ms: milliseconds(heartbeat_interval),
            max_ordered_bytes: MAX_ORDERED as u32,
            max_large_bytes: MAX_LARGE as u32,
        }),
        resume_token: token,
        resume_window_ms: milliseconds(door.settings().resume_window),
        resumed,
    })
}
