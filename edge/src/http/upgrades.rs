//! Connections that stop speaking HTTP and stay: they have places of their own, so that they take none of HTTP's.

use super::counters::Counters;
use super::lingering::Place;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for connections that are upgraded.
#[derive(Clone)]
pub(super) struct Upgrades {
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl Upgrades {
    /// At most `most` upgraded connections at a time.
    pub(super) fn new(most: usize, counters: Arc<Counters>) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), counters }
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

/// Gives the connection of a request for an upgrade a place, or answers 503 when there is none. The connection holds its
/// place until it ends.
pub(super) async fn bound(State(upgrades): State<Upgrades>, request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Place>();
    if let Some(held) =
        connection.filter(|held| request.headers().contains_key(header::UPGRADE) && held.get().is_none())
    {
        let Some(place) = upgrades.place() else {
            upgrades.counters.upgrades_refused.add(1);
            return (StatusCode::SERVICE_UNAVAILABLE, "too many connections").into_response();
        };
        // Requests of one connection come one after the other: nobody else has set it meanwhile.
        let _ = held.set(place);
    }
    next.run(request).await
}
