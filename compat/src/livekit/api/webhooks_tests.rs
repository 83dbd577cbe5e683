//! Receivers that take, refuse, fail and hang.

use super::*;
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::Notify;

/// Answers as it was told to, then takes everything.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Option<u16>>>,
    bodies: Mutex<Vec<(String, Bytes)>>,
    told: Notify,
}

impl WebhookReceiver for Receiver {
    fn post(&self, authorization: String, body: Bytes) -> BoxFuture<'_, Result<u16, String>> {
        self.bodies.lock().unwrap().push((authorization, body));
        self.told.notify_one();
        let answer = self.answers.lock().unwrap().pop_front();
        async move {
            match answer {
                Some(Some(0)) => Err("refused".to_owned()),
                Some(Some(status)) => Ok(status),
                Some(None) => std::future::pending().await,
                None => Ok(200),
            }
        }
        .boxed()
    }
}

fn start(answers: &[Option<u16>]) -> (Webhooks, Arc<Receiver>, Arc<ApiCounters>) {
    let receiver = Arc::new(Receiver { answers: Mutex::new(answers.iter().copied().collect()), ..Receiver::default() });
    let (keys, counters) = (LivekitKeys::new("key", "a secret of sixteen", None), Arc::default());
    let receivers: Vec<Arc<dyn WebhookReceiver>> = vec![Arc::clone(&receiver) as _];
    (Webhooks::start(receivers, &keys, &counters), receiver, counters)
}

fn room(name: &str) -> Room {
    Room { name: name.to_owned(), ..Room::default() }
}

async fn until(counters: &ApiCounters, delivered: u64, failed: u64) {
    while (counters.webhooks_delivered.value(), counters.webhooks_failed.value()) != (delivered, failed) {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_told_until_it_is_taken_and_they_stay_in_order() {
    let (webhooks, receiver, counters) = start(&[Some(0), Some(503), None, Some(429)]);
    webhooks.room("room_started", || room("a"));
    webhooks.room("room_finished", || room("a"));
    until(&counters, 2, 0).await;
    assert_eq!(counters.webhooks_retried.value(), 4);
    let events: Vec<WebhookEvent> =
        receiver.bodies.lock().unwrap().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names, [vec!["room_started"; 5], vec!["room_finished"]].concat());
    assert!(events[..5].iter().all(|event| event.id == events[0].id) && events[5].id != events[0].id);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_taken_is_given_up_and_a_refusal_at_once() {
    let (webhooks, receiver, counters) = start(&[Some(404), Some(0), Some(0), Some(0), Some(0), Some(0), Some(0)]);
    webhooks.room("room_started", || room("a"));
    webhooks.room("room_started", || room("b"));
    webhooks.room("room_started", || room("c"));
    until(&counters, 1, 2).await;
    assert_eq!(receiver.bodies.lock().unwrap().len(), 1 + 1 + PAUSES.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn for_a_receiver_that_hangs_a_bounded_number_waits() {
    let (webhooks, receiver, counters) = start(&[None; 6]);
    webhooks.room("room_started", || room("a"));
    receiver.told.notified().await;
    for _ in 0..WAITING + 3 {
        webhooks.room("room_started", || room("b"));
    }
    assert_eq!(counters.webhooks_shed.value(), 3);
    until(&counters, WAITING as u64, 1).await;
}
