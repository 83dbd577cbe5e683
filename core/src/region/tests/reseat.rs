//! What was taken reaches the room, whatever happens to the seat afterwards.

use super::*;
use tokio::time::timeout;

#[tokio::test(start_paused = true)]
async fn the_end_of_a_seat_does_not_overtake_what_it_sent() {
    let region = region();
    let (_a, a, _) = seated(&region, 1).await;
    let (_b, _seat, ear) = seated(&region, 2).await;
    settle().await;
    for payload in numbers(0..16) {
        a.send_ordered(payload).await.unwrap();
    }
    drop(a);
    assert_eq!(ear.ordered().len(), 0, "nothing has moved yet");
    settle().await;
    assert_eq!(ear.ordered(), numbers(0..16));
    assert_eq!(ear.last(), Some("members"), "and then he left");
    assert_eq!(region.status().seats, 1);
}

#[tokio::test(start_paused = true)]
async fn a_move_to_another_island_loses_nothing() {
    let region = region();
    let (session, first, _) = seated(&region, 1).await;
    let (_b, _seat, ear) = seated(&region, 2).await;
    for payload in numbers(0..5) {
        first.send_ordered(payload).await.unwrap();
    }
    move_to(&region, 1, "I2");
    let (second, _) = seat(&region, &session).await;
    first.send_ordered(Bytes::from(vec![5])).await.unwrap();
    drop(first);
    settle().await;
    assert_eq!(ear.ordered(), numbers(0..6));
    assert_eq!((region.status().rooms, region.status().seats), (2, 2));
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn another_connection_takes_over_and_the_former_line_still_speaks() {
    let region = region();
    let (session, first, old) = seated(&region, 1).await;
    let (_b, neighbour, ear) = seated(&region, 2).await;
    settle().await;
    neighbour.send_ordered(Bytes::from(vec![0])).await.unwrap();
    for payload in numbers(0..4) {
        first.send_ordered(payload).await.unwrap();
    }
    let (mut second, new) = seat(&region, &session).await;
    assert_eq!((second.alias(), second.tag()), (first.alias(), first.tag()));
    let mut former_ended = pin!(second.former_ended());
    assert_eq!(old.last(), Some("closed"));
    first.send_ordered(Bytes::from(vec![4])).await.unwrap();
    second.send_ordered(Bytes::from(vec![5])).await.unwrap();
    neighbour.send_ordered(Bytes::from(vec![1])).await.unwrap();
    assert!(timeout(Duration::ZERO, former_ended.as_mut()).await.is_err(), "the former one may still speak");
    drop(first);
    former_ended.await;
    second.former_ended().await;
    settle().await;
    assert_eq!(ear.ordered(), numbers(0..6));
    assert_eq!((old.ordered(), new.ordered()), (numbers(0..1), numbers(1..2)));
    assert_eq!(region.status().seats, 2, "the end of the former seat is not the end of the place");
    drop(second);
    settle().await;
    assert_eq!(region.status().seats, 1);
}
