//! `/about`: how clients find the doors.

use super::{Addresses, Shared};
use crate::cluster::Archipelago;
use crate::config::EthereumNetwork;
use crate::native::SUBPROTOCOL;
use crate::outbound::Service;
use atoll_certs::Kind;
use atoll_compat::FixedAdapter;
use atoll_compat::ws_room::MAX_RFC5_FRAME;
use atoll_core::COMMIT_HASH;
use atoll_core::auth::ServerName;
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;
use atoll_proto::lanes::{MAX_LARGE, MAX_ORDERED};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
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
    /// The one room of all kernels; they go by islands when `None`.
    pub fixed_adapter: Option<FixedAdapter>,
    /// The Ethereum network that the realm belongs to.
    pub network: Option<EthereumNetwork>,
}

/// Decentraland's shape (ADR-110) in the order in which the original writes it, with the native doors under `comms.atoll`.
/// What there is nothing to say about is absent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Service>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lambdas: Option<Service>,
    configurations: Configurations,
    comms: Comms,
    bff: Bff,
    accepting_users: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Configurations {
    #[serde(skip_serializing_if = "Option::is_none")]
    network_id: Option<u64>,
    global_scenes_urn: [String; 0],
    scenes_urn: [String; 0],
    realm_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Comms {
    healthy: bool,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed_adapter: Option<String>,
    adapter: String,
    atoll: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bff {
    healthy: bool,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_hash: Option<&'static str>,
    user_count: usize,
    protocol_version: &'static str,
    public_url: &'static str,
}

/// Who is not healthy says so by its status, too, with the same body.
pub(super) async fn about(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> (StatusCode, Json<Body>) {
    let about = &shared.about;
    let users = shared.region.sessions();
    let services = shared.catalyst.services();
    let archipelago = shared.archipelago();
    let comms_are_healthy = shared.is_ready() && (archipelago.is_some() || about.fixed_adapter.is_some());
    let healthy = comms_are_healthy && services.are_healthy();
    let Archipelago { commit_hash, users: users_count } = archipelago.unwrap_or_default();
    let body = Body {
        healthy,
        content: services.content,
        lambdas: services.lambdas,
        configurations: Configurations {
            network_id: about.network.map(EthereumNetwork::id),
            global_scenes_urn: [],
            scenes_urn: [],
            realm_name: about.server_name.to_string(),
        },
        comms: Comms {
            healthy: comms_are_healthy,
            protocol: "v3",
            commit_hash,
            users_count,
            fixed_adapter: about.fixed_adapter.as_ref().map(ToString::to_string),
            adapter: adapter(about, &headers),
            atoll: shared.atoll(&headers),
        },
        // Kernels append `rpc`. They want a healthy one, whatever else is ill.
        bff: Bff {
            healthy: true,
            version: env!("CARGO_PKG_VERSION"),
            commit_hash: COMMIT_HASH,
            user_count: users,
            protocol_version: "1.0",
            public_url: "/",
        },
        accepting_users: healthy && users < shared.region.settings().max_sessions,
    };
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}

/// What explorers since September 2023 read: the one room, or where archipelago is.
fn adapter(About { fixed_adapter, addresses, .. }: &About, headers: &HeaderMap) -> String {
    match fixed_adapter {
        Some(fixed) => format!("fixed-adapter:{fixed}"),
        None => format!("archipelago:archipelago:{}/archipelago/ws", addresses.websocket_origin(headers)),
    }
}

impl Shared {
    /// The archipelago service: this process's own, or the one that was heard of.
    pub(super) fn archipelago(&self) -> Option<Archipelago> {
        if self.cluster.roles().archipelago {
            let users = Some(self.region.sessions() as u64);
            return Some(Archipelago { commit_hash: COMMIT_HASH.map(str::to_owned), users });
        }
        self.cluster.archipelago()
    }

    /// The native doors.
    fn atoll(&self, headers: &HeaderMap) -> Value {
        let About { addresses, heartbeat_interval, .. } = &self.about;
        let certificate = self.certificate.certificate();
        let mut atoll = json!({
            "webtransport": addresses.webtransport(headers),
            "quic": addresses.quic(headers),
            "websocket": addresses.websocket(headers),
            "protocol": SUBPROTOCOL,
            "limits": {
                "maxMessageBytes": MAX_MESSAGE,
                "maxPayloadBytes": MAX_PAYLOAD,
                "maxOrderedBytes": MAX_ORDERED,
                "maxLargeBytes": MAX_LARGE,
                "maxWsRoomFrameBytes": MAX_RFC5_FRAME,
                "heartbeatIntervalMs": heartbeat_interval.as_millis() as u64,
            },
        });
        if let Some(nats) = self.cluster.nats() {
            atoll["nats"] = if nats.connected { "connected" } else { "lost" }.into();
        }
        // Clients that trust a certificate by its hash alone must not be told one that the next renewal changes unannounced.
        if certificate.kind() == Kind::Development {
            atoll["certificateSha256"] = certificate.sha256_hex().into();
        }
        atoll
    }
}
