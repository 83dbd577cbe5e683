//! Topics: what peers and services say to whoever listens, beside the rooms.
//!
//! A peer publishes on `client-proto.peer.<its address>.<topic>`. A subscription with [`Scope::Peer`] hears that topic of
//! every peer, its own included; one with [`Scope::System`] hears what services publish on `client-proto.<topic>`. What is
//! somebody's own affair is never delivered to others, whatever wildcard they ask with:
//!
//! - `peer.>`, and everything below another peer's address (its island changes carry connection strings);
//! - `island_changed` and `heartbeat` of a peer, in either spelling, and the offers, answers and candidates by which others
//!   open connections to a third peer.

mod name;

pub use name::{Topic, TopicError, TopicPattern};

use super::Inner;
use super::status::Counters;
use crate::bus::{Feed, Message, Pattern, Subject, Subscription};
use crate::limit::{Bucket, Budget, Share};
use atoll_proto::Address;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What every subject of clients begins with.
const PREFIX: &str = "client-proto.";

/// What every subject that peers write begins with.
const PEER_PREFIX: &str = "client-proto.peer.";

/// Messages of peers that may wait for a subscription; newer ones are dropped, as the original does.
const PEER_CAPACITY: usize = 51;

/// Messages of services that may wait for a subscription.
const SYSTEM_CAPACITY: usize = 1024;

/// Bytes of messages that may wait for all sessions together, beside what may wait for each in any case.
const WAITING_FOR_ALL: usize = 256 << 20;

/// Bytes of messages that may wait for a session in any case.
const WAITING_ALWAYS: usize = 64 * 1024;

/// Subscriptions of one session at a time. Kernels have a few dozen.
const MAX_SUBSCRIPTIONS: usize = 256;

/// Messages of one peer that are taken in a second, four times that after a pause.
const MESSAGES: u32 = 64;

/// Bytes of one peer that are taken in a second.
const BYTES: u32 = 256 * 1024;

/// Largest payload, in bytes; what NATS takes unless told otherwise.
pub const MAX_TOPIC_PAYLOAD: usize = 1 << 20;

/// Whose messages a subscription hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// What peers publish.
    Peer,
    /// What services publish.
    System,
}

/// Why there is no subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The text names no topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The session has as many as it may.
    #[error("more than {MAX_SUBSCRIPTIONS} subscriptions")]
    TooMany,
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The text names no topic to publish to.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// Above [`MAX_TOPIC_PAYLOAD`].
    #[error("a payload of {0} bytes; at most {MAX_TOPIC_PAYLOAD} are allowed")]
    TooLarge(usize),
    /// More than 64 a second, or than 256 KiB a second.
    #[error("more messages than are taken")]
    TooFast,
}

/// A session's way to the topics. Clones share its limits.
#[derive(Clone)]
pub struct Topics {
    region: Arc<Inner>,
    address: Address,
    limits: Arc<Limits>,
}

struct Limits {
    open: AtomicUsize,
    /// What may wait in all its subscriptions.
    waiting: Arc<Share>,
    messages: Mutex<(Bucket, Bucket)>,
}

/// A message that may be published. It is not yet.
pub struct Publication {
    region: Arc<Inner>,
    subject: String,
    payload: Bytes,
}

impl Publication {
    /// Publishes it. A bus that does not take it loses it, and that is counted.
    pub fn publish(self) {
        self.region.counters.topics_published.add(1);
        self.region.publish(&self.subject, self.payload);
    }
}

/// What a subscription hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMessage {
    /// Counts the messages of this subscription from 1, those included that were dropped before this one was taken.
    pub number: u64,
    /// The topic, without what all subjects begin with.
    pub topic: String,
    /// The peer that published it; none for a service's.
    pub sender: Option<String>,
    /// The content.
    pub payload: Bytes,
}

/// One subscription. Dropping it ends it.
pub struct TopicSubscription {
    scope: Scope,
    messages: Subscription,
    taken: u64,
    feed: Feed,
    pattern: Pattern,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
}

impl Topics {
    pub(super) fn new(region: Arc<Inner>, address: Address) -> Self {
        let messages = (Bucket::new(MESSAGES, 4 * MESSAGES), Bucket::new(BYTES, 2 * MAX_TOPIC_PAYLOAD as u32));
        let waiting = Arc::new(Share::new(Arc::clone(&region.topics)));
        let limits = Limits { open: AtomicUsize::new(0), waiting, messages: Mutex::new(messages) };
        Self { region, address, limits: Arc::new(limits) }
    }

