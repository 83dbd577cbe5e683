//! The bus of a single process.

use super::interest::Interest;
use super::{Bus, Feed, Message, Pattern, PublishError};
use std::sync::{PoisonError, RwLock};

/// A bus inside this process: the default, when no NATS is configured.
#[derive(Debug, Default)]
pub struct LocalBus {
    interest: RwLock<Interest>,
}

impl Bus for LocalBus {
    fn publish(&self, message: Message) -> Result<(), PublishError> {
        let interest = self.interest.read().unwrap_or_else(PoisonError::into_inner);
        interest.each(&message.subject, |feed| {
            // One that has gone is forgotten when others come.
            let _ = feed.offer(message.clone());
        });
        Ok(())
    }

    fn attach(&self, patterns: &[Pattern], feed: Feed) {
        self.interest.write().unwrap_or_else(PoisonError::into_inner).add(patterns, &feed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Subject, Subscription};

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
        let kept = bus.subscribe(&[pattern("a.b.>")], 1);
        for _ in 0..10_000 {
            drop(bus.subscribe(&[pattern("a"), pattern("b.*")], 1));
        }
        assert!(bus.interest.read().unwrap().places() < 200);
        publish(&bus, "a.b.c", "x");
        assert_eq!(kept.dropped(), 0);
    }

    #[tokio::test]
    async fn what_a_feed_does_not_want_takes_no_place_in_its_queue() {
        let bus = LocalBus::default();
        let (feed, mut wanted) = Subscription::channel(1);
        let feed = feed.filtered(|message| message.payload.len() > 1);
        bus.attach(&[pattern("a")], feed);
        for payload in ["1", "22", "3"] {
            publish(&bus, "a", payload);
        }
        assert_eq!(wanted.next().await.unwrap().payload, "22");
        assert_eq!(wanted.dropped(), 0);
    }

    proptest::proptest! {
        #[test]
        fn the_tree_finds_whom_the_patterns_name(
            patterns in proptest::collection::vec("([ab*]\\.){0,2}[ab*>]", 1..12),
            subjects in proptest::collection::vec("([ab]\\.){0,3}[ab]", 1..12),
        ) {
            let mut interest = Interest::default();
            let feeds: Vec<_> = patterns.iter().map(|text| {
                let (feed, subscription) = Subscription::channel(subjects.len());
                interest.add(&[pattern(text), pattern(text)], &feed);
                (pattern(text), subscription)
            }).collect();
            for subject in &subjects {
                let message = Message::new(Subject::new(subject).unwrap(), "");
                interest.each(&message.subject, |feed| assert!(feed.offer(message.clone())));
            }
            for (pattern, mut subscription) in feeds {
                let subjects = subjects.iter().map(|text| Subject::new(text).unwrap());
                let wanted: Vec<_> = subjects.filter(|subject| pattern.matches(subject)).collect();
                let heard: Vec<_> = std::iter::from_fn(|| subscription.try_next().map(|m| m.subject)).collect();
                proptest::prop_assert_eq!(heard, wanted);
            }
        }
    }
}
