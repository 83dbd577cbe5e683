//! Every figure that Atoll's documents quote; `bench/run` makes the tables.
//!
//! - The native door, measured from outside: the programs in `src/bin`, with the server in a process of its own
//!   ([`process`]) and light clients ([`load`]), beside a [plain room](PlainRoom) and [bare UDP](gso).
//! - `cargo bench -p atoll-bench --bench islands`: the island engine by criterion.
//! - `cargo bench -p atoll-bench --bench islands_table`: the same worlds as one table, beside the pairwise oracle of the tests.

mod contestant;
pub mod gso;
pub mod load;
mod plain;
pub mod process;
mod walkers;
mod worlds;

#[path = "../../core/tests/archipelago/oracle/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests' oracle: used whole there, and a panic is how it fails")]
mod oracle;

#[path = "../../core/tests/archipelago/random.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod random;

pub use contestant::Contestant;
pub use plain::PlainRoom;
pub use walkers::Walkers;
pub use worlds::World;
