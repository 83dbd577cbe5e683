//! What may wait for a room's task, and what happens to the rest.

use super::*;
use atoll_proto::datagram::Sequence;

/// Events sent until one is refused.
fn sent(send: impl Fn() -> Result<(), Busy>) -> usize {
    (0..100_000).take_while(|_| send().is_ok()).count()
}

fn flood(seat: &Seat) -> usize {
    sent(|| seat.send(Delivery::Event, Some(Sequence(0)), Bytes::new()))
}

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_room_for_a_thousand_others() {
    let region = region();
    let (_one, one, _) = seated(&region, 1).await;
    let (_other, other, _) = seated(&region, 2).await;
    assert_eq!(flood(&one), 64);
    settle().await;
    assert_eq!(flood(&one), 64, "what was taken leaves its place");
    assert_eq!(flood(&other), 64, "one link's flood is not another's");

    let mut bridges = Vec::new();
    for number in 0..40 {
        let bridge = region.open_link(RoomId::new(&number.to_string()), Box::new(Ear::default())).await.unwrap();
        bridges.push(bridge);
    }
    settle().await;
    let alias = one.alias();
    let floods = bridges.iter().map(|bridge| sent(|| bridge.send(alias, Delivery::Event, None, Bytes::new())));
    let floods: Vec<usize> = floods.collect();
    assert_eq!((floods[0], floods[39]), (1024, 128), "{floods:?}");
    let waiting: usize = floods.iter().sum();
    assert!(waiting < 16_384 - 8 * 400, "{waiting}");
    assert_eq!(flood(&one), 8, "there is still a place for those who do not flood");
    settle().await;
    assert_eq!(flood(&one), 64);
}

#[tokio::test(start_paused = true)]
async fn sixteen_ordered_packets_of_a_seat_wait_and_the_next_waits_with_its_sender() {
    let region = region();
    let (_a, a, _) = seated(&region, 1).await;
    let (_b, _seat, ear) = seated(&region, 2).await;
    for payload in numbers(0..16) {
        assert_eq!(at_once(a.send_ordered(payload)).await, Some(Ok(())));
    }
    assert_eq!(a.send(Delivery::Ordered, None, Bytes::new()), Err(Busy));
    assert_eq!(at_once(a.send_ordered(Bytes::from_static(b"given up"))).await, None);
    let late = a.send_ordered(Bytes::from(vec![16]));
    assert_eq!(late.await, Ok(()));
    assert_eq!(a.send(Delivery::Ordered, None, Bytes::from(vec![17])), Ok(()));
    settle().await;
    assert_eq!(ear.ordered(), numbers(0..18));

    let large = Bytes::from(vec![0; crate::room::MAX_ORDERED_PAYLOAD + 1]);
    assert_eq!(a.send_ordered(large.clone()).await, Err(SendFailed::TooLarge(large.len())));
}

#[tokio::test(start_paused = true)]
async fn four_mebibytes_of_ordered_packets_wait_at_most() {
    let region = region();
    let largest = Bytes::from(vec![7; crate::room::MAX_ORDERED_PAYLOAD]);
    let mut seats = Vec::new();
    for number in 0..8 {
        seats.push(seated(&region, number).await);
    }
    let mut waiting = 0;
    for (_, seat, _) in &seats {
        waiting += usize::from(at_once(seat.send_ordered(largest.clone())).await.is_some());
    }
    assert_eq!(waiting, 3, "a fourth and what is counted beside it would be more");
    for (_, seat, _) in &seats {
        seat.send_ordered(largest.clone()).await.unwrap();
    }
    settle().await;
    let heard: usize = seats.iter().map(|(_, _, ear)| ear.ordered().len()).sum();
    assert_eq!(heard, (3 + 8) * 7);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_ordered_packets_does_not_keep_others_waiting() {
    let region = region();
    let (_a, a, _) = seated(&region, 1).await;
    let (_b, b, ear) = seated(&region, 2).await;
    settle().await;
    for payload in numbers(0..16) {
        a.send_ordered(payload).await.unwrap();
    }
    a.send(Delivery::Event, None, Bytes::new()).unwrap();
    b.send(Delivery::Event, None, Bytes::new()).unwrap();
    // Both queues are taken up in the same turn of the task.
    tokio::task::yield_now().await;
    assert_eq!((ear.ordered().len(), ear.last()), (16, Some("news")));
    assert_eq!(region.status().packets_in, 18);
}

#[tokio::test(start_paused = true)]
async fn a_room_of_absent_members_costs_nothing() {
    let region = region();
    let mut absent = Vec::new();
    for number in 0..20 {
        let session = session(&region, number);
        move_to(&region, number, "I1");
        let ear = Ear { answer: Some(Pressure::Behind), ..Ear::default() };
        let seat = region.join(region.grant(&session).unwrap(), Box::new(ear)).await.unwrap();
        absent.push((session, seat));
    }
    settle().await;
    let before = region.status().ticks;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(region.status().ticks, before);
    assert_eq!(region.status().seats, 20);
}
