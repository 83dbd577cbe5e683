//! The bus on a NATS cluster, by the documented subjects, so that each half of a region can run elsewhere or be another
//! program.
//!
//! Inside the process it is a bus like the embedded one: whatever is published here is heard here at once, whether there
//! is a server or not. Beside that everything goes to the cluster, in the spellings that others know, and what others publish
//! there is heard here by one name each. So a cluster that is lost takes the others away and nothing else.

mod connection;
mod counters;
mod events;
mod heard;
mod incoming;
mod options;
mod payloads;
mod subjects;

pub use counters::NatsStatus;
pub use options::{Credentials, NatsOptions, NatsUrl, NatsUrlError};
pub use subjects::Spellings;

use atoll_core::bus::{Bus, Feed, LocalBus, Message, Pattern, PublishError};
use counters::Counters;
use heard::Heard;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// Messages that may wait to be sent. When a crowd comes at once, one flush tells of all of it: two messages for each peer.
const PENDING: usize = 524_288;

/// Bytes of payloads that may wait to be sent: the island changes of thirty thousand peers in full islands.
const PENDING_BYTES: u64 = 256 << 20;

/// Bytes that may wait while no server answers. What is old when it arrives is worth little.
const PENDING_BYTES_AWAY: u64 = 32 << 20;

/// The header of a message that says again, in another spelling, what was said already. Who knows both passes it over.
pub const MIRROR_HEADER: &str = "Atoll-Mirror";

/// Why there is no such bus.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// A file of credentials, roots, certificate or key cannot be used.
    #[error("cannot use {} for NATS: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The nkey is no seed of a user.
    #[error("nats.nkey is no seed of an nkey: {0}")]
    Nkey(nkeys::error::Error),
    /// The options cannot be used. That no server answers is no such error: it is tried on.
    #[error("cannot set up NATS: {0}")]
    Setup(String),
}

/// A bus that others share. Dropping it leaves the cluster.
pub struct NatsBus {
    local: Arc<LocalBus>,
    heard: Arc<Heard>,
    pending: mpsc::Sender<Message>,
    counters: Arc<Counters>,
    connected: watch::Receiver<bool>,
    tasks: Vec<AbortHandle>,
}

impl NatsBus {
    /// Joins a cluster, now or when a server answers.
    ///
    /// # Errors
    /// [`NatsError`].
    pub async fn open(options: NatsOptions) -> Result<Self, NatsError> {
        let (pending, queue) = mpsc::channel(PENDING);
        let (local, counters) = (Arc::<LocalBus>::default(), Arc::<Counters>::default());
        let heard = Arc::<Heard>::default();
        let (tasks, connected) =
            connection::open(options, Arc::clone(&local), queue, Arc::clone(&heard), Arc::clone(&counters)).await?;
        Ok(Self { local, heard, pending, counters, connected, tasks })
    }

    /// Whether a server answers, to be waited for.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// What it counts.
    pub fn status(&self) -> NatsStatus {
        self.counters.status(*self.connected.borrow())
    }

    /// Queues a message for the cluster, or counts why not.
    fn send(&self, message: &Message) {
        let is_connected = *self.connected.borrow();
        let (kind, _) = subjects::copies(message.subject.as_str(), NO_COPIES);
        if !is_connected && kind == subjects::Kind::Heartbeat {
            // There will be a newer one before the cluster is back.
            return self.counters.stale.add(1);
        }
        let size = message.payload.len() as u64;
        let most = if is_connected { PENDING_BYTES } else { PENDING_BYTES_AWAY };
        if self.counters.pending_bytes.value() + size > most {
            return self.counters.dropped.add(1);
        }
        self.counters.pending_bytes.add(size);
        if self.pending.try_send(message.clone()).is_err() {
            self.counters.pending_bytes.subtract(size);
            self.counters.dropped.add(1);
        }
    }
}

const NO_COPIES: Spellings = Spellings { engine: false, documented: false, documented_heartbeats: false };

impl Bus for NatsBus {
    /// What the cluster does not get is counted and no error: whoever is here has heard it.
    fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.heard.forget_on_login(message.subject.as_str());
        self.send(&message);
        self.local.publish(message)
    }

    fn attach(&self, patterns: &[Pattern], feed: Feed) {
        self.local.attach(patterns, feed);
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