    /// Checks a message of this peer. It reaches others when the answer is published; until then a door may tell its
    /// client.
    ///
    /// # Errors
    /// A [`PublishError`]; the message reaches nobody.
    pub fn admit(&self, topic: &str, payload: Bytes) -> Result<Publication, PublishError> {
        let topic = Topic::new(topic)?;
        if payload.len() > MAX_TOPIC_PAYLOAD {
            return Err(PublishError::TooLarge(payload.len()));
        }
        let now = self.region.host.monotonic();
        {
            let mut limits = self.limits.messages.lock().unwrap_or_else(PoisonError::into_inner);
            let (messages, bytes) = &mut *limits;
            messages.take(now, 1).map_err(|_| PublishError::TooFast)?;
            bytes.take(now, payload.len() as u32).map_err(|_| PublishError::TooFast)?;
        }
        let subject = format!("{PEER_PREFIX}{}.{}", self.address, topic.as_str());
        Ok(Publication { region: Arc::clone(&self.region), subject, payload })
    }

    /// Hears a topic from now on. At most 51 messages of peers, or 1,024 of services, wait to be taken; newer ones are
    /// dropped, and so are those for which there is no memory: all that waits for all sessions has 256 MiB.
    ///
    /// # Errors
    /// A [`SubscribeError`].
    pub fn subscribe(&self, scope: Scope, topic: &str) -> Result<TopicSubscription, SubscribeError> {
        let topic = TopicPattern::new(topic)?;
        let text = match scope {
            Scope::Peer => format!("{PEER_PREFIX}*.{}", topic.as_str()),
            Scope::System => format!("{PREFIX}{}", topic.as_str()),
        };
        let pattern = Pattern::new(&text).map_err(|_| TopicError::Invalid)?;
        if self.limits.open.fetch_add(1, Ordering::Relaxed) >= MAX_SUBSCRIPTIONS {
            self.limits.open.fetch_sub(1, Ordering::Relaxed);
            return Err(SubscribeError::TooMany);
        }
        let capacity = match scope {
            Scope::Peer => PEER_CAPACITY,
            Scope::System => SYSTEM_CAPACITY,
        };
        let (feed, messages) = Subscription::channel(capacity);
        let counters = &self.region.counters;
        counters.topic_subscriptions.add(1);
        let feed = feed.within(Arc::clone(&self.limits.waiting)).counting(Arc::clone(&counters.topics_dropped));
        let own = self.address;
        let filtered = feed.clone().filtered(move |message| may_hear(own, scope, message));
        self.region.bus.attach(std::slice::from_ref(&pattern), filtered);
        Ok(TopicSubscription {
            scope,
            messages,
            taken: 0,
            feed,
            pattern,
            limits: Arc::clone(&self.limits),
            counters: Arc::clone(counters),
        })
    }
}

impl TopicSubscription {
    /// The next message; `None` when the bus has ended.
    pub async fn next(&mut self) -> Option<TopicMessage> {
        let message = self.messages.next().await?;
        self.taken += 1;
        self.counters.topics_delivered.add(1);
        let number = self.taken + self.messages.dropped();
        let subject = message.subject.as_str();
        let (topic, sender) = match self.scope {
            Scope::System => (subject.strip_prefix(PREFIX)?, None),
            Scope::Peer => {
                let (sender, topic) = subject.strip_prefix(PEER_PREFIX)?.split_once('.')?;
                (topic, Some(sender.to_owned()))
            }
        };
        Some(TopicMessage { number, topic: topic.to_owned(), sender, payload: message.payload })
    }

    /// Messages dropped so far because this subscriber was slow, or too much waits for all.
    pub fn dropped(&self) -> u64 {
        self.messages.dropped()
    }

    /// A way for a door to tell this subscriber of island changes: it writes their connection strings, so that what
    /// archipelago published is not what the client should hear. Does nothing for those who did not ask for `topic`.
    pub fn island_changes(&self) -> IslandChanges {
        IslandChanges { scope: self.scope, pattern: self.pattern.clone(), feed: self.feed.clone() }
    }
}

impl Drop for TopicSubscription {
    fn drop(&mut self) {
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
        self.counters.topic_subscriptions.subtract(1);
    }
}

/// See [`TopicSubscription::island_changes`].
pub struct IslandChanges {
    scope: Scope,
    pattern: Pattern,
    feed: Feed,
}

