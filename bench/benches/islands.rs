//! Flushes of the island engine, by criterion. Heartbeats are not counted.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use atoll_bench::{Contestant, Walkers, World};
use atoll_core::archipelago::Rules;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Flushes until a world has found its islands.
const SETTLING: usize = 20;

fn flushes(criterion: &mut Criterion) {
    for world in World::all() {
        let name = if world.reconnects { format!("{}, reconnects", world.name) } else { world.name.to_owned() };
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        for count in [1_000, 10_000, 100_000] {
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                if world.storm {
                    bencher.iter_custom(|rounds| (0..rounds).map(|_| storm(&world, count)).sum());
                    return;
                }
                let mut engine = Contestant::engine(world.settings(Rules::Product));
                let mut walkers = Walkers::new(&world, count);
                for _ in 0..SETTLING {
                    flush_after_step(&mut walkers, &mut engine);
                }
                bencher.iter_custom(|rounds| (0..rounds).map(|_| flush_after_step(&mut walkers, &mut engine)).sum());
            });
        }
    }
}

fn flush_after_step(walkers: &mut Walkers, engine: &mut Contestant) -> Duration {
    walkers.step(engine);
    let start = Instant::now();
    black_box(engine.flush());
    start.elapsed()
}

fn storm(world: &World, count: usize) -> Duration {
    let mut engine = Contestant::engine(world.settings(Rules::Product));
    Walkers::new(world, count).announce(&mut engine);
    let start = Instant::now();
    black_box(engine.flush());
    start.elapsed()
}

criterion_group!(benches, flushes);
criterion_main!(benches);
