//! Recorded traces of the original engines, replayed exactly: changes and their order, islands, members and their order, ids,
//! centres and radii bit for bit.
//!
//! They are read from `archipelago.json` in the folder that `ATOLL_VECTORS` names, or else from the project's own copy, which
//! holds a part of them.

use std::path::PathBuf;

use atoll_core::archipelago::{Change, DesiredRoom, Engine, Position, Receipt, Rules, Settings, Transport};
use serde::Deserialize;
use serde_json::Value;

use crate::oracle::{Oracle, Seen};
use crate::subject::Subject;

#[derive(Deserialize)]
struct Recording {
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    engine: String,
    name: String,
    config: Config,
    flushes: Vec<Flush>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    join_distance: f64,
    leave_distance: f64,
    room_prefix: String,
    max_island_size: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flush {
    r#in: Vec<Value>,
    #[serde(default)]
    throws: Vec<usize>,
    #[serde(default)]
    flush_throws: Option<Value>,
    changes: Vec<Value>,
    islands: Vec<Value>,
}

/// The engine does not stop half-way through a flush (see `Rules::V2022_09`). In this one the original does, because transport 0 fails,
/// and sits a peer in two islands from then on.
const LEFT_OUT: [(&str, &str); 1] = [("2022-09", "everything")];

#[test]
fn final_vectors_are_replayed_exactly() {
    replay_all::<Engine>("final", Rules::Final);
}

#[test]
fn vectors_of_2023_02_are_replayed_exactly() {
    replay_all::<Engine>("2023-02", Rules::V2023_02);
}

#[test]
fn vectors_of_2022_09_are_replayed_exactly() {
    replay_all::<Engine>("2022-09", Rules::V2022_09);
}

#[test]
fn the_oracle_replays_all_vectors_exactly() {
    replay_all::<Oracle>("final", Rules::Final);
    replay_all::<Oracle>("2023-02", Rules::V2023_02);
    replay_all::<Oracle>("2022-09", Rules::V2022_09);
}

fn replay_all<S: Subject>(engine: &str, rules: Rules) {
    let recording: Recording = serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap();
    let scenarios: Vec<_> = recording.scenarios.iter().filter(|scenario| scenario.engine == engine).collect();
    assert!(!scenarios.is_empty(), "no scenario of {engine}");
    let stops = |scenario: &Scenario| scenario.flushes.iter().any(|flush| flush.flush_throws.is_some());
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let left_out = LEFT_OUT.contains(&(engine, &scenario.name)) && stops(scenario);
        if left_out && S::GOES_ON_WITHOUT_TRANSPORT {
            continue;
        }
        if let Err(difference) = replay::<S>(scenario, rules) {
            failures.push(format!("{}: {difference}", scenario.name));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), scenarios.len(), failures.join("\n"));
}

fn path() -> PathBuf {
    let folder = std::env::var_os("ATOLL_VECTORS").map(PathBuf::from);
    folder.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))).join("archipelago.json")
}

fn replay<S: Subject>(scenario: &Scenario, rules: Rules) -> Result<(), String> {
    let mut engine = S::new(Settings {
        join_distance: scenario.config.join_distance,
        leave_distance: scenario.config.leave_distance,
        max_peers: scenario.config.max_island_size.unwrap_or(100),
        room_prefix: scenario.config.room_prefix.clone(),
        rules,
        ..Settings::default()
    });
    for (index, flush) in scenario.flushes.iter().enumerate() {
        let at = |what: &str| format!("flush {index}: {what}");
        for (event_index, event) in flush.r#in.iter().enumerate() {
            let raised = feed(&mut engine, event) == Receipt::Raised;
            if raised != flush.throws.contains(&event_index) {
                return Err(at(&format!("event {event_index} raised: {raised}")));
            }
        }
        let flushed = engine.flush();
        if flushed.is_none() != flush.flush_throws.is_some() {
            return Err(at(&format!("the flush stopped: {}", flushed.is_none())));
        }
        // The transport of a change is that of its island.
        let islands = engine.seen();
        let transport = |id: &str| islands.iter().find(|island| &*island.id == id).map(|island| island.transport);
        let changes: Vec<Value> =
            flushed.unwrap_or_default().iter().map(|change| change_as_recorded(change, transport)).collect();
        same(&changes, &flush.changes).map_err(|difference| at(&format!("change {difference}")))?;
        let islands: Vec<Value> = islands.iter().map(island_as_recorded).collect();
        same(&islands, &flush.islands).map_err(|difference| at(&format!("island {difference}")))?;
    }
    Ok(())
}

/// Gives one recorded event to the engine. A batch stops where the original raised.
fn feed<S: Subject>(engine: &mut S, event: &Value) -> Receipt {
    let text = |index: usize| event[index].as_str().unwrap();
    let number = |index: usize| event[index].as_i64().unwrap();
    match text(0) {
        "pos" => {
            for entry in event[1].as_array().unwrap() {
                let entry = entry.as_array().unwrap();
                let coordinate = |index: usize| entry[index].as_f64().unwrap();
                let position = Position { x: coordinate(1), y: coordinate(2), z: coordinate(3) };
                let desired_room = match entry.get(4) {
                    None => DesiredRoom::Keep,
                    Some(Value::Null) => DesiredRoom::Clear,
                    Some(room) => DesiredRoom::Set(room.as_str().unwrap()),
                };
                if engine.heartbeat(entry[0].as_str().unwrap(), position, desired_room) == Receipt::Raised {
                    return Receipt::Raised;
                }
            }
        }
        "gone" => return engine.disconnect(text(1)),
        "transport" => engine.transport(Transport {
            id: number(1) as u32,
            available_seats: number(3),
            max_peers: number(5) as usize,
        }),
        "transportGone" => engine.transport_gone(number(1) as u32),
        "transportFails" => engine.transport_fails(number(1) as u32, event[2].as_bool().unwrap()),
        "reject" => {
            let peers: Vec<&str> = event[1].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap()).collect();
            engine.refuse(&peers);
        }
        "report" => engine.report(),
        unknown => panic!("an event the test does not know: {unknown}"),
    }
    Receipt::Accepted
}

fn change_as_recorded(change: &Change, transport: impl Fn(&str) -> Option<u32>) -> Value {
    match change {
        Change::Moved { peer, island, from } => {
            serde_json::json!([**peer, "changeTo", **island, from.as_deref(), transport(island)])
        }
        Change::Left { peer, island } => serde_json::json!([**peer, "leave", **island]),
    }
}

fn island_as_recorded(island: &Seen) -> Value {
    let Position { x, y, z } = island.centre;
    let members: Vec<&str> = island.members.iter().map(|peer| &**peer).collect();
    let (transport, max_peers, sequence) = (island.transport, island.max_peers, island.sequence);
    serde_json::json!([*island.id, transport, max_peers, sequence, [x, y, z], island.radius, members])
}

fn same(ours: &[Value], theirs: &[Value]) -> Result<(), String> {
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if !equal(ours, theirs) {
            return Err(format!("{index}: {ours}, recorded {theirs}"));
        }
    }
    if ours.len() != theirs.len() {
        return Err(format!("count {}, recorded {}", ours.len(), theirs.len()));
    }
    Ok(())
}

/// Equal as JavaScript sees it: 1 and 1.0 are one number; doubles are compared exactly.
fn equal(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| equal(ours, theirs))
        }
        _ => ours == theirs,
    }
}
