use super::*;
use Verdict::{Duplicate, New};

#[test]
fn the_ordered_lane_takes_each_number_once_and_skips_none() {
    let mut lane = Ordered::default();
    assert_eq!(lane.accept(0), Err(NumberError::Zero));
    assert_eq!(lane.accept(2), Err(NumberError::Skips { number: 2, highest: 1 }));
    assert_eq!(lane.accept(u64::MAX), Err(NumberError::Skips { number: u64::MAX, highest: 1 }));
    assert_eq!(lane.accept(1), Ok(New));
    assert_eq!(lane.accept(1), Ok(Duplicate));
    assert_eq!((lane.accept(2), lane.accept(1), lane.received()), (Ok(New), Ok(Duplicate), 2));
}

#[test]
fn a_gap_of_the_ordered_lane_counts_what_had_not_arrived() {
    let mut lane = Ordered::default();
    assert_eq!(lane.gap(0, 3), Err(NumberError::Zero));
    assert_eq!(lane.gap(2, 3), Err(NumberError::Skips { number: 2, highest: 1 }));
    assert_eq!(lane.gap(1, 0), Err(NumberError::Reversed { first: 1, last: 0 }));
    assert_eq!(lane.gap(1, 3), Ok(Some((1, 3))));
    assert_eq!(lane.gap(1, 3), Ok(None));
    assert_eq!(lane.gap(2, 5), Ok(Some((4, 5))));
    assert_eq!(lane.accept(6), Ok(New));
    assert_eq!(lane.gap(7, u64::MAX), Ok(Some((7, u64::MAX))));
    assert_eq!((lane.accept(u64::MAX), lane.gap(u64::MAX, u64::MAX)), (Ok(Duplicate), Ok(None)));
}

#[test]
fn the_large_lane_takes_numbers_in_any_order() {
    let mut lane = Unordered::default();
    let beyond = |lane: &Unordered| lane.beyond().collect::<Vec<_>>();
    assert_eq!(lane.accept(0), Err(NumberError::Zero));
    assert_eq!(lane.accept(17), Err(NumberError::Skips { number: 17, highest: 16 }));
    assert_eq!((lane.accept(16), lane.accept(3), lane.accept(2)), (Ok(New), Ok(New), Ok(New)));
    assert_eq!((lane.accept(3), lane.received(), beyond(&lane)), (Ok(Duplicate), 0, vec![2, 3, 16]));
    assert_eq!((lane.accept(1), lane.received(), beyond(&lane)), (Ok(New), 3, vec![16]));
    for number in 4..16 {
        assert_eq!((lane.accept(number), lane.received()), (Ok(New), if number == 15 { 16 } else { number }));
    }
    assert_eq!((lane.accept(2), beyond(&lane)), (Ok(Duplicate), vec![]));
}

#[test]
fn a_gap_of_the_large_lane_leaves_out_what_is_known() {
    let mut lane = Unordered::default();
    assert_eq!(lane.gap(17, 18), Err(NumberError::Skips { number: 17, highest: 16 }));
    assert_eq!(lane.gap(5, 4), Err(NumberError::Reversed { first: 5, last: 4 }));
    assert_eq!((lane.accept(3), lane.accept(6)), (Ok(New), Ok(New)));
    assert_eq!(lane.gap(2, 7), Ok(vec![(2, 2), (4, 5), (7, 7)]));
    assert_eq!(lane.gap(2, 7), Ok(vec![]));
    assert_eq!((lane.accept(4), lane.received()), (Ok(Duplicate), 0));
    assert_eq!(lane.beyond().collect::<Vec<_>>(), [3, 6]);
    assert_eq!(lane.gap(9, u64::MAX), Ok(vec![(9, u64::MAX)]));
    assert_eq!((lane.accept(1), lane.received()), (Ok(New), 7));
    assert_eq!((lane.accept(8), lane.received()), (Ok(New), u64::MAX));
    assert_eq!((lane.accept(u64::MAX), lane.gap(1, u64::MAX)), (Ok(Duplicate), Ok(vec![])));
}

#[test]
fn an_acknowledgement_is_due_when_enough_came() {
    let mut incoming = Incoming::default();
    assert_eq!((incoming.acknowledge(), incoming.is_due()), (None, false));
    for number in 1..=31 {
        incoming.ordered.accept(number).unwrap();
        assert!(!incoming.is_due());
    }
    incoming.large.accept(2).unwrap();
    assert!(incoming.is_due());
    let received = Received { ordered: 31, large: 0, large_beyond: vec![2] };
    assert_eq!(incoming.acknowledge(), Some(received.clone()));
    assert_eq!((incoming.acknowledge(), incoming.received()), (None, received));
    for number in 3..=10 {
        assert!(!incoming.is_due());
        incoming.large.accept(number).unwrap();
    }
    assert!(incoming.is_due(), "the sender of large messages waits");
    incoming.acknowledge();
    incoming.ordered.accept(31).unwrap();
    assert_eq!(incoming.unacknowledged(), 1, "who repeats does not know that it arrived");
}
