//! Subject-based publish/subscribe with NATS semantics: how the halves of a region talk.
//!
//! Everything that an outside service may watch or replace goes through here: heartbeats, island changes, who came and
//! went. Packets of an island never do.

mod interest;
mod local;
mod subject;

pub use local::LocalBus;
pub use subject::{Pattern, Subject, SubjectError};

use crate::Counter;
use crate::limit::{Share, Taken};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// One message on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub subject: Subject,
    /// NATS headers: names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The content, as the subject's documentation defines it.
    pub payload: Bytes,
    /// Whether another process published it.
    pub is_from_elsewhere: bool,
}

impl Message {
    /// A message without headers.
    pub fn new(subject: Subject, payload: impl Into<Bytes>) -> Self {
        Self { subject, headers: Vec::new(), payload: payload.into(), is_from_elsewhere: false }
    }

    /// What it takes to let it wait, in bytes: at least.
    fn size(&self) -> usize {
        size_of::<Waiting>() + self.payload.len()
    }

    /// The value of the first header named `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The bus takes in messages slower than they come; this one is lost.
    #[error("the bus is full")]
    Full,
    /// The bus has ended.
    #[error("the bus is closed")]
    Closed,
}

/// Publish and subscribe. Delivery is at most once, in order per publisher and subscription.
pub trait Bus: Send + Sync + 'static {
    /// Passes a message to every matching subscription. Never waits.
    ///
    /// # Errors
    /// [`PublishError`]: the message reached nobody.
    fn publish(&self, message: Message) -> Result<(), PublishError>;

    /// Feeds everything that matches any of `patterns` to `feed`, in order of arrival, until its subscription is dropped.
    /// A message that matches several of the patterns is delivered once.
    fn attach(&self, patterns: &[Pattern], feed: Feed);

    /// Subscribes to everything that matches any of `patterns`, as one queue in order of arrival.
    ///
    /// At most `capacity` messages wait; when it is full, new ones are dropped and counted, as NATS does with a slow
    /// consumer. Dropping the subscription ends it.
    fn subscribe(&self, patterns: &[Pattern], capacity: usize) -> Subscription {
        let (feed, subscription) = Subscription::channel(capacity);
        self.attach(patterns, feed);
        subscription
    }
}

/// A message in the queue of a subscription, with the memory it was given there.
type Waiting = (Message, Option<Taken>);

/// The receiving end of a subscription.
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<Waiting>,
    dropped: Arc<AtomicU64>,
}

impl Subscription {
    /// A subscription and the end that feeds it, for those who implement [`Bus`].
    pub fn channel(capacity: usize) -> (Feed, Self) {
        let (sender, messages) = mpsc::channel(capacity);
        let dropped = Arc::new(AtomicU64::new(0));
        let feed = Feed { sender, dropped: Arc::clone(&dropped), wanted: None, share: None, losses: None };
        (feed, Self { messages, dropped })
    }

    /// The next message; `None` when the bus has ended. It keeps the memory that it waited in for as long as its payload is
    /// held.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await.map(held)
    }

    /// The next message, if one waits.
    pub fn try_next(&mut self) -> Option<Message> {
        self.messages.try_recv().ok().map(held)
    }

    /// Messages dropped so far because this subscriber was slow, or had no memory left to let them wait in.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A payload and the memory it takes of a share.
struct Held(Bytes, #[expect(dead_code, reason = "given back when it is dropped")] Taken);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn held((message, taken): Waiting) -> Message {
    let Some(taken) = taken else { return message };
    Message { payload: Bytes::from_owner(Held(message.payload, taken)), ..message }
}

type Wanted = Arc<dyn Fn(&Message) -> bool + Send + Sync>;

/// The feeding end of a subscription.
#[derive(Clone)]
pub struct Feed {
    sender: mpsc::Sender<Waiting>,
    dropped: Arc<AtomicU64>,
    wanted: Option<Wanted>,
    share: Option<Arc<Share>>,
    losses: Option<Arc<Counter>>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Feed {
    /// This feed, which passes over what `wanted` does not want before it takes a place in the queue.
    #[must_use]
    pub fn filtered(mut self, wanted: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.wanted = Some(Arc::new(wanted));
        self
    }

    /// This feed, whose messages take their bytes of `share` for as long as they wait.
    #[must_use]
    pub fn within(mut self, share: Arc<Share>) -> Self {
        self.share = Some(share);
        self
    }

    /// This feed, whose dropped messages count in `losses`, too.
    #[must_use]
    pub fn counting(mut self, losses: Arc<Counter>) -> Self {
        self.losses = Some(losses);
        self
    }

    /// Hands over a message, or counts it as dropped. `false` once the subscriber has gone.
    pub fn offer(&self, message: Message) -> bool {
        if self.wanted.as_ref().is_some_and(|wanted| !wanted(&message)) {
            return !self.is_closed();
        }
        let taken = match &self.share {
            None => None,
            Some(share) => match share.take(message.size()) {
                Some(taken) => Some(taken),
                None => return self.drop_one(),
            },
        };
        match self.sender.try_send((message, taken)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => self.drop_one(),
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    fn drop_one(&self) -> bool {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(losses) = &self.losses {
            losses.add(1);
        }
        !self.is_closed()
    }

    /// Whether the subscriber has gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
