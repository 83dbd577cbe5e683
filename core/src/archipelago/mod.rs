//! Archipelago: positions in, island changes out.
//!
//! Peers that are near each other share an island; an island never has more than [`Settings::max_peers`] members. An [`Engine`] is
//! told where peers are ([`Engine::heartbeat`]) and who is gone ([`Engine::disconnect`]); [`Engine::flush`] regroups and returns
//! what to announce. It has no clock, no I/O and no randomness: the same inputs give the same islands, ids and order.
//! Timing, subjects and connection strings belong to its caller.

mod bulletin;
mod change;
mod engine;
mod ids;
mod position;
pub mod service;
mod settings;

pub use change::{Change, DesiredRoom, IslandId, PeerId, Receipt};
pub use engine::{Circle, Engine, Island};
pub use position::{LARGEST_COORDINATE, Position, PositionError};
pub use settings::{Rules, Settings, Transport};
