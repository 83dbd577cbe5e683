//! What the service tells everybody from time to time: that it is there, and who is where.

use super::engine::Engine;
use crate::COMMIT_HASH;
use crate::bus::{Message, Subject};
use atoll_proto::archipelago as wire;
use prost::Message as _;
use serde_json::json;

/// Says that the service is there, in the JSON of the originals.
pub(super) fn presence(now_millis: u64, peers: usize) -> Option<Message> {
    let mut status = json!({ "currentTime": now_millis, "userCount": peers });
    if let Some(hash) = COMMIT_HASH {
        status["commitHash"] = hash.into();
    }
    let presence = json!({ "serverName": "archipelago", "status": status });
    Some(Message::new(Subject::new("service.discovery").ok()?, presence.to_string()))
}

/// Says who is in which island.
pub(super) fn islands(engine: &Engine) -> Option<Message> {
    let data = engine.islands().map(|island| {
        let circle = island.circle();
        let centre = circle.centre;
        wire::IslandData {
            id: island.id().to_string(),
            peers: island.members().map(|(peer, _)| peer.to_string()).collect(),
            max_peers: u32::try_from(island.max_peers()).unwrap_or(u32::MAX),
            center: Some(wire::Position { x: centre.x as f32, y: centre.y as f32, z: centre.z as f32 }),
            radius: circle.radius,
        }
    });
    let islands = wire::IslandStatusMessage { data: data.collect() };
    Some(Message::new(Subject::new("archipelago.islands").ok()?, islands.encode_to_vec()))
}
