//! Sessions under a virtual network: the real session code, region and lanes, in virtual time, against model clients
//! whose datagrams are lost, repeated and come out of order, whose streams stop, whose connections are cut, and who
//! resume, crash, walk and come back.
//!
//! Held to: no numbered message is lost, repeated or (if ordered) put out of order between live seats, unless a gap says
//! so; a token resumes its session within the window; nobody hears a room beyond two seconds after leaving it; the latest
//! update wins; what is parked stays where it was; in the end everybody knows who is there, where, and nobody else.
//!
//! `ATOLL_SEED=n` runs one seed and prints what happens.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod client;
mod judge;
mod random;
mod session;
mod tap;
mod times;
mod wire;
mod world;

use std::ops::Range;

/// The seed of `ATOLL_SEED`, if it is set.
fn one() -> Option<u64> {
    std::env::var("ATOLL_SEED").ok().map(|seed| seed.parse().unwrap())
}

fn run(seeds: Range<u64>) {
    let mut sum = judge::Tally::default();
    for seed in seeds.filter(|seed| one().is_none_or(|one| one == *seed)) {
        let (tally, faults) = world::run(seed, one().is_some());
        assert!(faults.is_empty(), "ATOLL_SEED={seed} repeats this:\n{}", faults.join("\n"));
        sum.heard += tally.heard;
        sum.lost += tally.lost;
        sum.resumed += tally.resumed;
        sum.refused += tally.refused;
        sum.moves += tally.moves;
        sum.updates += tally.updates;
    }
    if one().is_none() {
        // What nobody tried would prove nothing.
        let tried = [sum.heard, sum.lost, sum.resumed, sum.refused, sum.moves, sum.updates];
        let enough = [10_000, 20, 500, 10, 1000, 10_000];
        assert!(tried.iter().zip(enough).all(|(tried, enough)| *tried > enough), "{sum:?}");
    }
}

#[test]
fn seeds_0_to_249() {
    run(0..250);
}

#[test]
fn seeds_250_to_499() {
    run(250..500);
}

#[test]
fn seeds_500_to_749() {
    run(500..750);
}

#[test]
fn seeds_750_to_999() {
    run(750..1000);
}

#[test]
fn a_seed_repeats_itself() {
    if one().is_some() {
        return;
    }
    for seed in (0..1000).step_by(100) {
        assert_eq!(world::run(seed, false).0, world::run(seed, false).0, "seed {seed}");
    }
}
