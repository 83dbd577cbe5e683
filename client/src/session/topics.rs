//! The topics of a session as its client sees them: what it hears, and what waits to be said.

use crate::event::{Subscription, TopicMessage, TopicScope};
use atoll_proto::atoll::{self, ClientMessage, Publish, Subscribe, Unsubscribe, client_message};
use bytes::Bytes;
use prost::Message as _;
use std::collections::{BTreeMap, VecDeque};

/// Messages that may wait for the control stream.
const MAX_WAITING: usize = 256;

/// Bytes of them.
const MAX_WAITING_BYTES: usize = 512 * 1024;

/// Why a message does not wait for the control stream now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// As much waits as may.
    Full,
    /// It is larger than a control message may be, by so many bytes.
    TooLarge(usize),
}

#[derive(Debug)]
pub(super) struct Topics {
    open: BTreeMap<Subscription, Open>,
    next: u32,
    waiting: VecDeque<client_message::Message>,
    waiting_bytes: usize,
}

#[derive(Debug)]
struct Open {
    scope: TopicScope,
    topic: String,
    /// The number of the last message that arrived.
    last: u64,
    /// Messages that arrived and were dropped, before the next that is taken.
    dropped: u64,
}

impl Topics {
    pub(super) const fn new() -> Self {
        Self { open: BTreeMap::new(), next: 0, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    pub(super) fn publish(&mut self, topic: &str, payload: &Bytes, limit: usize) -> Result<(), NotTaken> {
        let publish = Publish { topic: topic.to_owned(), payload: payload.to_vec() };
        self.wait(client_message::Message::Publish(publish), limit)
    }

    pub(super) fn subscribe(&mut self, scope: TopicScope, topic: &str, limit: usize) -> Result<Subscription, NotTaken> {
        let id = Subscription(self.next);
        let open = Open { scope, topic: topic.to_owned(), last: 0, dropped: 0 };
        self.wait(open.message(id), limit)?;
        self.next = self.next.wrapping_add(1);
        self.open.insert(id, open);
        Ok(id)
    }

    /// Whether it was heard so far.
    pub(super) fn unsubscribe(&mut self, id: Subscription) -> bool {
        let heard = self.open.remove(&id).is_some();
        if heard {
            self.tell_off(id);
        }
        heard
    }

    /// The edge does not hear it.
    pub(super) fn refused(&mut self, id: Subscription) {
        self.open.remove(&id);
    }

    /// What the control stream carries next.
    pub(super) fn next(&mut self) -> Option<client_message::Message> {
        let message = self.waiting.pop_front()?;
        self.waiting_bytes -= size(&message);
        Some(message)
    }

    /// Goes on over another connection: the edge of a session that goes on hears the topics already, or has lost the
    /// request; a new one has to be told in any case.
    pub(super) fn go_on(&mut self, is_new: bool) {
        self.waiting.retain(|message| matches!(message, client_message::Message::Publish(_)));
        for (id, open) in self.open.iter_mut().rev() {
            if is_new {
                open.last = 0;
            }
            self.waiting.push_front(open.message(*id));
        }
        self.waiting_bytes = self.waiting.iter().map(size).sum();
    }

    /// Takes a message, if it is still wanted.
    pub(super) fn heard(&mut self, message: atoll::TopicMessage) -> Option<TopicMessage> {
        let atoll::TopicMessage { subscription, number, topic, sender, payload } = message;
        let id = Subscription(subscription);
        let Some(open) = self.open.get_mut(&id) else {
            // The edge did not hear that nobody listens.
            self.tell_off(id);
            return None;
        };
        let missed = number.saturating_sub(open.last).saturating_sub(1);
        open.last = open.last.max(number);
        let sender = Some(sender).filter(|sender| !sender.is_empty()).map(Into::into);
        Some(TopicMessage { subscription: id, topic, sender, payload: payload.into(), missed })
    }

    /// Notes that a message was dropped before it was taken.
    pub(super) fn dropped(&mut self, message: &TopicMessage) {
        if let Some(open) = self.open.get_mut(&message.subscription) {
            open.dropped += message.missed + 1;
        }
    }

    /// A message that is about to be taken, if it is still wanted, with what was dropped before it.
    pub(super) fn taken(&mut self, mut message: TopicMessage) -> Option<TopicMessage> {
        let open = self.open.get_mut(&message.subscription)?;
        message.missed += std::mem::take(&mut open.dropped);
        Some(message)
    }

    fn tell_off(&mut self, id: Subscription) {
        let message = client_message::Message::Unsubscribe(Unsubscribe { subscription: id.0 });
        // One that does not fit is told off at its next message.
        if !self.waiting.contains(&message) {
            let _ = self.wait(message, usize::MAX);
        }
    }

    fn wait(&mut self, message: client_message::Message, limit: usize) -> Result<(), NotTaken> {
        let message = ClientMessage { message: Some(message) };
        let length = message.encoded_len();
        if length > limit {
            return Err(NotTaken::TooLarge(length - limit));
        }
        let Some(message) = message.message else { return Ok(()) };
        let waiting_bytes = self.waiting_bytes + size(&message);
        if self.waiting.len() >= MAX_WAITING || waiting_bytes > MAX_WAITING_BYTES {
            return Err(NotTaken::Full);
        }
        self.waiting_bytes = waiting_bytes;
        self.waiting.push_back(message);
        Ok(())
    }
}

impl Open {
    fn message(&self, id: Subscription) -> client_message::Message {
        let scope = match self.scope {
            TopicScope::Peer => atoll::TopicScope::Peer,
            TopicScope::System => atoll::TopicScope::System,
        };
        let (subscription, topic) = (id.0, self.topic.clone());
        client_message::Message::Subscribe(Subscribe { subscription, scope: scope.into(), topic })
    }
}

fn size(message: &client_message::Message) -> usize {
    match message {
        client_message::Message::Publish(publish) => publish.topic.len() + publish.payload.len(),
        client_message::Message::Subscribe(subscribe) => subscribe.topic.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use client_message::Message;

    const LIMIT: usize = 65_536;

    fn message(subscription: Subscription, number: u64) -> atoll::TopicMessage {
        atoll::TopicMessage { subscription: subscription.0, number, ..Default::default() }
    }

    fn drain(topics: &mut Topics) -> Vec<Message> {
        std::iter::from_fn(|| topics.next()).collect()
    }

    #[test]
    fn what_is_missing_is_told_with_the_next_message_wherever_it_was_lost() {
        let mut topics = Topics::new();
        let id = topics.subscribe(TopicScope::Peer, "abc", LIMIT).unwrap();
        let first = topics.heard(message(id, 3)).unwrap();
        let second = topics.heard(message(id, 4)).unwrap();
        assert_eq!((first.missed, second.missed), (2, 0));
        topics.dropped(&first);
        assert_eq!(topics.taken(second).unwrap().missed, 3);
        let third = topics.heard(message(id, 6)).unwrap();
        assert_eq!(topics.taken(third).unwrap().missed, 1);
    }

    #[test]
    fn a_new_connection_is_told_what_is_heard_before_what_waits() {
        let mut topics = Topics::new();
        let first = topics.subscribe(TopicScope::Peer, "a", LIMIT).unwrap();
        let second = topics.subscribe(TopicScope::System, "b", LIMIT).unwrap();
        let third = topics.subscribe(TopicScope::Peer, "c", LIMIT).unwrap();
        assert_eq!(drain(&mut topics).len(), 3);
        topics.publish("a", &Bytes::from_static(b"x"), LIMIT).unwrap();
        assert!(topics.unsubscribe(second) && !topics.unsubscribe(second));
        topics.heard(message(first, 9)).unwrap();
        topics.go_on(true);
        let told = drain(&mut topics);
        let [Message::Subscribe(a), Message::Subscribe(c), Message::Publish(_)] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((a.subscription, c.subscription), (first.0, third.0));
        assert_eq!(topics.heard(message(first, 1)).unwrap().missed, 0, "numbers begin again");

        assert!(topics.heard(message(second, 1)).is_none() && topics.heard(message(second, 2)).is_none());
        let told = drain(&mut topics);
        assert!(matches!(told.as_slice(), [Message::Unsubscribe(off)] if off.subscription == second.0), "{told:?}");
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_too_large_is_refused() {
        let mut topics = Topics::new();
        let payload = Bytes::from(vec![0; 65_536]);
        assert!(matches!(topics.publish("a", &payload, LIMIT), Err(NotTaken::TooLarge(11))));
        let payload = Bytes::from(vec![0; 60_000]);
        let said = (0..100).take_while(|_| topics.publish("a", &payload, LIMIT).is_ok()).count();
        assert_eq!(said, 8);
        assert_eq!(drain(&mut topics).len(), 8);
        let asked = (0..1000).take_while(|_| topics.subscribe(TopicScope::Peer, "a", LIMIT).is_ok()).count();
        assert_eq!(asked, MAX_WAITING);
    }
}
