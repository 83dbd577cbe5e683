//! Who goes from a full region.

use super::*;

/// What a session is told now, if anything.
async fn told(session: &mut Session) -> Option<SessionEvent> {
    at_once(session.next_event()).await.flatten()
}

#[tokio::test(start_paused = true)]
async fn a_full_region_lets_other_places_in_and_the_crowd_makes_room() {
    let region = region_of(4);
    let mut crowd: Vec<_> = (0..4).map(|number| session_from(&region, number, 1).unwrap()).collect();
    crowd[2].set_idle(true);
    let mut others: Vec<_> = (10..12).map(|number| session_from(&region, number, number).unwrap()).collect();
    assert_eq!(told(&mut crowd[2]).await, Some(SessionEvent::Evicted), "the idle first");
    assert_eq!(told(&mut crowd[2]).await, None);
    assert_eq!(told(&mut crowd[0]).await, Some(SessionEvent::Evicted), "then the oldest");
    // Two of one place, two of two others: a second one of another place would be no better.
    assert!(session_from(&region, 20, 10).is_none());
    let third = session_from(&region, 21, 1).unwrap();
    assert_eq!(
        told(&mut crowd[1]).await,
        Some(SessionEvent::Evicted),
        "one of the most crowded place takes its kind's"
    );
    for session in others.iter_mut().chain(&mut crowd[3..]) {
        assert_eq!(told(session).await, None);
    }
    assert_eq!(region.status().sessions_evicted, 3);
    drop((crowd, third));
    assert_eq!(region.sessions(), 2);
    let _again = session_from(&region, 20, 10).unwrap();
    assert_eq!(region.status().sessions_evicted, 3, "there is room");
}

#[tokio::test(start_paused = true)]
async fn a_second_login_of_an_address_needs_no_spot_of_its_own() {
    let region = region_of(2);
    let mut first = session_from(&region, 1, 1).unwrap();
    let mut other = session_from(&region, 2, 2).unwrap();
    // From a place that has none yet, and from one that would then be the most crowded.
    let mut second = session_from(&region, 1, 3).unwrap();
    assert_eq!(told(&mut first).await, Some(SessionEvent::Kicked));
    let mut third = session_from(&region, 1, 2).unwrap();
    assert_eq!(told(&mut second).await, Some(SessionEvent::Kicked));
    drop((first, second));
    assert_eq!((told(&mut other).await, told(&mut third).await), (None, None));
    assert_eq!((region.sessions(), region.status().sessions_evicted), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_evicted_session_that_was_kicked_as_well_hears_that_it_was_kicked() {
    let region = region_of(3);
    let mut first = session_from(&region, 1, 1).unwrap();
    let _others = [2, 3].map(|number| session_from(&region, number, 1).unwrap());
    let _elsewhere = session_from(&region, 4, 2).unwrap();
    let _again = session_from(&region, 1, 1).unwrap();
    assert_eq!(told(&mut first).await, Some(SessionEvent::Kicked));
    assert_eq!(told(&mut first).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_leaves_the_evicted_session_of_its_address_as_it_was() {
    let region = region_of(1);
    let mut first = session_from(&region, 1, 1).unwrap();
    let mut same_place = session_from(&region, 2, 1).unwrap();
    assert!(session_from(&region, 1, 2).is_none());
    assert_eq!(told(&mut first).await, Some(SessionEvent::Evicted));
    assert_eq!(told(&mut same_place).await, None);
}
