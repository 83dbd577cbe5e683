//! How many requests one address may make.
//!
//! WebSockets are not among them: who waits to log in, and who has, is counted by the doors. Nor are health checks, which
//! must not fail because of others behind the same proxy, nor what browsers ask before a request, which costs as little as a
//! refusal.

use super::counters::Counters;
use atoll_compat::ClientAddress;
use atoll_core::census::Census;
use atoll_core::limit::Throttle;
use atoll_core::region::Region;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses known at a time. Each is forgotten as soon as it has been quiet for a moment.
const MAX_PLACES: usize = 16_384;

/// What an answer costs that is a list, or for which signatures are checked.
pub(super) const DEAR: u32 = 10;

/// What any other costs.
pub(super) const CHEAP: u32 = 1;

/// Peers that make a list of all of them dearer by one: it takes about a microsecond for each.
const PEERS_FOR_ONE: usize = 200;

/// The requests of all addresses. Clones share them.
#[derive(Clone)]
pub(super) struct Rates {
    throttle: Arc<Mutex<Throttle>>,
    /// No request costs more, or it could never be made.
    most: u32,
    started: Instant,
    counters: Arc<Counters>,
}

/// What each request of some routes costs.
#[derive(Clone)]
pub(super) struct Toll {
    rates: Rates,
    cost: u32,
    /// Whose peers make it dearer.
    listed: Option<Region>,
}

impl Rates {
    /// So many requests a second of one address, and `burst` at once after a pause.
    pub(super) fn new(rate: u32, burst: u32, counters: Arc<Counters>) -> Self {
        let throttle = Throttle::new(rate, burst, MAX_PLACES);
        Self { throttle: Arc::new(Mutex::new(throttle)), most: burst, started: Instant::now(), counters }
    }

    /// For routes whose requests cost `cost` each.
    pub(super) fn toll(&self, cost: u32) -> Toll {
        Toll { rates: self.clone(), cost, listed: None }
    }

    /// For routes that list the peers of a region.
    pub(super) fn toll_for_lists(&self, region: &Region) -> Toll {
        Toll { listed: Some(region.clone()), ..self.toll(DEAR) }
    }

    fn take(&self, ClientAddress(from): ClientAddress, cost: u32) -> Result<(), Duration> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.take(from, self.started.elapsed(), cost.min(self.most))
    }
}

impl Toll {
    fn cost(&self) -> u32 {
        // Those of other edges are listed, too.
        let peers = self.listed.as_ref().map_or(0, |region| region.census(Census::len).max(region.sessions()));
        self.cost + u32::try_from(peers / PEERS_FOR_ONE).unwrap_or(u32::MAX - self.cost)
    }
}

/// Lets a request through, or answers 429 and when to come again.
pub(super) async fn limited(State(toll): State<Toll>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<ClientAddress>().copied();
    let Some(Err(wait)) = client.map(|client| toll.rates.take(client, toll.cost())) else {
        return next.run(request).await;
    };
    toll.rates.counters.limited.add(1);
    let seconds = wait.as_secs().saturating_add(1).to_string();
    let message = json!({ "message": "too many requests from your address" });
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], Json(message)).into_response()
}
