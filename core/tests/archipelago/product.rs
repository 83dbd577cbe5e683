//! The product's rules, one difference from the recorded ones at a time.

use atoll_core::archipelago::{Change, DesiredRoom, Engine, Position, Receipt, Rules, Settings};

fn at(x: f64) -> Position {
    Position { x, y: 0.0, z: 0.0 }
}

fn engine(rules: Rules, max_peers: usize) -> Engine {
    Engine::new(Settings { rules, max_peers, ..Settings::default() })
}

fn place(engine: &mut Engine, peers: &[(&str, f64)]) {
    for (peer, x) in peers {
        assert_eq!(engine.heartbeat(peer, at(*x), DesiredRoom::Keep), Receipt::Accepted);
    }
}

fn moved(peer: &str, island: &str, from: Option<&str>) -> Change {
    Change::Moved { peer: peer.into(), island: island.into(), from: from.map(Into::into) }
}

fn left(peer: &str, island: &str) -> Change {
    Change::Left { peer: peer.into(), island: island.into() }
}

fn islands(engine: &Engine) -> Vec<String> {
    engine
        .islands()
        .map(|island| {
            let members: Vec<&str> = island.members().map(|(peer, _)| &**peer).collect();
            format!("{}: {}", island.id(), members.join(" "))
        })
        .collect()
}

#[test]
fn strangers_are_not_glued_by_a_full_island_between_them() {
    let walk = |rules| {
        let mut engine = engine(rules, 2);
        place(&mut engine, &[("middle", 100.0), ("friend", 100.0)]);
        engine.flush();
        place(&mut engine, &[("west", 40.0), ("east", 160.0)]);
        engine.flush();
        let mut changes = 0;
        for step in 0..10 {
            let x = f64::from(step);
            place(
                &mut engine,
                &[("west", 40.0 + x), ("middle", 100.0 + x), ("friend", 100.0 + x), ("east", 160.0 + x)],
            );
            changes += engine.flush().len();
        }
        (changes, islands(&engine))
    };
    assert_eq!(walk(Rules::Product), (0, vec!["I1: middle friend".into(), "I3: west".into(), "I4: east".into()]));
    // As recorded: one of two strangers 120 m apart is sent to and fro, with a new island each time.
    let (changes, _) = walk(Rules::Final);
    assert_eq!(changes, 10);
}

#[test]
fn a_change_names_the_last_announced_island() {
    let mut product = engine(Rules::Product, 100);
    let mut recorded = engine(Rules::Final, 100);
    for engine in [&mut product, &mut recorded] {
        place(engine, &[("a", 0.0), ("b", 10.0)]);
    }
    assert_eq!(product.flush(), [moved("a", "I1", None), moved("b", "I1", None)]);
    // I2 never came to anything, and nobody heard of it.
    assert_eq!(recorded.flush(), [moved("a", "I1", None), moved("b", "I1", Some("I2"))]);

    for engine in [&mut product, &mut recorded] {
        place(engine, &[("c", 500.0), ("b", 490.0)]);
    }
    assert_eq!(product.flush(), [moved("c", "I3", None), moved("b", "I3", Some("I1"))]);
    assert_eq!(recorded.flush(), [moved("c", "I3", None), moved("b", "I3", Some("I4"))]);
}

#[test]
fn a_chain_of_merges_ends_within_one_flush() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("a", 0.0), ("b", 100.0), ("c", 200.0), ("d", 300.0)]);
    assert_eq!(engine.flush().len(), 4);
    place(&mut engine, &[("b", 60.0), ("c", 120.0), ("d", 180.0)]);
    assert_eq!(
        engine.flush(),
        [moved("b", "I1", Some("I2")), moved("c", "I1", Some("I3")), moved("d", "I1", Some("I4"))]
    );
    assert!(engine.flush().is_empty());
}

#[test]
fn the_largest_group_keeps_the_island() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("a", 0.0), ("bridge", 60.0), ("c", 120.0), ("d", 125.0)]);
    engine.flush();
    engine.disconnect("bridge");
    assert_eq!(engine.flush(), [left("bridge", "I1"), moved("a", "I5", Some("I1"))]);
    assert_eq!(islands(&engine), ["I1: c d", "I5: a"]);
}

#[test]
fn who_leaves_before_the_flush_was_never_there() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("ghost", 0.0)]);
    engine.disconnect("ghost");
    assert!(engine.flush().is_empty());
    assert_eq!((engine.peers(), engine.newcomers(), engine.islands().count()), (0, 0, 0));
}

