//! `/about`: how clients find the doors.

use super::Shared;
use crate::quic::{SUBPROTOCOL, WEBTRANSPORT_PATH};
use atoll_core::auth::ServerName;
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What `/about` tells of this edge.
#[derive(Debug, Clone)]
pub struct About {
    /// The realm's name.
    pub server_name: ServerName,
    /// Where QUIC listens.
    pub quic: SocketAddr,
    /// The development certificate's hash in hex.
    pub certificate_sha256: String,
    /// How often a heartbeat is expected.
    pub heartbeat_interval: Duration,
}

/// Decentraland's shape (ADR-110), with the native doors under `comms.atoll`.
pub(super) async fn about(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Json<Value> {
    let about = &shared.about;
    let quic = reachable(about.quic, &headers);
    let ready = !shared.draining.load(Ordering::Relaxed);
    Json(json!({
        "healthy": ready,
        "acceptingUsers": ready,
        "configurations": {
            "globalScenesUrn": [],
            "scenesUrn": [],
            "realmName": about.server_name.as_str(),
        },
        "comms": {
            "healthy": ready,
            "protocol": "v3",
            "usersCount": shared.region.status().sessions,
            "atoll": {
                "webtransport": format!("https://{quic}{WEBTRANSPORT_PATH}"),
                "quic": quic,
                "protocol": SUBPROTOCOL,
                "certificateSha256": about.certificate_sha256,
                "limits": {
                    "maxMessageBytes": MAX_MESSAGE,
                    "maxPayloadBytes": MAX_PAYLOAD,
                    "heartbeatIntervalMs": about.heartbeat_interval.as_millis() as u64,
                },
            },
        },
    }))
}

/// The address to hand out. A socket on all interfaces has none of its own: the client found us under some name, and
/// that name leads here.
fn reachable(quic: SocketAddr, headers: &HeaderMap) -> String {
    if !quic.ip().is_unspecified() {
        return quic.to_string();
    }
    let authority = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    let authority: Option<axum::http::uri::Authority> = authority;
    let host = authority.as_ref().map_or("127.0.0.1", axum::http::uri::Authority::host);
    format!("{host}:{}", quic.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(quic: &str, host: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        reachable(quic.parse().unwrap(), &headers)
    }

    #[test]
    fn a_socket_on_all_interfaces_is_named_as_the_client_found_us() {
        assert_eq!(handed_out("127.0.0.1:7443", Some("other:80")), "127.0.0.1:7443");
        assert_eq!(handed_out("0.0.0.0:7443", Some("edge.example:7480")), "edge.example:7443");
        assert_eq!(handed_out("[::]:7443", Some("[::1]:7480")), "[::1]:7443");
        assert_eq!(handed_out("0.0.0.0:7443", Some("not a host")), "127.0.0.1:7443");
        assert_eq!(handed_out("0.0.0.0:7443", None), "127.0.0.1:7443");
    }
}