impl IslandChanges {
    /// Whether the subscriber has gone.
    pub fn is_over(&self) -> bool {
        self.feed.is_closed()
    }

    /// Hands over an island change of the peer `address`. `false` once the subscriber has gone.
    pub fn offer(&self, address: Address, payload: Bytes) -> bool {
        let subject = Subject::new(&format!("{PREFIX}{address}.island_changed")).ok();
        let asked = subject.filter(|subject| self.scope == Scope::System && self.pattern.matches(subject));
        match asked {
            Some(subject) => self.feed.offer(Message::new(subject, payload)),
            None => !self.feed.is_closed(),
        }
    }
}

/// What waits for all sessions of a region.
pub(super) fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(WAITING_FOR_ALL, WAITING_ALWAYS))
}

/// Whether the peer `own` may hear a message that its pattern matches.
fn may_hear(own: Address, scope: Scope, message: &Message) -> bool {
    let mut levels = message.subject.levels().skip(1);
    match scope {
        Scope::System => match levels.next() {
            None | Some("peer") => false,
            Some(first) => match first.parse::<Address>() {
                // Its own island changes come from its session.
                Ok(address) => address == own && levels.next() != Some("island_changed"),
                Err(_) => true,
            },
        },
        Scope::Peer => {
            // `peer` and the sender.
            let mut levels = levels.skip(2);
            match (levels.next(), levels.next()) {
                (Some("island_changed" | "heartbeat" | "hearbeat"), _) => false,
                (Some(target), Some("offer" | "answer" | "candidate")) => {
                    target.parse::<Address>().map_or(true, |target| target == own)
                }
                _ => true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "0x1111111111111111111111111111111111111111";
    const OTHER: &str = "0x2222222222222222222222222222222222222222";

    fn hears(scope: Scope, subject: &str) -> bool {
        let subject = subject.replace("OWN", OWN).replace("OTHER", OTHER);
        may_hear(OWN.parse().unwrap(), scope, &Message::new(Subject::new(&subject).unwrap(), ""))
    }

    #[test]
    fn a_system_subscription_hears_nobody_elses_affairs() {
        for subject in ["abc", "island.I1.peer_join", "island.I1.peer_left", "OWN.anything", "archipelago.x"] {
            assert!(hears(Scope::System, &format!("client-proto.{subject}")), "{subject}");
        }
        for subject in ["peer.OTHER.heartbeat", "peer.OWN.x", "OTHER.island_changed", "OTHER.x", "OWN.island_changed"] {
            assert!(!hears(Scope::System, &format!("client-proto.{subject}")), "{subject}");
        }
        let upper = format!("client-proto.{}.island_changed", OTHER.to_uppercase().replace("0X", "0x"));
        assert!(!hears(Scope::System, &upper));
    }

    #[test]
    fn a_peer_subscription_hears_no_heartbeats_and_no_signals_of_others() {
        for subject in ["abc", "scene.x", "OWN.offer", "OWN.candidate", "OTHER.profile", "x.offer"] {
            assert!(hears(Scope::Peer, &format!("client-proto.peer.OTHER.{subject}")), "{subject}");
        }
        for subject in ["heartbeat", "hearbeat", "island_changed", "OTHER.offer", "OTHER.answer", "OTHER.candidate.x"] {
            assert!(!hears(Scope::Peer, &format!("client-proto.peer.OTHER.{subject}")), "{subject}");
        }
    }

    #[test]
    fn what_services_own_cannot_be_published() {
        for text in ["abc", "a.b", "3:-2", "heartbeats", "islands", "a.island_changed", "a.heartbeat"] {
            assert!(Topic::new(text).is_ok(), "{text}");
        }
        for text in ["", "a..b", "a.", "*", "a.*", ">", "a.>", "a b", "a\tb", "a\u{a0}b"] {
            assert_eq!(Topic::new(text), Err(TopicError::Invalid), "{text:?}");
        }
        for text in ["island_changed", "island", "island.I1.peer_join", "heartbeat", "hearbeat"] {
            assert_eq!(Topic::new(text), Err(TopicError::Owned), "{text}");
        }
        assert_eq!(Topic::new(&"a".repeat(513)), Err(TopicError::Invalid));
        assert!(TopicPattern::new("a.*.>").is_ok() && TopicPattern::new("a.>.b").is_err());
    }
}