#[test]
fn who_reconnects_is_told_its_island_again() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("a", 0.0), ("b", 1.0)]);
    engine.flush();
    engine.disconnect("b");
    place(&mut engine, &[("b", 2.0)]);
    assert_eq!(engine.flush(), [moved("b", "I1", None)]);
}

#[test]
fn refused_peers_leave_at_once_and_stay_out() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("a", 0.0), ("b", 1.0)]);
    engine.flush();
    place(&mut engine, &[("c", 2.0)]);
    engine.refuse(["c", "b", "nobody"]);
    assert_eq!(engine.heartbeat("b", at(0.0), DesiredRoom::Keep), Receipt::Refused);
    assert_eq!(engine.flush(), [left("b", "I1")]);
    assert_eq!(islands(&engine), ["I1: a"]);

    engine.refuse([]);
    place(&mut engine, &[("b", 1.0)]);
    assert_eq!(engine.flush(), [moved("b", "I1", None)]);
}

#[test]
fn everybody_waits_while_the_transport_fails() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("a", 0.0), ("b", 1.0), ("c", 2.0)]);
    engine.flush();
    engine.transport_fails(0, true);
    place(&mut engine, &[("b", 500.0), ("d", 3.0)]);
    engine.disconnect("c");
    assert_eq!(engine.flush(), [left("c", "I1")]);
    assert_eq!((islands(&engine), engine.newcomers()), (vec!["I1: a b".to_owned()], 1));

    engine.transport_fails(0, false);
    assert_eq!(engine.flush(), [moved("d", "I1", None), moved("b", "I5", Some("I1"))]);
}

#[test]
fn absurd_positions_change_nothing() {
    let mut engine = engine(Rules::Product, 100);
    place(&mut engine, &[("a", 5.0)]);
    engine.flush();
    for bad in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300, -1e6 - 1.0] {
        for position in [at(bad), Position { x: 0.0, y: bad, z: 0.0 }, Position { x: 0.0, y: 0.0, z: bad }] {
            assert_eq!(engine.heartbeat("a", position, DesiredRoom::Clear), Receipt::Refused);
            assert_eq!(engine.heartbeat("new", position, DesiredRoom::Keep), Receipt::Refused);
        }
    }
    assert!(engine.flush().is_empty());
    assert_eq!((engine.peers(), engine.newcomers()), (1, 0));
    assert_eq!(engine.peer_position("a"), Some(at(5.0)));
}

#[test]
fn a_wish_chooses_among_islands_within_reach() {
    let mut engine = engine(Rules::Product, 3);
    place(&mut engine, &[("a", 0.0), ("b", 0.0), ("c", 0.0)]);
    place(&mut engine, &[("d", 10.0), ("e", 10.0), ("f", 20.0), ("far", 900.0)]);
    engine.flush();
    engine.disconnect("a");
    engine.disconnect("d");
    engine.flush();
    assert_eq!(islands(&engine), ["I1: b c", "I4: e f", "I7: far"]);
    engine.heartbeat("guest", at(5.0), DesiredRoom::Set("I4"));
    assert_eq!(engine.flush(), [moved("guest", "I4", None)]);
    engine.heartbeat("other", at(5.0), DesiredRoom::Set("I7"));
    assert_eq!(engine.flush(), [moved("other", "I1", None)]);
}

#[test]
fn a_leave_distance_below_the_join_distance_is_raised_to_it() {
    let settings = Settings { join_distance: 80.0, leave_distance: 40.0, ..Settings::default() };
    let mut engine = Engine::new(settings);
    place(&mut engine, &[("a", 0.0), ("b", 70.0)]);
    assert_eq!(engine.flush().len(), 2);
    place(&mut engine, &[("a", 0.0), ("b", 71.0)]);
    assert!(engine.flush().is_empty());
}

#[test]
fn ids_may_hold_any_character() {
    let mut engine = engine(Rules::Product, 100);
    let odd = ["", " ", "a.b.*.>", "\u{0}", "ÄÖ🦀", "__proto__", "I1"];
    for peer in odd {
        engine.heartbeat(peer, at(0.0), DesiredRoom::Set("\u{0}🦀"));
    }
    assert_eq!(engine.flush().len(), odd.len());
    assert_eq!(engine.island_of("ÄÖ🦀").map(|island| island.size()), Some(odd.len()));
    for peer in odd {
        engine.disconnect(peer);
    }
    assert_eq!(engine.flush().len(), odd.len());
    assert_eq!(engine.islands().count(), 0);
}
