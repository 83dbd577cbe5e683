//! The island engine's figures in one table, beside the pairwise oracle in the same run.
//!
//! Takes sizes as arguments (default 1000 10000 100000), and parts of worlds' names (default: all). The oracle runs up to 10,000 peers, on fewer flushes, and must give the same changes.

use std::time::{Duration, Instant};

use atoll_bench::{Contestant, Walkers, World};
use atoll_core::archipelago::{Change, Rules};
use cap::Cap;

/// Counts the bytes that are in use.
#[global_allocator]
static MEMORY: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// Flushes until a world has found its islands.
const SETTLING: usize = 20;

/// The largest world that the oracle is run in.
const ORACLE_LIMIT: usize = 10_000;

/// What was measured in one world.
#[derive(Default)]
struct Figures {
    times: Vec<Duration>,
    changes: usize,
    islands: usize,
    bytes_per_peer: usize,
}

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000, 100_000] } else { sizes };
    let names: Vec<String> = std::env::args().skip(1).filter(|name| name.starts_with(char::is_alphabetic)).collect();
    let wanted = |world: &World| names.is_empty() || names.iter().any(|name| world.name.contains(name));
    println!(
        "{:<32} {:>7} {:>9} {:>9} {:>9} {:>8} {:>7} {:>10} {:>7}",
        "world", "peers", "median ms", "worst ms", "changes", "islands", "B/peer", "oracle ms", "ratio"
    );
    for world in World::all().into_iter().filter(wanted) {
        for &count in &sizes {
            print_row(&world, count, Rules::Product);
        }
    }
    if !names.is_empty() {
        return;
    }
    println!("\nThe same city by the recorded rules of the final service:");
    for &count in &sizes {
        print_row(&World::all()[0], count, Rules::Final);
    }
    println!("\nTen thousand positions aimed at the table without its key:");
    let [scattered, aimed] =
        World::hostile().map(|world| measure(&world, 10_000, Contestant::engine, 100, Rules::Product).0);
    let (scattered, aimed) = (median(&scattered.times), median(&aimed.times));
    println!("scattered {} ms, aimed {} ms: {:.2} times", millis(scattered), millis(aimed), ratio(aimed, scattered));
}

fn print_row(world: &World, count: usize, rules: Rules) {
    let flushes = match (world.storm, count) {
        (true, 100_000..) => 7,
        (true, _) => 15,
        (false, 100_000..) => 40,
        (false, _) => 100,
    };
    let (figures, changes) = measure(world, count, Contestant::engine, flushes, rules);
    let oracle = (count <= ORACLE_LIMIT).then(|| {
        let few = if world.storm { 1 } else { 10 };
        let (oracle, expected) = measure(world, count, Contestant::oracle, few, rules);
        assert!(changes.starts_with(&expected), "engine and oracle differ: {}, {count}", world.name);
        median(&oracle.times)
    });
    let name = if world.reconnects { format!("{}, reconnects", world.name) } else { world.name.to_owned() };
    let own = median(&figures.times);
    println!(
        "{name:<32} {count:>7} {:>9} {:>9} {:>9} {:>8} {:>7} {:>10} {:>7}",
        millis(own),
        millis(figures.times.iter().copied().max().unwrap_or_default()),
        figures.changes / flushes,
        figures.islands,
        figures.bytes_per_peer,
        oracle.map_or("-".to_owned(), millis),
        oracle.map_or("-".to_owned(), |oracle| format!("{:.1}", ratio(oracle, own))),
    );
}

/// Runs a world. Also returns the changes of the first ten measured flushes.
fn measure(
    world: &World,
    count: usize,
    contestant: fn(atoll_core::archipelago::Settings) -> Contestant,
    flushes: usize,
    rules: Rules,
) -> (Figures, Vec<Vec<Change>>) {
    let mut figures = Figures::default();
    let mut first = Vec::new();
    let mut note = |changes: Vec<Change>| {
        figures.changes += changes.len();
        if first.len() < 10 {
            first.push(changes);
        }
    };
    let mut walkers = Walkers::new(world, count);
    if world.storm {
        for _ in 0..flushes {
            let before = MEMORY.allocated();
            let mut engine = contestant(world.settings(rules));
            walkers.announce(&mut engine);
            let (time, changes) = timed(&mut engine);
            figures.times.push(time);
            note(changes);
            figures.islands = engine.islands();
            figures.bytes_per_peer = (MEMORY.allocated() - before) / count;
        }
        return (figures, first);
    }
    let before = MEMORY.allocated();
    let mut engine = contestant(world.settings(rules));
    for _ in 0..SETTLING {
        walkers.step(&mut engine);
        engine.flush();
    }
    figures.bytes_per_peer = (MEMORY.allocated() - before) / count;
    for _ in 0..flushes {
        walkers.step(&mut engine);
        let (time, changes) = timed(&mut engine);
        figures.times.push(time);
        note(changes);
    }
    figures.islands = engine.islands();
    (figures, first)
}

fn timed(engine: &mut Contestant) -> (Duration, Vec<Change>) {
    let start = Instant::now();
    let changes = engine.flush();
    (start.elapsed(), changes)
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}
