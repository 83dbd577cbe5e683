//! Both lanes over connections that are cut at random, with bounds so small that messages must be dropped:
//! nothing is lost, repeated or reordered but what a gap announced, and what a gap announced was dropped. Several sources
//! share a lane, and when it is full, the one that has most of it loses its oldest message.
//!
//! Everything follows from a seed. A failing one is printed; `ATOLL_SEED=<seed>` runs it alone.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod ends;
mod oracle;
mod random;

use self::ends::{Lane, Large, Ordered, Totals, World};
use self::random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const SEEDS: u64 = 1000;

fn run<L: Lane>() {
    let seeds = match std::env::var("ATOLL_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("ATOLL_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    let count = seeds.end - seeds.start;
    let mut totals = Totals::default();
    for seed in seeds {
        let world = || World::<L>::new(Random::new(seed)).run();
        match catch_unwind(AssertUnwindSafe(world)) {
            Ok(more) => totals += more,
            Err(panic) => {
                eprintln!("failed with ATOLL_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    // Worlds that are kind show little.
    let rough = [totals.delivered, totals.lost, totals.cuts, totals.duplicates, totals.spared, totals.overtakings];
    let overtakes = usize::from(L::OVERTAKES);
    assert!(count < SEEDS || rough[..5 + overtakes].iter().all(|&times| times > SEEDS), "{totals:?}");
}

#[test]
fn the_ordered_lane_keeps_its_word() {
    run::<Ordered>();
}

#[test]
fn the_large_lane_keeps_its_word() {
    run::<Large>();
}
