//! Messages of topics that wait for a session that does not take them.

use super::*;

/// A message of the peer 9 on the topic `abc`, whatever its limits are.
fn say(region: &Region, payload: impl Into<Bytes>) {
    region.inner.publish(&format!("client-proto.peer.{}.abc", address(9)), payload.into());
}

async fn number(subscription: &mut TopicSubscription) -> Option<u64> {
    at_once(subscription.next()).await.flatten().map(|message| message.number)
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_learns_how_many_it_missed() {
    let region = region();
    let session = session(&region, 1);
    let mut subscription = session.topics().subscribe(Scope::Peer, "abc").unwrap();
    for _ in 0..60 {
        say(&region, "");
    }
    assert_eq!(subscription.dropped(), 9);
    assert_eq!(number(&mut subscription).await, Some(10), "nine were dropped until now");
    for _ in 1..51 {
        number(&mut subscription).await.unwrap();
    }
    assert_eq!(number(&mut subscription).await, None);
    say(&region, "");
    assert_eq!(number(&mut subscription).await, Some(61));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_all_sessions_is_bounded_and_a_little_waits_for_each() {
    let region = region();
    let sessions: Vec<_> = (1..=8).map(|number| session(&region, number)).collect();
    let everything = |session: &Session| session.topics().subscribe(Scope::Peer, ">").unwrap();
    let mut subscriptions = Vec::new();
    for session in &sessions {
        subscriptions.extend((0..4).map(|_| everything(session)));
    }
    let payload = Bytes::from(vec![0; MAX_TOPIC_PAYLOAD]);
    for _ in 0..51 {
        say(&region, payload.clone());
    }
    let kept = region.inner.topics.kept();
    assert!(kept <= 256 << 20 && kept > 200 << 20, "{kept}");
    let late = session(&region, 9);
    let mut small = everything(&late);
    say(&region, vec![0; 60_000]);
    assert_eq!(number(&mut small).await, Some(1));
    drop(subscriptions);
    assert_eq!(region.inner.topics.kept(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_memory_until_its_payload_is_dropped() {
    let region = region();
    let session = session(&region, 1);
    let mut subscription = session.topics().subscribe(Scope::Peer, "abc").unwrap();
    say(&region, vec![7; 1000]);
    let message = at_once(subscription.next()).await.flatten().unwrap();
    assert_eq!(message.payload, vec![7; 1000]);
    drop(subscription);
    assert!(region.inner.topics.kept() > 1000);
    drop(message);
    assert_eq!(region.inner.topics.kept(), 0);
}
