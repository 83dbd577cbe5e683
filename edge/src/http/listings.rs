//! Who is where, in the shapes of the original statistics service: peers, parcels, islands.
//!
//! | path, also below `/comms` | answer |
//! |---|---|
//! | `/peers`, `/peers?id=…&id=…` | `{ok, peers: [{id, address, lastPing, parcel, position}]}` |
//! | `/peers/<address>` | `{ok, peer}`; 404 with `peer: null` when it is not here |
//! | `/parcels`, `/stats/parcels` | `{parcels: [{peersCount, parcel: {x, y}}]}` |
//! | `/islands` | `{ok, islands: [{id, maxPeers, center, radius, peers}]}` |
//! | `/islands/<id>` | one of them; 404 without a body when it is not here |
//! | `/core-status` | `{healthy, userCount}` |
//! | `/hot-scenes` | `[{id, name, baseCoords, usersTotalCount, parcels, …}]`: see `hot_scenes` |

use super::Shared;
use super::hot_scenes::hot_scenes;
use atoll_core::Address;
use atoll_core::census::{Island, Peer};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/peers", get(peers))
        .route("/peers/{address}", get(peer))
        .route("/parcels", get(parcels))
        .route("/stats/parcels", get(parcels))
        .route("/islands", get(islands))
        .route("/islands/{id}", get(island))
        .route("/core-status", get(core_status))
        .route("/hot-scenes", get(hot_scenes))
}

async fn peers(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Json<Value> {
    let query = query.unwrap_or_default();
    let asked: Vec<Option<Address>> =
        query.split('&').filter_map(|pair| pair.strip_prefix("id=")).map(|id| id.parse().ok()).collect();
    let mut peers = shared.region.census(|census| match asked.is_empty() {
        true => census.peers(),
        false => asked.iter().flatten().filter_map(|address| census.peer(*address)).collect(),
    });
    if !shared.public_peers {
        peers.clear();
    }
    Json(json!({ "ok": true, "peers": peers.iter().map(peer_json).collect::<Vec<_>>() }))
}

async fn peer(State(shared): State<Arc<Shared>>, Path(address): Path<String>) -> Response {
    let address = address.parse::<Address>().ok().filter(|_| shared.public_peers);
    match address.and_then(|address| shared.region.census(|census| census.peer(address))) {
        Some(peer) => Json(json!({ "ok": true, "peer": peer_json(&peer) })).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "ok": false, "peer": null }))).into_response(),
    }
}

async fn parcels(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let parcels = shared.region.census(|census| census.parcels());
    let parcel = |((x, y), count)| json!({ "peersCount": count, "parcel": { "x": x, "y": y } });
    Json(json!({ "parcels": parcels.into_iter().map(parcel).collect::<Vec<_>>() }))
}

async fn islands(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let islands = shared.region.census(|census| census.islands());
    let islands: Vec<_> = islands.iter().map(|island| shared.island_json(island)).collect();
    Json(json!({ "ok": true, "islands": islands }))
}

async fn island(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let islands = shared.region.census(|census| census.islands());
    match islands.iter().find(|island| island.id == id) {
        Some(island) => Json(shared.island_json(island)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn core_status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let users = shared.region.census(|census| census.peers().len());
    Json(json!({ "healthy": shared.failure().is_none() && shared.archipelago().is_some(), "userCount": users }))
}

impl Shared {
    fn island_json(&self, Island { id, center, radius, peers }: &Island) -> Value {
        let listed = if self.public_peers { peers.as_slice() } else { &[] };
        json!({
            "id": id,
            "maxPeers": self.region.settings().archipelago.as_ref().map(|service| service.engine.max_peers),
            "center": [center.x, center.y, center.z],
            "radius": radius,
            "peers": listed.iter().map(peer_json).collect::<Vec<_>>(),
        })
    }
}

fn peer_json(peer: &Peer) -> Value {
    let address = peer.address.to_string();
    let (x, y) = peer.parcel();
    let at = peer.position;
    json!({
        "id": address,
        "address": address,
        "lastPing": peer.last_heartbeat,
        "parcel": [x, y],
        "position": [at.x, at.y, at.z],
    })
}
