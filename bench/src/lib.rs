//! Worlds to measure Atoll in.
//!
//! - `cargo bench -p atoll-bench --bench islands`: the island engine by criterion.
//! - `cargo bench -p atoll-bench --bench islands_table`: the same worlds as one table, beside the pairwise oracle of the tests.

mod contestant;
mod walkers;
mod worlds;

#[path = "../../core/tests/archipelago/oracle/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests' oracle: used whole there, and a panic is how it fails")]
mod oracle;

#[path = "../../core/tests/archipelago/random.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod random;

pub use contestant::Contestant;
pub use walkers::Walkers;
pub use worlds::World;
