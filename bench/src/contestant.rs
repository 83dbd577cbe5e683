//! The engine and what it is compared with.

use atoll_core::archipelago::{Change, DesiredRoom, Engine, Position, Settings};

use crate::oracle::Oracle;

/// One of the two, behind the same three inputs.
pub struct Contestant(Kind);

enum Kind {
    Engine(Box<Engine>),
    Oracle(Box<Oracle>),
}

impl Contestant {
    /// The engine of atoll-core.
    #[must_use]
    pub fn engine(settings: Settings) -> Self {
        Self(Kind::Engine(Box::new(Engine::new(settings))))
    }

    /// The plain one, which compares everybody with everybody.
    #[must_use]
    pub fn oracle(settings: Settings) -> Self {
        Self(Kind::Oracle(Box::new(Oracle::new(settings))))
    }

    /// A peer says where it is.
    pub fn heartbeat(&mut self, peer: &str, position: Position) {
        match &mut self.0 {
            Kind::Engine(engine) => engine.heartbeat(peer, position, DesiredRoom::Keep),
            Kind::Oracle(oracle) => oracle.heartbeat(peer, position, DesiredRoom::Keep),
        };
    }

    /// A peer is gone.
    pub fn disconnect(&mut self, peer: &str) {
        match &mut self.0 {
            Kind::Engine(engine) => engine.disconnect(peer),
            Kind::Oracle(oracle) => oracle.disconnect(peer),
        };
    }

    /// Regroups; the changes.
    pub fn flush(&mut self) -> Vec<Change> {
        match &mut self.0 {
            Kind::Engine(engine) => engine.flush(),
            Kind::Oracle(oracle) => oracle.flush().unwrap_or_default(),
        }
    }

    /// How many islands there are.
    #[must_use]
    pub fn islands(&self) -> usize {
        match &self.0 {
            Kind::Engine(engine) => engine.islands().count(),
            Kind::Oracle(oracle) => oracle.seen().len(),
        }
    }
}
