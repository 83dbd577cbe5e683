//! The bus of a single process.

use super::{Bus, Feed, Message, Pattern, PublishError, Subject, Subscription};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// A bus inside this process: the default, when no NATS is configured.
#[derive(Debug, Default)]
pub struct LocalBus {
    subscribers: RwLock<Subscribers>,
}

/// Literal patterns are looked up; only those with wildcards are tried one by one.
#[derive(Debug, Default)]
struct Subscribers {
    next: u64,
    literal: HashMap<Subject, Vec<Subscriber>>,
    wildcard: Vec<(Pattern, Subscriber)>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    /// Tells which patterns belong to one subscription, so that a message reaches it once.
    id: u64,
    feed: Feed,
}

impl Bus for LocalBus {
    fn publish(&self, message: Message) -> Result<(), PublishError> {
        let mut gone = false;
        {
            let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
            let mut served: Vec<u64> = Vec::new();
            let literal = subscribers.literal.get(&message.subject).into_iter().flatten();
            let wildcard = subscribers.wildcard.iter();
            let wildcard = wildcard.filter(|(pattern, _)| pattern.matches(&message.subject));
            for subscriber in literal.chain(wildcard.map(|(_, subscriber)| subscriber)) {
                if served.contains(&subscriber.id) {
                    continue;
                }
                served.push(subscriber.id);
                gone |= !subscriber.feed.offer(message.clone());
            }
        }
        if gone {
            self.forget_gone();
        }
        Ok(())
    }

    fn subscribe(&self, patterns: &[Pattern], capacity: usize) -> Subscription {
        // Here too, so that subscriptions nobody publishes to do not pile up.
        self.forget_gone();
        let (feed, subscription) = Subscription::channel(capacity);
        let mut subscribers = self.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        subscribers.next += 1;
        let subscriber = Subscriber { id: subscribers.next, feed };
        for pattern in patterns {
            match pattern.literal() {
                Some(subject) => subscribers.literal.entry(subject).or_default().push(subscriber.clone()),
                None => subscribers.wildcard.push((pattern.clone(), subscriber.clone())),
            }
        }
        subscription
    }
}

impl LocalBus {
    fn forget_gone(&self) {
        let mut subscribers = self.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        subscribers.wildcard.retain(|(_, subscriber)| !subscriber.feed.is_closed());
        subscribers.literal.retain(|_, list| {
            list.retain(|subscriber| !subscriber.feed.is_closed());
            !list.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    fn publish(bus: &LocalBus, subject: &str, payload: &'static str) {
        bus.publish(Message::new(Subject::new(subject).unwrap(), payload)).unwrap();
    }

    #[tokio::test]
    async fn one_queue_keeps_the_order_of_several_patterns() {
        let bus = LocalBus::default();
        let mut all =
            bus.subscribe(&[pattern("peer.*.connect"), pattern("peer.*.disconnect"), pattern("peer.0xa.>")], 8);
        publish(&bus, "peer.0xa.connect", "1");
        publish(&bus, "peer.0xb.other", "lost");
        publish(&bus, "peer.0xa.disconnect", "2");
        publish(&bus, "peer.0xb.connect", "3");
        drop(bus);
        let mut heard = Vec::new();
        while let Some(message) = all.next().await {
            heard.push(String::from_utf8(message.payload.to_vec()).unwrap());
        }
        assert_eq!(heard, ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn a_slow_subscriber_loses_the_newest_and_nobody_else_notices() {
        let bus = LocalBus::default();
        let mut slow = bus.subscribe(&[pattern("a")], 2);
        let mut quick = bus.subscribe(&[pattern(">")], 8);
        for payload in ["1", "2", "3", "4"] {
            publish(&bus, "a", payload);
        }
        assert_eq!((slow.dropped(), quick.dropped()), (2, 0));
        assert_eq!(slow.next().await.unwrap().payload, "1");
        for payload in ["1", "2", "3", "4"] {
            assert_eq!(quick.next().await.unwrap().payload, payload);
        }
    }

    #[test]
    fn ended_subscriptions_are_forgotten() {
        let bus = LocalBus::default();
        for _ in 0..10 {
            drop(bus.subscribe(&[pattern("a"), pattern("b.*")], 1));
        }
        publish(&bus, "a", "x");
        let subscribers = bus.subscribers.read().unwrap();
        assert!(subscribers.literal.is_empty() && subscribers.wildcard.is_empty());
    }
}
