use super::*;
use crate::lanes::{LARGE_BOUNDS, ORDERED_BOUNDS};

const NOW: Duration = Duration::from_secs(100);

/// A lane with room for four messages of up to ten bytes together.
fn small() -> Outgoing<&'static str> {
    Outgoing::new(Bounds { bytes: 10, entries: 4, age: Duration::from_secs(60), ahead: u64::MAX })
}

fn sent<M: Copy, S: Ord + Clone>(lane: &mut Outgoing<M, S>, now: Duration) -> Vec<Item<M>> {
    let mut items = Vec::new();
    while let Some(item) = lane.next(now) {
        items.push(match item {
            Item::Message { number, message } => Item::Message { number, message: *message },
            Item::Gap { first, last } => Item::Gap { first, last },
        });
    }
    items
}

fn message<M>(number: u64, message: M) -> Item<M> {
    Item::Message { number, message }
}

const fn gap<M>(first: u64, last: u64) -> Item<M> {
    Item::Gap { first, last }
}

#[test]
fn messages_are_handed_out_once_and_again_on_a_new_connection() {
    let mut lane = small();
    assert_eq!(lane.push(NOW, 1, "a"), 1);
    assert_eq!(lane.push(NOW, 1, "b"), 2);
    assert_eq!(sent(&mut lane, NOW), [message(1, "a"), message(2, "b")]);
    lane.push(NOW, 1, "c");
    assert_eq!(sent(&mut lane, NOW), [message(3, "c")]);
    lane.rewind(NOW, 1, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW), [message(2, "b"), message(3, "c")]);
    lane.acknowledge(3, &[]).unwrap();
    assert_eq!((lane.len(), lane.bytes(), lane.unacknowledged(), lane.acknowledged()), (0, 0, 0, 3));
    assert_eq!(lane.push(NOW, 1, "d"), 4);
}

#[test]
fn an_acknowledgement_may_name_what_only_an_earlier_connection_carried() {
    let mut lane = small();
    for text in ["a", "b", "c"] {
        lane.push(NOW, 1, text);
    }
    assert_eq!(sent(&mut lane, NOW).len(), 3);
    lane.rewind(NOW, 0, &[]).unwrap();
    assert_eq!(lane.next(NOW), Some(message(1, &"a")));
    lane.acknowledge(2, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW), [message(3, "c")]);
    assert_eq!(lane.acknowledge(4, &[]), Err(AcknowledgeError::NeverSent { number: 4, highest: 3 }));
}

#[test]
fn what_is_pushed_out_unsent_is_one_gap_in_its_place() {
    let mut lane = small();
    for text in ["a", "b", "c", "d", "e", "f"] {
        lane.push(NOW, 1, text);
    }
    let kept = [message(3, "c"), message(4, "d"), message(5, "e"), message(6, "f")];
    let mut expected = vec![gap(1, 2)];
    expected.extend(kept);
    assert_eq!(sent(&mut lane, NOW), expected);
    lane.rewind(NOW, 1, &[]).unwrap();
    assert_eq!(lane.next(NOW), Some(gap(2, 2)));
    lane.rewind(NOW, 2, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW), kept);
}

#[test]
fn what_was_sent_before_it_was_dropped_is_a_gap_only_when_the_connection_was_lost() {
    let mut lane = small();
    lane.push(NOW, 1, "a");
    assert_eq!(sent(&mut lane, NOW), [message(1, "a")]);
    let later = NOW + Duration::from_secs(61);
    lane.push(later, 1, "b");
    assert_eq!(sent(&mut lane, later), [message(2, "b")]);
    let mut lost = lane.clone();
    lost.rewind(later, 0, &[]).unwrap();
    assert_eq!(sent(&mut lost, later), [gap(1, 1), message(2, "b")]);
    lane.rewind(later, 1, &[]).unwrap();
    assert_eq!(sent(&mut lane, later), [message(2, "b")]);
}

