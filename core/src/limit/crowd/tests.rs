use super::*;
use proptest::prelude::*;
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An IPv4 address for each number.
fn host(number: u32) -> IpAddr {
    Ipv4Addr::from_bits((10 << 24) + number).into()
}

fn house(most: usize, most_per_place: Option<usize>, among_equals: AmongEquals) -> Arc<Crowd> {
    Arc::new(Crowd::new(most, most_per_place, among_equals))
}

fn is_evicted(spot: &Spot) -> bool {
    pin!(spot.evicted()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn fill(crowd: &Arc<Crowd>, from: IpAddr, count: usize) -> Vec<Spot> {
    (0..count).map(|_| crowd.enter(from).unwrap()).collect()
}

/// How many were evicted, and that it was the oldest.
fn evicted_from_the_front(spots: &[Spot]) -> usize {
    let count = spots.iter().take_while(|spot| is_evicted(spot)).count();
    assert!(!spots[count..].iter().any(is_evicted), "the oldest go first");
    count
}

#[test]
fn a_full_house_of_eight_places_still_lets_everybody_else_in() {
    // The HTTP port, held by keep-alive connections.
    let crowd = house(256, Some(32), AmongEquals::OldestLeaves);
    let greedy: Vec<_> = (0..8).map(|number| fill(&crowd, host(number), 32)).collect();
    assert!(crowd.enter(host(0)).is_none(), "no more from one place than it may have");
    let others: Vec<_> = (100..180).map(|number| crowd.enter(host(number)).unwrap()).collect();
    assert!(!others.iter().any(is_evicted));
    let left: Vec<_> = greedy.iter().map(|spots| 32 - evicted_from_the_front(spots)).collect();
    assert_eq!(left, [22; 8], "all of them make room, and none more than the others");
    assert_eq!((crowd.len(), crowd.evictions()), (256, 80));
}

#[test]
fn four_places_that_fill_the_waiting_room_do_not_keep_one_login_out() {
    let crowd = house(1024, Some(256), AmongEquals::OldestLeaves);
    let mut greedy: Vec<(IpAddr, Spot)> = Vec::new();
    for number in 0..4 {
        greedy.extend(fill(&crowd, host(number), 256).into_iter().map(|spot| (host(number), spot)));
    }
    for honest in 0..500 {
        let login = crowd.enter(host(1000 + honest)).expect("a spot for each");
        // Those who had to go are back at once, and one more than that is tried.
        for (from, spot) in &mut greedy {
            if is_evicted(spot) {
                *spot = crowd.enter(*from).expect("its place has a spot less than it may");
            }
        }
        assert!(crowd.enter(host(honest % 4)).is_none_or(|spot| !is_evicted(&spot)));
        assert!(!is_evicted(&login));
    }
    assert!(crowd.len() <= 1024);
}

#[test]
fn a_region_filled_by_one_place_is_open_to_all_others() {
    let crowd = house(10_000, None, AmongEquals::NewcomerLeaves);
    let greedy = fill(&crowd, host(0), 10_000);
    let others: Vec<_> = (1..5000).map(|number| crowd.enter(host(number)).unwrap()).collect();
    assert_eq!(evicted_from_the_front(&greedy), others.len());
    // As many as it likes, each at the cost of one of its own.
    let mut again = fill(&crowd, host(0), 2000);
    assert_eq!(evicted_from_the_front(&greedy), others.len() + 2000);
    again.extend(fill(&crowd, host(0), 100_000));
    assert!(greedy.iter().all(is_evicted) && !others.iter().any(is_evicted));
    assert_eq!((crowd.len(), evicted_from_the_front(&again)), (10_000, 102_000 - 5001));
}

#[test]
fn the_idle_go_first_and_the_busy_by_age() {
    let crowd = house(4, None, AmongEquals::NewcomerLeaves);
    let spots = fill(&crowd, host(1), 4);
    spots[3].set_idle(true);
    spots[2].set_idle(true);
    spots[1].set_idle(true);
    spots[1].set_idle(false);
    let mut went = Vec::new();
    let mut others = Vec::new();
    for number in 2..4 {
        others.push(crowd.enter(host(number)).unwrap());
        went.extend((0..4).filter(|index| is_evicted(&spots[*index])));
    }
    assert_eq!(went, [2, 2, 3]);
    // Too late to matter.
    spots[2].set_idle(false);
    spots[3].set_idle(true);
    others.push(crowd.enter(host(1)).unwrap());
    assert!(is_evicted(&spots[0]) && !is_evicted(&spots[1]));
    assert_eq!(crowd.len(), 4);
}

#[test]
fn among_equals_the_oldest_leaves_or_the_newcomer() {
    let [waiting, staying] = [AmongEquals::OldestLeaves, AmongEquals::NewcomerLeaves].map(|rule| house(3, None, rule));
    let waits: Vec<_> = (0..3).map(|number| waiting.enter(host(number)).unwrap()).collect();
    let stays: Vec<_> = (0..3).map(|number| staying.enter(host(number)).unwrap()).collect();
    let _late = waiting.enter(host(3)).unwrap();
    assert_eq!(evicted_from_the_front(&waits), 1);
    assert!(staying.enter(host(3)).is_none());
    assert_eq!(evicted_from_the_front(&stays), 0);
    // Second ones: theirs would be the most crowded place.
    let _second = waiting.enter(host(2)).unwrap();
    assert_eq!(waits.iter().map(is_evicted).collect::<Vec<_>>(), [true, false, true]);
    assert!(staying.enter(host(1)).is_none());
    // Where it is already, one goes for the other.
    stays[0].leave();
    let _second = staying.enter(host(1)).unwrap();
    let _third = staying.enter(host(1)).unwrap();
    assert_eq!(stays.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!((waiting.evictions(), staying.evictions()), (2, 1));
}

#[test]
fn a_place_is_an_ipv4_address_or_64_bits_and_48_bits_hold_four_of_them() {
    let crowd = house(100, Some(3), AmongEquals::OldestLeaves);
    let mut held = fill(&crowd, ip("192.0.2.1"), 2);
    held.push(crowd.enter(ip("::ffff:192.0.2.1")).unwrap());
    assert!(crowd.enter(ip("192.0.2.1")).is_none() && crowd.enter(ip("::ffff:192.0.2.1")).is_none());
    held.extend(fill(&crowd, ip("192.0.2.2"), 3));
    for subnet in 0..4 {
        let place = |host: u16| Ipv6Addr::new(0x2001, 0xdb8, 7, subnet, 0, 0, 0, host).into();
        held.extend((0..3).map(|host| crowd.enter(place(host)).unwrap()));
        assert!(crowd.enter(place(9)).is_none());
    }
    assert!(crowd.enter(ip("2001:db8:7:4::1")).is_none(), "twelve of one network");
    held.push(crowd.enter(ip("2001:db8:8::1")).unwrap());
    assert_eq!(crowd.len(), 19);
    drop(held);
    let inside = crowd.lock();
    assert!(inside.by_place.is_empty() && inside.ranks.len() == 0);
}

#[test]
fn networks_of_48_bits_are_as_crowded_as_all_their_places() {
    let crowd = house(6, None, AmongEquals::NewcomerLeaves);
    let many: Vec<_> = (0..4).map(|subnet| crowd.enter(ip(&format!("2001:db8:7:{subnet}::1"))).unwrap()).collect();
    let two = fill(&crowd, ip("192.0.2.1"), 2);
    let _new = crowd.enter(ip("192.0.2.2")).unwrap();
    assert_eq!((evicted_from_the_front(&many), evicted_from_the_front(&two)), (1, 0));
}

#[test]
fn who_speaks_for_many_counts_and_does_not_go_for_others() {
    let crowd = house(3, Some(1), AmongEquals::OldestLeaves);
    let one = crowd.enter(host(1)).unwrap();
    let many: Vec<_> = (0..3).map(|_| crowd.enter_for_many().unwrap()).collect();
    assert!(is_evicted(&one) && !many.iter().any(is_evicted));
    assert!(crowd.enter(host(2)).is_none());
    let _another = crowd.enter_for_many().unwrap();
    assert_eq!(evicted_from_the_front(&many), 1);
    let staying = house(1, None, AmongEquals::NewcomerLeaves);
    let _stays = staying.enter_for_many().unwrap();
    assert!(staying.enter_for_many().is_none());
}

#[test]
fn a_quarter_of_the_spots_is_a_crowd() {
    let crowd = house(100, Some(8), AmongEquals::OldestLeaves);
    let _first = crowd.enter(host(1)).unwrap();
    assert!(!crowd.is_crowded(host(1)));
    let _second = crowd.enter(host(1)).unwrap();
    assert!(crowd.is_crowded(host(1)) && !crowd.is_crowded(host(2)));
    let network: Vec<_> = (0..8).map(|subnet| crowd.enter(ip(&format!("2001:db8:7:{subnet}::1"))).unwrap()).collect();
    assert!(crowd.is_crowded(ip("2001:db8:7:9::1")) && !crowd.is_crowded(ip("2001:db8:8::1")));
    let others: Vec<_> = (10..25).map(|number| crowd.enter(host(number)).unwrap()).collect();
    assert!(crowd.is_crowded(host(2)), "{}", crowd.len());
    drop((network, others));
    assert!(!crowd.is_crowded(host(2)));
}

#[test]
fn nobody_enters_a_house_without_spots() {
    for rule in [AmongEquals::OldestLeaves, AmongEquals::NewcomerLeaves] {
        let crowd = house(0, None, rule);
        assert!(crowd.enter(host(1)).is_none() && crowd.enter_for_many().is_none() && crowd.is_empty());
    }
}

#[tokio::test]
async fn an_eviction_is_heard_by_who_waits_and_by_who_asks_later() {
    let crowd = house(1, None, AmongEquals::OldestLeaves);
    let spot = Arc::new(crowd.enter(host(1)).unwrap());
    let mut given_up = Box::pin(spot.evicted());
    assert_eq!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    drop(given_up);
    let waiting = [Arc::clone(&spot), Arc::clone(&spot)].map(|spot| tokio::spawn(async move { spot.evicted().await }));
    tokio::task::yield_now().await;
    let next = crowd.enter(host(2)).unwrap();
    for waiter in waiting {
        waiter.await.unwrap();
    }
    spot.evicted().await;
    // Who has left is not evicted.
    next.leave();
    next.leave();
    assert!(crowd.is_empty() && !is_evicted(&next));
}

/// Something done to a house.
#[derive(Debug, Clone)]
enum Step {
    Enter(usize),
    EnterForMany,
    Leave(usize),
    SetIdle(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..ADDRESSES.len()).prop_map(Step::Enter),
        1 => Just(Step::EnterForMany),
        2 => any::<usize>().prop_map(Step::Leave),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(who, is_idle)| Step::SetIdle(who, is_idle)),
    ];
    prop::collection::vec(step, 1..120)
}

const ADDRESSES: [&str; 9] = [
    "192.0.2.1",
    "::ffff:192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "2001:db8:1:1::1",
    "2001:db8:1:1::2",
    "2001:db8:1:2::1",
    "2001:db8:2::1",
    "2001:db8:3::1",
];

/// The place and the network of each of them, written by hand.
const ORIGINS: [(u32, u32); 9] = [(1, 1), (1, 1), (2, 2), (3, 3), (4, 4), (4, 4), (5, 4), (6, 6), (7, 7)];

/// A house as it is described, without a thought for speed.
struct Model {
    most: usize,
    most_per_place: Option<usize>,
    among_equals: AmongEquals,
    inside: Vec<ModelGuest>,
}

#[derive(Clone)]
struct ModelGuest {
    id: usize,
    origin: Option<(u32, u32)>,
    is_busy: bool,
}

impl Model {
    fn count(&self, matches: impl Fn((u32, u32)) -> bool) -> usize {
        self.inside.iter().filter(|guest| guest.origin.is_some_and(&matches)).count()
    }

    /// Whether `id` came in.
    fn enter(&mut self, id: usize, origin: Option<(u32, u32)>) -> bool {
        if let (Some((place, network)), Some(most)) = (origin, self.most_per_place)
            && (self.count(|(other, _)| other == place) >= most
                || self.count(|(_, other)| other == network) >= 4 * most)
        {
            return false;
        }
        if self.inside.len() >= self.most {
            let Some(leaving) = self.leaving(origin) else { return false };
            self.inside.retain(|guest| guest.id != leaving);
        }
        self.inside.push(ModelGuest { id, origin, is_busy: true });
        true
    }

    fn leaving(&self, newcomer: Option<(u32, u32)>) -> Option<usize> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for (_, network) in self.inside.iter().filter_map(|guest| guest.origin).chain(newcomer) {
            *counts.entry(network).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let is_most = |network| counts.get(&network) == Some(&most);
        if self.among_equals == AmongEquals::NewcomerLeaves
            && let Some((_, own)) = newcomer
        {
            let without = self.count(|(_, network)| network == own);
            let others = counts.iter().filter(|(network, _)| **network != own).map(|(_, count)| *count);
            let other = others.max().unwrap_or(0);
            if other == without || other == without + 1 {
                return None;
            }
        }
        let only_for_many = newcomer.is_none() && counts.is_empty();
        if only_for_many && self.among_equals == AmongEquals::NewcomerLeaves {
            return None;
        }
        let may_go = |guest: &&ModelGuest| guest.origin.map_or(only_for_many, |(_, network)| is_most(network));
        self.inside.iter().filter(may_go).min_by_key(|guest| (guest.is_busy, guest.id)).map(|guest| guest.id)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_crowd_is_what_is_described(
        most in 0..12usize,
        most_per_place in prop::option::of(1..4usize),
        oldest_leaves: bool,
        steps in steps(),
    ) {
        let among_equals = if oldest_leaves { AmongEquals::OldestLeaves } else { AmongEquals::NewcomerLeaves };
        let crowd = house(most, most_per_place, among_equals);
        let mut model = Model { most, most_per_place, among_equals, inside: Vec::new() };
        let mut spots: Vec<(usize, Spot)> = Vec::new();
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Enter(which) => {
                    let spot = crowd.enter(ip(ADDRESSES[which]));
                    prop_assert_eq!(spot.is_some(), model.enter(id, Some(ORIGINS[which])));
                    spots.extend(spot.map(|spot| (id, spot)));
                }
                Step::EnterForMany => {
                    let spot = crowd.enter_for_many();
                    prop_assert_eq!(spot.is_some(), model.enter(id, None));
                    spots.extend(spot.map(|spot| (id, spot)));
                }
                Step::Leave(which) if !spots.is_empty() => {
                    let (gone, _spot) = spots.swap_remove(which % spots.len());
                    model.inside.retain(|guest| guest.id != gone);
                }
                Step::SetIdle(which, is_idle) if !spots.is_empty() => {
                    let (id, spot) = &spots[which % spots.len()];
                    spot.set_idle(is_idle);
                    model.inside.iter_mut().filter(|guest| guest.id == *id).for_each(|guest| guest.is_busy = !is_idle);
                }
                Step::Leave(_) | Step::SetIdle(..) => {}
            }
            for (id, spot) in &spots {
                prop_assert_eq!(!is_evicted(spot), model.inside.iter().any(|guest| guest.id == *id));
            }
            prop_assert_eq!(crowd.len(), model.inside.len());
            prop_assert!(crowd.len() <= most);
        }
    }
}
