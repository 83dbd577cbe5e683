//! What a region tells of its own faults.

use super::*;
use atoll_proto::datagram::Alias;

/// A link no door should have.
struct Faulty;

impl Link for Faulty {
    fn push(&mut self, _: Tag, _: Frame) -> Pressure {
        panic!("a fault in a door");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_is_told_of_once_and_by_name() {
    let region = region();
    let mut failures = region.failures();
    settle().await;
    assert_eq!(region.failed(), None);
    let bridge = region.open_link(RoomId::new("named"), Box::new(Faulty)).await.unwrap();
    failures.changed().await.unwrap();
    let failed = region.failed().unwrap();
    assert_eq!(&*failed, "the task of rooms 0 panicked: a fault in a door");
    assert_eq!(failures.borrow_and_update().clone(), Some(failed));
    // Nobody waits forever for a task that is no more.
    assert_eq!(bridge.add(Sender::Server("x".into())).await, Err(JoinFailed::Ending));
    let refused = bridge.send_ordered(Alias(0), Bytes::new()).await;
    assert_eq!(refused, Err(SendFailed::Ending));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_region_is_no_failure() {
    let region = region();
    let mut failures = region.failures();
    settle().await;
    drop(region);
    assert!(failures.changed().await.is_err(), "the watch ends with the region");
    assert_eq!(*failures.borrow(), None);
}
