//! Other processes on the same bus: logins at other edges, and archipelago's word after an absence.

use super::*;
use atoll_proto::archipelago::{IslandData, IslandStatusMessage};
use prost::Message as _;

fn heard(bus: &LocalBus, pattern: &str) -> crate::bus::Subscription {
    bus.subscribe(&[crate::bus::Pattern::new(pattern).unwrap()], 100)
}

fn from_elsewhere(bus: &LocalBus, subject: &str, payload: Vec<u8>) {
    let mut message = Message::new(Subject::new(subject).unwrap(), payload);
    message.is_from_elsewhere = true;
    bus.publish(message).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_at_another_edge_ends_the_session_here_and_says_nothing_of_it() {
    let bus = Arc::<LocalBus>::default();
    let region = region_on(Arc::clone(&bus));
    let (mut one, mut other) = (session(&region, 1), session(&region, 2));
    settle().await;
    let mut ends = heard(&bus, "peer.*.disconnect");
    from_elsewhere(&bus, &format!("peer.{}.connect", address(1)), Vec::new());
    assert_eq!(one.next_event().await, Some(SessionEvent::Kicked));
    drop(one);
    settle().await;
    assert!(ends.try_next().is_none(), "the address is still there, elsewhere");
    assert_eq!(region.sessions(), 1);
    assert_eq!(at_once(other.next_event()).await, None);
    drop(other);
    settle().await;
    assert!(ends.try_next().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_stands_elsewhere_than_archipelago_says_is_announced_again() {
    let bus = Arc::<LocalBus>::default();
    let region = region_on(Arc::clone(&bus));
    let sessions: Vec<_> = (1..=3).map(|number| session(&region, number)).collect();
    for (number, island) in [(1, "I1"), (2, "I1")] {
        move_to(&region, number, island);
    }
    settle().await;
    let mut asked = heard(&bus, "atoll.archipelago.ask");
    region.catch_up();
    assert!(asked.try_next().is_some());
    let mut announced = heard(&bus, "peer.*.connect");
    let island = |id: &str, peers: &[u8]| IslandData {
        id: id.to_owned(),
        peers: peers.iter().map(|number| address(*number).to_string()).collect(),
        ..Default::default()
    };
    // The third has not heard of any island yet: it is on its way.
    let islands = IslandStatusMessage { data: vec![island("I1", &[1, 9]), island("I2", &[2, 3])] };
    from_elsewhere(&bus, "archipelago.islands", islands.encode_to_vec());
    settle().await;
    let again: Vec<_> = std::iter::from_fn(|| announced.try_next()).collect();
    let [message] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(message.subject.as_str(), format!("peer.{}.connect", address(2)));
    drop(sessions);
}
