//! What the product's rules promise, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use atoll_core::archipelago::{Change, DesiredRoom, Engine, Position, Rules, Settings};
use proptest::collection::vec;
use proptest::prelude::*;

const JOIN: f64 = 64.0;
const LEAVE: f64 = 80.0;

#[derive(Clone, Debug)]
enum Step {
    Heartbeat { peer: u8, x: f64, z: f64, wish: u8 },
    Gone { peer: u8 },
}

/// Some flushes' worth of steps: up to 40 peers in a square of 40 to 600 m.
fn history() -> impl Strategy<Value = Vec<Vec<Step>>> {
    (40.0..600.0f64).prop_flat_map(|area| {
        let heartbeat = (0..40u8, 0.0..area, 0.0..area, 0..20u8);
        let step = prop_oneof![
            6 => heartbeat.prop_map(|(peer, x, z, wish)| Step::Heartbeat { peer, x, z, wish }),
            1 => (0..40u8).prop_map(|peer| Step::Gone { peer }),
        ];
        vec(vec(step, 0..60), 1..12)
    })
}

fn engine(max_peers: usize, grid_key: u64) -> Engine {
    Engine::new(Settings {
        join_distance: JOIN,
        leave_distance: LEAVE,
        max_peers,
        grid_key,
        rules: Rules::Product,
        ..Settings::default()
    })
}

fn happen(engine: &mut Engine, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Heartbeat { peer, x, z, wish } => {
                let room = format!("I{wish}");
                let desired_room = if *wish < 4 { DesiredRoom::Set(&room) } else { DesiredRoom::Keep };
                engine.heartbeat(&peer.to_string(), Position { x: *x, y: 0.0, z: *z }, desired_room);
            }
            Step::Gone { peer } => {
                engine.disconnect(&peer.to_string());
            }
        }
    }
}

/// By island: the members with their places.
fn islands(engine: &Engine) -> BTreeMap<String, Vec<(String, Position)>> {
    let members = |island: atoll_core::archipelago::Island<'_>| {
        island.members().map(|(peer, position)| (peer.to_string(), position)).collect()
    };
    engine.islands().map(|island| (island.id().to_string(), members(island))).collect()
}

fn near(one: &[(String, Position)], other: &[(String, Position)], reach: f64) -> bool {
    one.iter().any(|(_, here)| other.iter().any(|(_, there)| here.squared_distance(*there) <= reach * reach))
}