#[test]
fn a_gap_grows_and_only_its_new_part_is_announced() {
    let mut lane = small();
    for _ in 0..6 {
        lane.push(NOW, 1, "x");
    }
    assert_eq!(lane.next(NOW), Some(gap(1, 2)));
    lane.push(NOW, 10, "y");
    assert_eq!(sent(&mut lane, NOW), [gap(3, 6), message(7, "y")]);
}

#[test]
fn full_means_that_something_unacknowledged_would_be_dropped() {
    let mut lane = small();
    assert!(!lane.is_full(NOW, 10) && lane.is_full(NOW, 11) && lane.is_full(NOW, usize::MAX));
    lane.push(NOW, 6, "a");
    assert!(!lane.is_full(NOW, 4) && lane.is_full(NOW, 5));
    assert!(!lane.is_full(NOW + Duration::from_secs(61), 5), "what is too old is gone anyhow");
    for _ in 0..3 {
        lane.push(NOW, 0, "b");
    }
    assert!(lane.is_full(NOW, 0));
    assert_eq!(sent(&mut lane, NOW).len(), 4);
    lane.acknowledge(1, &[]).unwrap();
    assert!(!lane.is_full(NOW, 10));
}

#[test]
fn a_message_larger_than_the_lane_pushes_nothing_out() {
    let mut lane = small();
    lane.push(NOW, 1, "a");
    lane.push(NOW, 11, "too large");
    lane.push(NOW, usize::MAX, "too large");
    lane.push(NOW, 1, "b");
    assert_eq!(sent(&mut lane, NOW), [message(1, "a"), gap(2, 3), message(4, "b")]);
    let mut nothing = Outgoing::new(Bounds { entries: 0, ..ORDERED_BOUNDS });
    nothing.push(NOW, 0, "a");
    assert_eq!(sent(&mut nothing, NOW), [gap(1, 1)]);
}

#[test]
fn acknowledgements_that_cannot_be_true_change_nothing() {
    let mut lane = Outgoing::new(LARGE_BOUNDS);
    for number in 1..=20u64 {
        lane.push(NOW, 1, number);
    }
    assert_eq!(sent(&mut lane, NOW).len(), 16);
    let never = |number| Err(AcknowledgeError::NeverSent { number, highest: 16 });
    assert_eq!(lane.acknowledge(17, &[]), never(17));
    assert_eq!(lane.acknowledge(u64::MAX, &[]), never(u64::MAX));
    assert_eq!(lane.acknowledge(3, &[5, 17]), never(17));
    assert_eq!(lane.rewind(NOW, 3, &[u64::MAX]), never(u64::MAX));
    assert_eq!(lane.acknowledge(3, &[4; 17]), Err(AcknowledgeError::TooMany(17)));
    assert_eq!((lane.len(), lane.acknowledged()), (20, 0));
    lane.acknowledge(8, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW).len(), 4);
    assert_eq!(lane.acknowledge(3, &[20]), Err(AcknowledgeError::TooFar(20)));
    lane.acknowledge(3, &[0, 2, 9, 9]).unwrap();
    assert_eq!((lane.len(), lane.acknowledged()), (11, 8));
}

#[test]
fn single_numbers_come_in_any_order_and_are_not_sent_again() {
    let mut lane = Outgoing::new(LARGE_BOUNDS);
    for number in 1..=6u64 {
        lane.push(NOW, 10, number);
    }
    sent(&mut lane, NOW);
    lane.acknowledge(0, &[5, 2, 2]).unwrap();
    assert_eq!((lane.len(), lane.bytes(), lane.unacknowledged()), (4, 40, 6));
    lane.acknowledge(0, &[]).unwrap();
    lane.rewind(NOW, 1, &[5, 2]).unwrap();
    assert_eq!(sent(&mut lane, NOW), [message(3, 3), message(4, 4), message(6, 6)]);
}

#[test]
fn a_number_that_arrived_before_it_was_dropped_is_not_in_the_gap() {
    let mut lane = Outgoing::new(Bounds { entries: 2, ..LARGE_BOUNDS });
    for number in 1..=4u64 {
        lane.push(NOW, 1, number);
        sent(&mut lane, NOW);
    }
    lane.rewind(NOW, 0, &[2]).unwrap();
    lane.push(NOW, 1, 5);
    assert_eq!(sent(&mut lane, NOW), [gap(1, 1), gap(3, 3), message(4, 4), message(5, 5)]);
}

