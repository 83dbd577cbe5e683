//! What the end-to-end tests of Atoll share: a running edge, clients of it, and waiting for conditions.
//!
//! The edge is the real binary in a process of its own, at free loopback ports, with a state directory of its own. The
//! clients are real, too: `atoll-client` over QUIC, and over WebTransport by another implementation than the edge's.

pub mod any_certificate;
mod ask;
mod edge;
mod hearing;
pub mod kernel;
pub mod livekit;
pub mod nats;
pub mod proxy;
pub mod room;
pub mod websocket;

pub use ask::{Answer, Asked, Upstream, ask, ask_from};
pub use edge::{Edge, binary};
pub use hearing::{Peer, chat, position};

use std::time::Duration;

/// How long anything may take before a test fails: several flushes of the archipelago on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `future`, at most [`PATIENCE`].
///
/// # Panics
/// When it takes longer; `what` says what was waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Asks again and again until `condition` gives something.
///
/// # Panics
/// When it takes longer than [`PATIENCE`]; `what` says what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
