//! The topics of a session: what its client says on them, and what it hears. They belong to the session, not to a
//! connection.

use super::control::ControlWriter;
use super::counters::Counters;
use super::ending::Ending;
use super::refusals::Refusals;
use atoll_core::region::{self, PublishError, Scope, SubscribeError, TopicSubscription};
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::atoll::{ErrorCode, Publish, ServerMessage, Subscribe, Subscribed, TopicMessage, TopicScope};
use atoll_proto::close::CloseCode;
use atoll_proto::framing::MAX_MESSAGE;
use futures_util::stream::{self, AbortHandle, BoxStream, SelectAll, StreamExt};
use prost::Message as _;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Answers that may wait for a client: to as many subscriptions as there may be, several times.
const MAX_ANSWERS: usize = 1024;

/// A session's topics.
pub(super) struct Topics {
    topics: region::Topics,
    open: HashMap<u32, Open>,
    messages: SelectAll<BoxStream<'static, TopicMessage>>,
    /// To what the client asked for. They go before messages.
    answers: VecDeque<Subscribed>,
    refusals: Arc<Refusals>,
    counters: Arc<Counters>,
}

/// A subscription, as its client asked for it.
struct Open {
    scope: Scope,
    topic: String,
    end: AbortHandle,
}

/// Why there is no subscription.
enum NotOpened {
    /// For this reason.
    Refused(ErrorCode, String),
    /// The number stands for another one.
    InUse,
}

impl From<SubscribeError> for NotOpened {
    fn from(error: SubscribeError) -> Self {
        let code = match error {
            SubscribeError::Topic(_) => ErrorCode::InvalidTopic,
            SubscribeError::TooMany => ErrorCode::TooManySubscriptions,
        };
        Self::Refused(code, error.to_string())
    }
}

impl Topics {
    pub(super) fn new(topics: region::Topics, refusals: Arc<Refusals>, counters: Arc<Counters>) -> Self {
        Self { topics, open: HashMap::new(), messages: SelectAll::new(), answers: VecDeque::new(), refusals, counters }
    }

    /// Passes on what the client says.
    pub(super) fn publish(&self, Publish { topic, payload }: Publish) {
        match self.topics.admit(&topic, payload.into()) {
            Ok(publication) => publication.publish(),
            Err(PublishError::Topic(_)) => self.refusals.add(ErrorCode::InvalidTopic),
            Err(PublishError::TooLarge(_)) => self.refusals.add(ErrorCode::PayloadTooLarge),
            Err(PublishError::TooFast) => self.refusals.add(ErrorCode::TooFast),
        }
    }

    /// Hears a topic from now on, and says so in [`Topics::next`]. What is heard already is said again: a client that has lost
    /// a connection does not know what its edge has heard.
    ///
    /// # Errors
    /// The end of a client that uses a number twice, or asks and does not read.
    pub(super) fn subscribe(&mut self, asked: Subscribe) -> Result<(), Ending> {
        let subscription = asked.subscription;
        let answer = match self.open(asked) {
            Ok(()) => Subscribed { subscription, ..Subscribed::default() },
            Err(NotOpened::Refused(code, reason)) => {
                self.counters.refused(code, 1);
                Subscribed { subscription, error: code.into(), reason }
            }
            Err(NotOpened::InUse) => {
                return Err(Ending::new(CloseCode::Malformed, format!("the subscription {subscription} is in use")));
            }
        };
        if self.answers.len() >= MAX_ANSWERS {
            return Err(Ending::new(CloseCode::TooSlow, "answers to subscriptions are not read"));
        }
        self.answers.push_back(answer);
        Ok(())
    }

    fn open(&mut self, asked: Subscribe) -> Result<(), NotOpened> {
        let scope = match asked.scope() {
            TopicScope::Peer => Scope::Peer,
            TopicScope::System => Scope::System,
            TopicScope::Unspecified => {
                let reason = "a subscription has the scope of peers or that of services";
                return Err(NotOpened::Refused(ErrorCode::Unsupported, reason.to_owned()));
            }
        };
        let Subscribe { subscription: id, topic, .. } = asked;
        let vacant = match self.open.entry(id) {
            Entry::Occupied(open) if open.get().scope == scope && open.get().topic == topic => return Ok(()),
            Entry::Occupied(_) => return Err(NotOpened::InUse),
            Entry::Vacant(vacant) => vacant,
        };
        let subscription = self.topics.subscribe(scope, &topic)?;
        let (messages, end) = stream::abortable(messages(id, subscription));
        vacant.insert(Open { scope, topic, end });
        self.messages.push(messages.boxed());
        Ok(())
    }

    /// Hears a topic no more, if it was heard.
    pub(super) fn unsubscribe(&mut self, id: u32) {
        if let Some(open) = self.open.remove(&id) {
            open.end.abort();
        }
    }

    /// The client's connection has changed: it asks again for what it wants to know.
    pub(super) fn forget_answers(&mut self) {
        self.answers.clear();
    }

    /// The next answer or message for the client, once little else waits to be written. Cancel-safe.
    pub(super) async fn next(&mut self, writer: &ControlWriter) -> ToClient {
        loop {
            writer.light().await;
            if let Some(answer) = self.answers.pop_front() {
                return ToClient::Subscribed(answer);
            }
            let message = match self.messages.next().await {
                Some(message) => message,
                // Nobody subscribes meanwhile: that takes this borrow.
                None => std::future::pending().await,
            };
            // What was given up may have been on its way.
            if !self.open.contains_key(&message.subscription) {
                continue;
            }
            let message = ServerMessage { message: Some(ToClient::TopicMessage(message)) };
            if message.encoded_len() > MAX_MESSAGE {
                self.counters.topics_too_large.add(1);
                continue;
            }
            if let Some(message) = message.message {
                return message;
            }
        }
    }
}

/// What a subscription hears, as the client reads it.
fn messages(id: u32, subscription: TopicSubscription) -> impl futures_util::Stream<Item = TopicMessage> + Send {
    stream::unfold(subscription, move |mut subscription| async move {
        let region::TopicMessage { number, topic, sender, payload } = subscription.next().await?;
        let sender = sender.unwrap_or_default();
        Some((TopicMessage { subscription: id, number, topic, sender, payload: payload.into() }, subscription))
    })
}
