//! `CommsService` and `TopicsService`: publishing to topics and hearing them, as a logged-in port.

use super::encoded;
use super::peer::Peer;
use crate::rpc::{Answer, CallError};
use atoll_core::region::{PublishError, Scope, SubscribeError, TopicMessage, TopicSubscription};
use atoll_proto::bff::{
    PeerTopicSubscriptionResultElem, PublishToTopicRequest, PublishToTopicResult, Subscription, SubscriptionRequest,
    SystemTopicSubscriptionResultElem, UnsubscriptionResult,
};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The topics that are heartbeats: the one that kernels write, and the documents' spelling.
const HEARTBEAT: [&str; 2] = ["heartbeat", "hearbeat"];

/// Bytes of a topic that is refused, or subscribed to, that are kept: more than a topic may have.
const SHOWN: usize = 1024;

type Results = BoxStream<'static, Result<Bytes, CallError>>;

/// Publishes. The answer is on its way before the message is: kernels' P2P code loses answers that come too fast.
pub(super) fn publish(peer: &Peer, request: &[u8]) -> Result<Answer, CallError> {
    let PublishToTopicRequest { topic, payload } = decode(request)?;
    let afterwards: Box<dyn FnOnce() + Send> = if HEARTBEAT.contains(&topic.as_str()) {
        let peer = peer.clone();
        Box::new(move || peer.heartbeat(&payload))
    } else {
        let publication = peer.topics.admit(&topic, payload.into()).map_err(|error| match error {
            PublishError::Topic(_) => invalid(&topic),
            other => CallError(other.to_string()),
        })?;
        Box::new(move || publication.publish())
    };
    Ok(Answer { payload: encoded(&PublishToTopicResult { ok: true }), afterwards: Some(afterwards) })
}

/// The subscriptions of one port. `CommsService`'s are made, read and given up in calls of their own; their ids count from 0
/// over both kinds. `TopicsService`'s are streams and nothing else.
#[derive(Clone, Default)]
pub(super) struct Subscriptions(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u32,
    open: HashMap<u32, Entry>,
    /// Dropped with the port.
    port: watch::Sender<()>,
}

struct Entry {
    /// Until somebody reads it.
    waiting: Option<TopicSubscription>,
    /// Dropped when the subscription is given up.
    end: watch::Sender<()>,
}

impl Subscriptions {
    /// `TopicsService`: hears a topic from the first acknowledgement on, as the original does.
    pub(super) fn hear(&self, peer: Peer, scope: Scope, request: &[u8]) -> Results {
        let (topic, end) = (topic(request), self.open().port.subscribe());
        let opened = stream::once(async move { subscribe(&peer, scope, &topic?) });
        opened
            .flat_map(move |opened| match opened {
                Ok(subscription) => messages(subscription, scope, end.clone()),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }

    /// Hears a topic from now on; what comes waits to be read.
    pub(super) fn subscribe(&self, peer: &Peer, scope: Scope, request: &[u8]) -> Result<Answer, CallError> {
        let subscription = subscribe(peer, scope, &topic(request)?)?;
        let mut open = self.open();
        let subscription_id = open.next;
        open.next = open.next.wrapping_add(1);
        open.open.insert(subscription_id, Entry { waiting: Some(subscription), end: watch::channel(()).0 });
        Ok(encoded(&Subscription { subscription_id }).into())
    }

    /// Reads a subscription until it is given up, or the reader has enough. One that is not there has nothing to say.
    pub(super) fn read(&self, scope: Scope, request: &[u8]) -> Results {
        let all = self.clone();
        let asked = decode(request);
        let opened = stream::once(async move {
            let Subscription { subscription_id } = asked?;
            let mut open = all.open();
            let entry = open.open.get_mut(&subscription_id);
            let taken = entry.and_then(|entry| entry.waiting.take().map(|taken| (taken, entry.end.subscribe())));
            Ok(taken.map(|(taken, end)| (taken, end, GivenUp { all: all.clone(), id: subscription_id })))
        });
        opened
            .flat_map(move |opened| match opened {
                Ok(Some((subscription, end, given_up))) => messages(subscription, scope, end)
                    .map(move |message| {
                        let _ = &given_up;
                        message
                    })
                    .boxed(),
                Ok(None) => stream::empty().boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }

    /// Gives a subscription up, whether it is there or not; after the answer, as the original does.
    pub(super) fn unsubscribe(&self, request: &[u8]) -> Result<Answer, CallError> {
        let Subscription { subscription_id } = decode(request)?;
        let all = self.clone();
        let afterwards = move || drop(all.open().open.remove(&subscription_id));
        let payload = encoded(&UnsubscriptionResult { ok: true });
        Ok(Answer { payload, afterwards: Some(Box::new(afterwards)) })
    }

    /// Gives all of them up.
    pub(super) fn clear(&self) {
        *self.open() = Open::default();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a subscription up when its reader has gone.
struct GivenUp {
    all: Subscriptions,
    id: u32,
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.all.open().open.remove(&self.id);
    }
}

fn subscribe(peer: &Peer, scope: Scope, topic: &str) -> Result<TopicSubscription, CallError> {
    let subscription = peer.topics.subscribe(scope, topic).map_err(|error| match error {
        SubscribeError::Topic(_) => invalid(topic),
        error @ SubscribeError::TooMany => CallError(error.to_string()),
    })?;
    peer.listen(subscription.island_changes());
    Ok(subscription)
}

/// What a subscription hears, until `end`'s sender has gone.
fn messages(subscription: TopicSubscription, scope: Scope, end: watch::Receiver<()>) -> Results {
    let state = (subscription, end);
    stream::unfold(state, move |(mut subscription, mut end)| async move {
        let message = tokio::select! {
            biased;
            () = given_up(&mut end) => None,
            message = subscription.next() => message,
        };
        Some((Ok(element(message?, scope)), (subscription, end)))
    })
    .boxed()
}

async fn given_up(end: &mut watch::Receiver<()>) {
    while end.changed().await.is_ok() {}
}

fn element(message: TopicMessage, scope: Scope) -> Bytes {
    let TopicMessage { topic, sender, payload: held, .. } = message;
    let payload = held.to_vec();
    let encoded = match scope {
        Scope::Peer => {
            let sender = sender.unwrap_or_default();
            encoded(&PeerTopicSubscriptionResultElem { payload, topic, sender })
        }
        Scope::System => encoded(&SystemTopicSubscriptionResultElem { payload, topic }),
    };
    Bytes::from_owner(Element { encoded, _held: held })
}

/// An encoded message, which takes the memory it waited in until it is written.
struct Element {
    encoded: Bytes,
    _held: Bytes,
}

impl AsRef<[u8]> for Element {
    fn as_ref(&self) -> &[u8] {
        &self.encoded
    }
}

/// The topic that is asked for. Of one that is too long there is enough to show.
fn topic(request: &[u8]) -> Result<String, CallError> {
    let SubscriptionRequest { topic } = decode(request)?;
    Ok(shown(&topic).to_owned())
}

fn invalid(topic: &str) -> CallError {
    CallError(format!("Invalid topic {}", shown(topic)))
}

fn shown(topic: &str) -> &str {
    let end = (0..=topic.len().min(SHOWN)).rev().find(|end| topic.is_char_boundary(*end));
    &topic[..end.unwrap_or(0)]
}

fn decode<M: atoll_proto::Decode>(request: &[u8]) -> Result<M, CallError> {
    atoll_proto::decode(request).map_err(|error| CallError(error.to_string()))
}
