//! Which fields each message has: prost's types cannot tell.

use atoll_proto::{archipelago, archipelago_2022, rfc4, rfc5};
use serde_json::{Map, Value, json};

use super::{Json, camel, object};

macro_rules! messages {
    ($($module:ident::$message:ident { $($field:ident),* })*) => {$(
        impl Json for $module::$message {
            fn json(&self) -> Option<Value> {
                let fields = [$((camel(stringify!($field)), self.$field.json())),*];
                let set = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
                Some(Value::Object(Map::from_iter(set)))
            }
        }
    )*};
}

macro_rules! oneofs {
    ($($module:ident::$message:ident { $($case:ident),* })*) => {$(
        impl Json for $module::$message::Message {
            fn json(&self) -> Option<Value> {
                let (name, value) = match self {
                    $(Self::$case(value) => (camel(stringify!($case)), value.json()?),)*
                };
                Some(json!({ "$case": name, name: value }))
            }
        }
    )*};
}

macro_rules! maps {
    ($($module:ident::$message:ident::$entry:ident)*) => {$(
        impl Json for Vec<$module::$message::$entry> {
            fn json(&self) -> Option<Value> {
                Some(object(self.iter().map(|entry| (&entry.key, entry.value.json()))))
            }
        }
    )*};
}

messages! {
    archipelago::Position { x, y, z }
    archipelago::Heartbeat { position, desired_room }
    archipelago::IslandChangedMessage { island_id, conn_str, from_island_id, peers }
    archipelago::LeftIslandMessage { island_id, peer_id }
    archipelago::JoinIslandMessage { island_id, peer_id }
    archipelago::IslandData { id, peers, max_peers, center, radius }
    archipelago::IslandStatusMessage { data }
    archipelago::ChallengeRequestMessage { address }
    archipelago::ChallengeResponseMessage { challenge_to_sign, already_connected }
    archipelago::SignedChallengeMessage { auth_chain_json }
    archipelago::WelcomeMessage { peer_id }
    archipelago::KickedMessage { reason }
    archipelago::ClientPacket { message }
    archipelago::ServerPacket { message }
    archipelago::TransportInit { r#type, max_island_size }
    archipelago::TransportHeartbeat { available_seats, users_count }
    archipelago::TransportAuthorizationRequest { request_id, room_id, user_ids }
    archipelago::TransportAuthorizationResponse { request_id, conn_strs }
    archipelago::TransportMessage { message }
    archipelago::ServiceDiscoveryMessage { server_name, status }
    archipelago::ServiceStatus { current_time, commit_hash, user_count }

    archipelago_2022::Position3DMessage { x, y, z }
    archipelago_2022::IslandChangedMessage { island_id, conn_str, from_island_id, peers }
    archipelago_2022::IslandData { id, peers, max_peers, center, radius }
    archipelago_2022::IslandStatusMessage { data }

    rfc4::Packet { message }
    rfc4::Position { index, position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w }
    rfc4::AnnounceProfileVersion { profile_version }
    rfc4::ProfileRequest { address, profile_version }
    rfc4::ProfileResponse { serialized_profile, base_url }
    rfc4::Chat { message, timestamp }
    rfc4::Scene { scene_id, data }
    rfc4::Voice { encoded_samples, index, codec }

    rfc5::WsPacket { message }
    rfc5::WsWelcome { alias, peer_identities }
    rfc5::WsPeerJoin { alias, address }
    rfc5::WsPeerLeave { alias }
    rfc5::WsPeerUpdate { from_alias, body, unreliable }
    rfc5::WsChallengeRequired { challenge_to_sign, already_connected }
    rfc5::WsSignedChallenge { auth_chain_json }
    rfc5::WsIdentification { address }
    rfc5::WsKicked { reason }
}

oneofs! {
    archipelago::client_packet { ChallengeRequest, SignedChallenge, Heartbeat }
    archipelago::server_packet { ChallengeResponse, Welcome, IslandChanged, LeftIsland, JoinIsland, Kicked }
    archipelago::transport_message { Init, Heartbeat, AuthRequest, AuthResponse }
    rfc4::packet { Position, ProfileVersion, ProfileRequest, ProfileResponse, Chat, Scene, Voice }
    rfc5::ws_packet {
        WelcomeMessage, PeerJoinMessage, PeerUpdateMessage, ChallengeMessage, SignedChallengeForServer, PeerLeaveMessage,
        PeerIdentification, PeerKicked
    }
}

maps! {
    archipelago::island_changed_message::PeersEntry
    archipelago_2022::island_changed_message::PeersEntry
    archipelago::transport_authorization_response::ConnStrsEntry
    rfc5::ws_welcome::PeerIdentitiesEntry
}
