//! `/about`: how clients find the doors.

use super::{Addresses, Shared};
use crate::native::SUBPROTOCOL;
use atoll_certs::Kind;
use atoll_core::auth::ServerName;
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;
use atoll_proto::lanes::{MAX_LARGE, MAX_ORDERED};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What `/about` tells of this edge.
#[derive(Debug, Clone)]
pub struct About {
    /// The realm's name.
    pub server_name: ServerName,
    /// Where the doors are.
    pub addresses: Addresses,
    /// How often a heartbeat is expected.
    pub heartbeat_interval: Duration,
}

/// Decentraland's shape (ADR-110), with the native doors under `comms.atoll`. Who is not healthy says so by its status, too.
pub(super) async fn about(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let About { server_name, addresses, heartbeat_interval } = &shared.about;
    let (alive, ready) = (shared.failure().is_none(), shared.is_ready());
    let certificate = shared.certificate.certificate();
    let users = shared.region.sessions();
    let mut about = json!({
        "healthy": ready,
        "acceptingUsers": ready,
        "configurations": {
            "globalScenesUrn": [],
            "scenesUrn": [],
            "realmName": server_name.as_str(),
        },
        "comms": {
            "healthy": ready && alive,
            "protocol": "v3",
            "usersCount": users,
            "adapter": format!("archipelago:archipelago:{}/archipelago/ws", addresses.websocket_origin(&headers)),
            "atoll": {
                "webtransport": addresses.webtransport(&headers),
                "quic": addresses.quic(&headers),
                "websocket": addresses.websocket(&headers),
                "protocol": SUBPROTOCOL,
                "limits": {
                    "maxMessageBytes": MAX_MESSAGE,
                    "maxPayloadBytes": MAX_PAYLOAD,
                    "maxOrderedBytes": MAX_ORDERED,
                    "maxLargeBytes": MAX_LARGE,
                    "heartbeatIntervalMs": heartbeat_interval.as_millis() as u64,
                },
            },
        },
        // Kernels append `rpc`. They want a healthy one, whatever else is ill.
        "bff": { "healthy": true, "userCount": users, "protocolVersion": "1.0", "publicUrl": "/" },
    });
    // Clients that trust a certificate by its hash alone must not be told one that the next renewal changes unannounced.
    if certificate.kind() == Kind::Development {
        about["comms"]["atoll"]["certificateSha256"] = certificate.sha256_hex().into();
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(about))
}
