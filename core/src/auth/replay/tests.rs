use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

const NOW: u64 = 1_700_000_000_000;
const WINDOW: u64 = crate::auth::SIGNED_FETCH_WINDOW_MS;

fn owner(number: u8) -> Address {
    Address([number; 20])
}

const USED: Result<(), ReplayError> = Err(ReplayError::Refused(SignedFetchError::Used));

#[test]
fn a_request_is_entered_once() {
    let mut cache = ReplayCache::new(10);
    assert_eq!(cache.enter(owner(1), "a", NOW, NOW), Ok(()));
    assert_eq!(cache.enter(owner(1), "a", NOW, NOW), USED);
    assert_eq!(cache.enter(owner(1), "a", NOW, NOW + WINDOW), USED);
    assert_eq!(cache.enter(owner(2), "a", NOW, NOW), Ok(()), "another owner signed the same text");
    assert_eq!(cache.enter(owner(1), "b", NOW, NOW), Ok(()), "another text of the same owner and moment");
}

#[test]
fn entries_leave_when_their_time_is_over() {
    let mut cache = ReplayCache::new(10);
    cache.enter(owner(1), "late", NOW - WINDOW, NOW).unwrap();
    cache.enter(owner(1), "early", NOW + WINDOW, NOW).unwrap();
    assert_eq!(cache.enter(owner(1), "late", NOW - WINDOW, NOW), USED);
    let too_old = SignedFetchError::TooOld { timestamp: NOW - WINDOW, now: NOW + 1 };
    assert_eq!(cache.enter(owner(1), "late", NOW - WINDOW, NOW + 1), Err(too_old.into()));
    cache.enter(owner(1), "other", NOW, NOW + 1).unwrap();
    assert_eq!(cache.used.len(), 2);
    assert_eq!(cache.enter(owner(1), "early", NOW + WINDOW, NOW + 2 * WINDOW), USED);
    cache.enter(owner(1), "last", NOW + 2 * WINDOW, NOW + 2 * WINDOW + 1).unwrap();
    assert_eq!(cache.used.len(), 1);
}

#[test]
fn a_full_memory_forgets_nothing() {
    let mut cache = ReplayCache::new(100);
    for at in 0..100 {
        cache.enter(owner(1), "x", NOW + at, NOW).unwrap();
    }
    assert_eq!(cache.enter(owner(1), "y", NOW, NOW), Err(ReplayError::Busy));
    assert_eq!(cache.enter(owner(1), "x", NOW, NOW), USED, "known ones are still known");
    assert_eq!(cache.enter(owner(1), "y", NOW + WINDOW, NOW + WINDOW), Err(ReplayError::Busy));
    // The first entry's time is over now, and nobody else's.
    assert_eq!(cache.enter(owner(1), "y", NOW + WINDOW, NOW + WINDOW + 1), Ok(()));
    assert_eq!(cache.enter(owner(1), "z", NOW + WINDOW, NOW + WINDOW + 1), Err(ReplayError::Busy));
    assert_eq!(cache.used.len(), 100);
}

#[test]
fn a_clock_set_back_brings_nothing_back() {
    let mut cache = ReplayCache::new(10);
    cache.enter(owner(1), "a", NOW, NOW).unwrap();
    let day = 86_400_000;
    cache.enter(owner(1), "b", NOW + day, NOW + day).unwrap();
    let too_old = SignedFetchError::TooOld { timestamp: NOW, now: NOW };
    assert_eq!(cache.enter(owner(1), "a", NOW, NOW), Err(too_old.into()));
    assert_eq!(cache.enter(owner(1), "c", NOW + 1, NOW), Ok(()), "what is signed after the clock's leap is taken");
    assert_eq!(cache.enter(owner(1), "b", NOW + day, NOW + day), USED);
}

proptest! {
    /// Against a memory that forgets nothing: whatever the clock does, nothing is entered twice, and what is refused as
    /// used was.
    #[test]
    fn nothing_is_entered_twice(
        steps in prop::collection::vec((0..4u8, 0..20u64, 0..40u64), 1..200),
        capacity in 1..16usize,
    ) {
        let mut cache = ReplayCache::new(capacity);
        let mut entered = HashSet::new();
        for (who, signed, clock) in steps {
            let (timestamp, now) = (NOW + signed * 10_000, NOW + clock * 5_000);
            let request = (who, timestamp);
            match cache.enter(owner(who), &timestamp.to_string(), timestamp, now) {
                Ok(()) => prop_assert!(entered.insert(request)),
                Err(ReplayError::Refused(SignedFetchError::Used)) => prop_assert!(entered.contains(&request)),
                Err(ReplayError::Busy) => prop_assert_eq!(cache.used.len(), capacity),
                Err(_) => {}
            }
            prop_assert!(cache.used.len() <= capacity);
        }
    }
}