/// Whether all hang together, by steps of at most the reach.
fn hangs_together(members: &[(String, Position)], reach: f64) -> bool {
    let (mut reached, mut rest) = (vec![members[0].clone()], members[1..].to_vec());
    loop {
        let (close, far): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|member| near(&reached, std::slice::from_ref(member), reach));
        if close.is_empty() {
            return far.is_empty();
        }
        reached.extend(close);
        rest = far;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn islands_are_sane_after_every_flush(history in history(), max_peers in 1..12usize) {
        let mut engine = engine(max_peers, 1);
        let mut present = BTreeSet::new();
        for steps in &history {
            happen(&mut engine, steps);
            for step in steps {
                match step {
                    Step::Heartbeat { peer, .. } => present.insert(peer.to_string()),
                    Step::Gone { peer } => present.remove(&peer.to_string()),
                };
            }
            engine.flush();
            let islands = islands(&engine);

            // Nobody in two islands, nobody in none, nobody who is not here.
            let mut found: Vec<&String> = islands.values().flatten().map(|(peer, _)| peer).collect();
            found.sort();
            prop_assert!(found.iter().copied().eq(&present));
            for (id, members) in &islands {
                prop_assert!(!members.is_empty() && members.len() <= max_peers);
                prop_assert!(hangs_together(members, LEAVE), "{id} {members:?}");
                for (peer, position) in members {
                    prop_assert_eq!(engine.island_of(peer).map(|island| island.id().to_string()), Some(id.clone()));
                    prop_assert_eq!(engine.peer_position(peer), Some(*position));
                }
                // Nothing that belongs together stays apart.
                for (other, others) in islands.iter().filter(|(other, _)| *other != id) {
                    let fit = members.len() + others.len() <= max_peers;
                    prop_assert!(!(fit && near(members, others, JOIN)), "{} and {}", id, other);
                }
            }
        }
    }

    #[test]
    fn changes_tell_the_whole_story(history in history(), max_peers in 1..12usize) {
        let mut engine = engine(max_peers, 1);
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        for steps in &history {
            let before = told.clone();
            happen(&mut engine, steps);
            let mut announced = BTreeSet::new();
            let gone = |step: &Step| match step {
                Step::Gone { peer } => Some(peer.to_string()),
                Step::Heartbeat { .. } => None,
            };
            let left: BTreeSet<String> = steps.iter().filter_map(gone).collect();
            for change in engine.flush() {
                let peer = match change {
                    Change::Moved { peer, island, from } => {
                        let known = before.get(&*peer).filter(|_| !left.contains(&*peer)).cloned();
                        prop_assert_eq!(from.map(|from| from.to_string()), known.clone());
                        prop_assert_ne!(Some(island.to_string()), known);
                        told.insert(peer.to_string(), island.to_string());
                        peer
                    }
                    Change::Left { peer, island } => {
                        prop_assert_eq!(told.remove(&*peer), Some(island.to_string()));
                        peer
                    }
                };
                prop_assert!(announced.insert(peer.to_string()), "{} twice", peer);
            }
            let mut now = BTreeMap::new();
            for (id, members) in islands(&engine) {
                now.extend(members.into_iter().map(|(peer, _)| (peer, id.clone())));
            }
            prop_assert_eq!(&told, &now);
        }
    }

    #[test]
    fn who_stands_still_in_a_world_at_rest_is_left_alone(history in history(), max_peers in 1..12usize) {
        let mut engine = engine(max_peers, 1);
        for steps in &history {
            happen(&mut engine, steps);
            engine.flush();
        }
        let rest: Vec<(String, Position)> = islands(&engine).into_values().flatten().collect();
        for round in 0..3 {
            // At first everybody says so, then only some do.
            for (peer, position) in rest.iter().skip(round) {
                engine.heartbeat(peer, *position, DesiredRoom::Keep);
            }
            prop_assert_eq!(engine.flush(), vec![]);
        }
    }

    #[test]
    fn the_same_history_gives_the_same_islands_whatever_the_key(
        history in history(),
        max_peers in 1..12usize,
        keys in any::<(u64, u64)>(),
    ) {
        let (mut one, mut other) = (engine(max_peers, keys.0), engine(max_peers, keys.1));
        for steps in &history {
            happen(&mut one, steps);
            happen(&mut other, steps);
            prop_assert_eq!(one.flush(), other.flush());
        }
    }
}

#[test]
fn a_million_heartbeats_of_one_peer_are_one() {
    let mut engine = engine(100, 1);
    for step in 0..1_000_000 {
        engine.heartbeat("restless", Position { x: f64::from(step), y: 0.0, z: 0.0 }, DesiredRoom::Keep);
    }
    assert_eq!((engine.newcomers(), engine.flush().len()), (1, 1));
    for step in 0..1_000_000 {
        engine.heartbeat("restless", Position { x: f64::from(step), y: 0.0, z: 0.0 }, DesiredRoom::Keep);
    }
    assert_eq!((engine.newcomers(), engine.flush().len(), engine.peers()), (0, 0, 1));
    assert_eq!(engine.peer_position("restless").map(|position| position.x), Some(999_999.0));
}

#[test]
fn ten_thousand_join_and_vanish_in_one_flush() {
    let mut engine = engine(100, 1);
    for peer in 0..20_000 {
        let position = Position { x: f64::from(peer % 120), y: 0.0, z: f64::from(peer / 120 % 120) };
        engine.heartbeat(&format!("peer {peer}"), position, DesiredRoom::Keep);
    }
    for peer in 0..20_000 {
        if peer % 2 == 0 {
            engine.disconnect(&format!("peer {peer}"));
        }
    }
    assert_eq!(engine.flush().len(), 10_000);
    assert!(engine.islands().all(|island| island.size() <= 100));
    assert_eq!(engine.islands().map(|island| island.size()).sum::<usize>(), 10_000);
    // All but a few islands at the edge are full.
    assert!(engine.islands().count() < 120, "{}", engine.islands().count());
    for peer in 0..20_000 {
        engine.disconnect(&format!("peer {peer}"));
    }
    assert_eq!(engine.flush().len(), 10_000);
    assert_eq!((engine.peers(), engine.islands().count()), (0, 0));
}
