//! Peers on the move.

use atoll_core::archipelago::Position;

use crate::Contestant;
use crate::random::Random;
use crate::worlds::{CITY, CROWD, CROWD_PEERS, Layout, World};

/// The side of a block of the engine's table, in metres: 8 cells of 1.001 × 64.
const BLOCK: f64 = 8.0 * 64.064;

/// The peers of a world. Each walks 1 to 3 m a flush, and turns round where its area ends.
pub struct Walkers {
    random: Random,
    reconnects: bool,
    peers: Vec<Walker>,
}

struct Walker {
    /// 42 characters, as an address.
    name: String,
    x: f64,
    z: f64,
    area: Area,
}

#[derive(Clone, Copy)]
struct Area {
    x: f64,
    z: f64,
    side: f64,
}

impl Walkers {
    /// That many peers, always the same.
    #[must_use]
    pub fn new(world: &World, count: usize) -> Self {
        let mut random = Random::new(7);
        let crowds: Vec<Area> = (0..count.div_ceil(2 * CROWD_PEERS)).map(|_| crowd(&mut random)).collect();
        let walker = |index: usize| {
            let area = match world.layout {
                Layout::City => Area::at_origin(CITY),
                Layout::HalfCrowds if index.is_multiple_of(2) => Area::at_origin(CITY),
                Layout::HalfCrowds => crowds[index / 2 % crowds.len()],
                Layout::Crowd => Area::at_origin(CROWD),
                Layout::Sparse => Area::at_origin(100.0 * (count as f64).sqrt()),
                Layout::Scattered => Area::at_origin(BLOCK * (count as f64).sqrt()),
                Layout::Lattice => Area::in_lattice(index, count),
            };
            let (x, z) = (area.x + random.between(0.0, area.side), area.z + random.between(0.0, area.side));
            Walker { name: format!("0x{index:040x}"), x, z, area }
        };
        let peers = (0..count).map(walker).collect();
        Self { random, reconnects: world.reconnects, peers }
    }

    /// Everybody says where they are.
    pub fn announce(&self, contestant: &mut Contestant) {
        for Walker { name, x, z, .. } in &self.peers {
            contestant.heartbeat(name, Position { x: *x, y: 0.0, z: *z });
        }
    }

    /// Everybody takes a step and says so. Where the world says so, one in a hundred reconnects somewhere else in its area.
    pub fn step(&mut self, contestant: &mut Contestant) {
        for walker in &mut self.peers {
            if self.reconnects && self.random.chance(1) {
                contestant.disconnect(&walker.name);
                walker.x = walker.area.x + self.random.between(0.0, walker.area.side);
                walker.z = walker.area.z + self.random.between(0.0, walker.area.side);
            }
            let direction = self.random.between(0.0, std::f64::consts::TAU);
            let length = self.random.between(1.0, 3.0);
            walker.x = walker.area.stay(walker.area.x, walker.x + length * direction.cos());
            walker.z = walker.area.stay(walker.area.z, walker.z + length * direction.sin());
            contestant.heartbeat(&walker.name, Position { x: walker.x, y: 0.0, z: walker.z });
        }
    }
}

impl Area {
    fn at_origin(side: f64) -> Self {
        Self { x: 0.0, z: 0.0, side }
    }

    /// The same cell of block after block.
    fn in_lattice(index: usize, count: usize) -> Self {
        let row = (count as f64).sqrt().ceil() as usize;
        Self { x: (index % row) as f64 * BLOCK + 10.0, z: (index / row) as f64 * BLOCK + 10.0, side: 20.0 }
    }

    /// Reflected at the border.
    fn stay(&self, low: f64, coordinate: f64) -> f64 {
        let high = low + self.side;
        if coordinate < low {
            return (2.0 * low - coordinate).min(high);
        }
        if coordinate > high {
            return (2.0 * high - coordinate).max(low);
        }
        coordinate
    }
}

fn crowd(random: &mut Random) -> Area {
    Area { x: random.between(0.0, CITY - CROWD), z: random.between(0.0, CITY - CROWD), side: CROWD }
}