#[test]
fn a_gap_is_cut_by_what_arrived_after_all() {
    let mut lane = Outgoing::new(Bounds { entries: 1, ..LARGE_BOUNDS });
    for number in 1..=6u64 {
        lane.push(NOW, 1, number);
        sent(&mut lane, NOW);
    }
    lane.rewind(NOW, 0, &[4]).unwrap();
    assert_eq!(sent(&mut lane.clone(), NOW), [gap(1, 3), gap(5, 5), message(6, 6)]);
    lane.rewind(NOW, 0, &[1, 3, 5]).unwrap();
    assert_eq!(sent(&mut lane.clone(), NOW), [gap(2, 2), gap(4, 4), message(6, 6)]);
    lane.rewind(NOW, 0, &[]).unwrap();
    lane.acknowledge(2, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW), [gap(3, 5), message(6, 6)]);
}

#[test]
fn who_forgets_what_it_acknowledged_is_told_a_gap() {
    let mut lane = Outgoing::new(LARGE_BOUNDS);
    for number in 1..=6u64 {
        lane.push(NOW, 1, number);
    }
    sent(&mut lane, NOW);
    lane.acknowledge(2, &[4, 5]).unwrap();
    lane.rewind(NOW, 1, &[5]).unwrap();
    assert_eq!(lane.acknowledged(), 1);
    assert_eq!(sent(&mut lane, NOW), [gap(2, 2), message(3, 3), gap(4, 4), message(6, 6)]);
    lane.acknowledge(6, &[]).unwrap();
    lane.rewind(NOW, 0, &[]).unwrap();
    lane.push(NOW, 1, 7);
    assert_eq!(sent(&mut lane, NOW), [gap(1, 6), message(7, 7)]);
}

#[test]
fn the_large_lane_waits_for_acknowledgements_but_a_gap_may_be_long() {
    let mut lane = Outgoing::new(LARGE_BOUNDS);
    for number in 1..=1000u64 {
        lane.push(NOW, 1, number);
    }
    assert_eq!(sent(&mut lane, NOW), [gap(1, 936)]);
    lane.acknowledge(936, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW).len(), 16);
    lane.acknowledge(936, &[938, 939]).unwrap();
    assert_eq!(sent(&mut lane, NOW), []);
    lane.acknowledge(940, &[]).unwrap();
    assert_eq!(sent(&mut lane, NOW), (953..=956).map(|number| message(number, number)).collect::<Vec<_>>());
}

#[test]
fn what_a_lane_remembers_is_bounded_however_it_was_dropped() {
    let mut lane = Outgoing::new(ORDERED_BOUNDS);
    // The quiet one's messages stay; what the loud one lost lies between them.
    for number in 1..=100_000u64 {
        let quiet = number % 50 == 0;
        lane.push_from(u8::from(quiet), NOW, 0, number);
        assert!(lane.spans.len() <= 2 * ORDERED_BOUNDS.entries, "{number}");
    }
    sent(&mut lane, NOW);
    lane.acknowledge(99_990, &[]).unwrap();
    assert_eq!(lane.spans.len(), 10);
    lane.acknowledge(100_000, &[]).unwrap();
    assert_eq!(lane.spans.len(), 0);
}

#[test]
fn time_that_stands_still_or_goes_back_drops_nothing() {
    let mut lane = small();
    lane.push(NOW, 1, "a");
    assert_eq!(lane.expires_at(), Some(NOW + Duration::from_secs(60)));
    lane.expire(Duration::ZERO);
    lane.expire(NOW + Duration::from_nanos(59_999_999_999));
    assert_eq!(lane.len(), 1);
    // At the time told, so that who waits for it finds something to do.
    lane.expire(NOW + Duration::from_secs(60));
    assert_eq!((lane.len(), lane.expires_at()), (0, None));
    lane.expire(Duration::MAX);
}
