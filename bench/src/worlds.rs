//! Where peers are.

use atoll_core::archipelago::{Rules, Settings};

/// The side of the city: 300 × 300 parcels of 16 m.
pub(crate) const CITY: f64 = 4800.0;

/// The side of a crowd, in metres.
pub(crate) const CROWD: f64 = 120.0;

/// Peers of a crowd in the half-crowded city.
pub(crate) const CROWD_PEERS: usize = 500;

/// A way to spread peers over the ground, and what they do there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct World {
    /// What tables call it.
    pub name: &'static str,
    /// Members an island may have.
    pub max_peers: usize,
    /// Whether one peer in a hundred reconnects between two flushes.
    pub reconnects: bool,
    /// Whether everybody comes at once: the first flush counts, not those after it.
    pub storm: bool,
    pub(crate) layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    /// Anywhere in the city.
    City,
    /// Half anywhere in the city, half in crowds.
    HalfCrowds,
    /// All in one crowd.
    Crowd,
    /// Anywhere in an area that grows with the number of peers: many small islands.
    Sparse,
    /// One in each cell of a lattice: what somebody would choose who knows the table, but not its key.
    Lattice,
    /// As far apart as in the lattice, but anywhere.
    Scattered,
}

impl World {
    const fn new(name: &'static str, layout: Layout, max_peers: usize) -> Self {
        Self { name, max_peers, reconnects: false, storm: false, layout }
    }

    /// Every world of the table, in its order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let moving = [
            Self::new("uniform city", Layout::City, 100),
            Self::new("half in crowds", Layout::HalfCrowds, 100),
            Self::new("one crowd, cap 100", Layout::Crowd, 100),
            Self::new("one crowd, cap 1000", Layout::Crowd, 1000),
            Self::new("sparse", Layout::Sparse, 100),
        ];
        let reconnecting = moving.map(|world| Self { reconnects: true, ..world });
        let storms = [
            Self { storm: true, ..Self::new("join storm, city", Layout::City, 100) },
            Self { storm: true, ..Self::new("join storm, crowd", Layout::Crowd, 100) },
            Self { storm: true, ..Self::new("join storm, sparse", Layout::Sparse, 100) },
        ];
        [&moving[..], &reconnecting, &storms].concat()
    }

    /// Positions aimed at the engine's table, and positions as far apart that are not.
    #[must_use]
    pub fn hostile() -> [Self; 2] {
        [Self::new("scattered", Layout::Scattered, 100), Self::new("aimed", Layout::Lattice, 100)]
    }

    /// The settings to run it with.
    #[must_use]
    pub fn settings(&self, rules: Rules) -> Settings {
        Settings { max_peers: self.max_peers, rules, grid_key: 0x5eed, ..Settings::default() }
    }
}
