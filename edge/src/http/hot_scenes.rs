//! `/hot-scenes`: the scenes that most peers stand in.
//!
//! The shape is the original statistics service's, with `realms` as the lambdas have it: one entry, this region. Without a
//! content server nobody knows what stands on a parcel, and the list is empty.

use super::Shared;
use crate::outbound::Scene;
use atoll_core::census::Parcel;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most scenes told.
const MAX_SCENES: usize = 100;

/// Most peers of a scene whose parcel is told.
const MAX_USER_PARCELS: usize = 1_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HotScene {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    base_coords: Parcel,
    users_total_count: usize,
    parcels: Vec<Parcel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    realms: [Realm; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Realm {
    server_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    users_count: usize,
    max_users: usize,
    /// One for each peer.
    user_parcels: Vec<Parcel>,
}

/// The most crowded scene first.
pub(super) async fn hot_scenes(State(shared): State<Arc<Shared>>) -> Json<Vec<HotScene>> {
    let peers = shared.region.census(|census| census.parcels());
    let mut parcels: Vec<Parcel> = peers.keys().copied().collect();
    parcels.sort_by_key(|parcel| Reverse(peers.get(parcel).copied()));
    let scenes = shared.scenes.on(&parcels).await;
    let mut scenes: Vec<HotScene> = scenes.iter().map(|scene| shared.hot_scene(scene, &peers)).collect();
    scenes.sort_by_key(|scene| Reverse(scene.users_total_count));
    scenes.truncate(MAX_SCENES);
    Json(scenes)
}

impl Shared {
    fn hot_scene(&self, scene: &Scene, peers: &BTreeMap<Parcel, usize>) -> HotScene {
        let users = |parcel: &Parcel| peers.get(parcel).copied().unwrap_or(0);
        let users_count = scene.parcels.iter().map(users).sum();
        let user_parcels = scene.parcels.iter().flat_map(|parcel| std::iter::repeat_n(*parcel, users(parcel)));
        let realm = Realm {
            server_name: self.about.server_name.to_string(),
            url: self.about.addresses.public.http_url.as_ref().map(ToString::to_string),
            users_count,
            max_users: self.region.settings().max_sessions,
            user_parcels: user_parcels.take(MAX_USER_PARCELS).collect(),
        };
        HotScene {
            id: scene.id.clone(),
            name: scene.name.clone(),
            base_coords: scene.base,
            users_total_count: users_count,
            parcels: scene.parcels.clone(),
            thumbnail: scene.thumbnail.clone(),
            creator: scene.creator.clone(),
            project_id: scene.project_id.clone(),
            description: scene.description.clone(),
            realms: [realm],
        }
    }
}
