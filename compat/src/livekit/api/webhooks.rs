//! What programs are told by themselves: that a room began or ended, that somebody came or left.
//!
//! Each receiver is told one event at a time, in order, and each until it answers or has been asked often enough. Events wait for it
//! meanwhile, up to a bound; what comes then is shed. Nothing else waits for a receiver.

use crate::counters::ApiCounters;
use atoll_core::auth::LivekitKeys;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::future::BoxFuture;
use livekit_protocol::{ParticipantInfo, Room, WebhookEvent};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Events that wait for one receiver.
const WAITING: usize = 1024;

/// How long a receiver may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it is waited before each further try.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Somebody who is told of events.
pub trait WebhookReceiver: Send + Sync + 'static {
    /// Posts `body`, which is `application/webhook+json`, with this `Authorization`. The status of the answer, or why there is none.
    /// Who calls it bounds the time.
    fn post(&self, authorization: String, body: Bytes) -> BoxFuture<'_, Result<u16, String>>;
}

/// The way to all receivers.
pub(in crate::livekit) struct Webhooks {
    queues: Vec<mpsc::Sender<Arc<WebhookEvent>>>,
    counters: Arc<ApiCounters>,
}

/// What one receiver is told.
struct Telling {
    receiver: Arc<dyn WebhookReceiver>,
    events: mpsc::Receiver<Arc<WebhookEvent>>,
    keys: LivekitKeys,
    counters: Arc<ApiCounters>,
}

/// What became of one try.
enum Tried {
    Taken,
    /// It would say the same again.
    Refused,
    Failed(String),
}

impl Webhooks {
    /// Begins to tell these, on the current tokio runtime, until it is dropped.
    pub(in crate::livekit) fn start(
        receivers: Vec<Arc<dyn WebhookReceiver>>,
        keys: &LivekitKeys,
        counters: &Arc<ApiCounters>,
    ) -> Self {
        let start = |receiver| {
            let (queue, events) = mpsc::channel(WAITING);
            let telling = Telling { receiver, events, keys: keys.clone(), counters: Arc::clone(counters) };
            tokio::spawn(telling.run());
            queue
        };
        Self { queues: receivers.into_iter().map(start).collect(), counters: Arc::clone(counters) }
    }

    /// Something happened to a room.
    pub(super) fn room(&self, event: &str, room: impl FnOnce() -> Room) {
        self.tell(event, || (room(), None));
    }

    /// Something happened to a participant.
    pub(super) fn participant(&self, event: &str, what: impl FnOnce() -> (Room, ParticipantInfo)) {
        self.tell(event, || {
            let (room, participant) = what();
            (room, Some(participant))
        });
    }

    fn tell(&self, event: &str, what: impl FnOnce() -> (Room, Option<ParticipantInfo>)) {
        if self.queues.is_empty() {
            return;
        }
        let (room, participant) = what();
        let event = Arc::new(WebhookEvent {
            event: event.to_owned(),
            room: Some(room),
            participant,
            id: id(),
            created_at: unix_seconds() as i64,
            ..Default::default()
        });
        for queue in &self.queues {
            if queue.try_send(Arc::clone(&event)).is_err() {
                self.counters.webhooks_shed.add(1);
            }
        }
    }
}

impl Telling {
    async fn run(mut self) {
        while let Some(event) = self.events.recv().await {
            let Ok(body) = serde_json::to_vec(&*event) else {
                self.counters.webhooks_failed.add(1);
                continue;
            };
            let is_taken = self.tell(&event.event, &body.into()).await;
            let counter = if is_taken { &self.counters.webhooks_delivered } else { &self.counters.webhooks_failed };
            counter.add(1);
        }
    }

    /// Whether the receiver took it.
    async fn tell(&self, event: &str, body: &Bytes) -> bool {
        let mut pauses = PAUSES.iter();
        loop {
            match self.once(body).await {
                Tried::Taken => return true,
                Tried::Refused => return false,
                Tried::Failed(why) => tracing::debug!(event, "a webhook was not taken: {why}"),
            }
            let Some(pause) = pauses.next() else { return false };
            self.counters.webhooks_retried.add(1);
            sleep(*pause).await;
        }
    }

    async fn once(&self, body: &Bytes) -> Tried {
        let hash = BASE64.encode(digest(&SHA256, body).as_ref());
        // Each time anew: a token does not hold for long.
        let Ok(token) = self.keys.sign_message(&hash, unix_seconds()) else { return Tried::Refused };
        match timeout(PATIENCE, self.receiver.post(token, body.clone())).await {
            Ok(Ok(200..=299)) => Tried::Taken,
            Ok(Ok(status @ (408 | 429 | 500..=599))) => Tried::Failed(format!("status {status}")),
            Ok(Ok(_)) => Tried::Refused,
            Ok(Err(why)) => Tried::Failed(why),
            Err(_) => Tried::Failed("no answer in time".to_owned()),
        }
    }
}

/// A name of an event that no other has.
fn id() -> String {
    let mut random = [0; 10];
    // Without randomness the names are all the same; receivers that look for doubles do without some events then.
    let _ = aws_lc_rs::rand::fill(&mut random);
    format!("EV_{}", HEXLOWER.encode(&random))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
