//! Walking from one random place to the next.

use crate::Position;
use std::f32::consts::TAU;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A rectangle on the ground, in metres: east (x) and north (z).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// The corner with the smaller coordinates.
    pub from: [f32; 2],
    /// The corner with the larger coordinates.
    pub to: [f32; 2],
}

impl Area {
    /// The square of this side, in metres, with a corner in the origin.
    pub const fn square(side: f32) -> Self {
        Self { from: [0.0; 2], to: [side; 2] }
    }

    /// `count` squares of this side in a grid, 500 m from each other: nobody in one ever hears somebody in another.
    pub fn squares(side: f32, count: usize) -> Vec<Self> {
        let row = (count as f64).sqrt().ceil().max(1.0) as usize;
        let corner = |index: usize| [index % row, index / row].map(|at| at as f32 * (side + 500.0));
        (0..count).map(corner).map(|from| Self { from, to: from.map(|from| from + side) }).collect()
    }
}

/// One walk. The same seed makes the same walk.
#[derive(Debug)]
pub(super) struct Walk {
    area: Area,
    /// Metres per second.
    speed: f32,
    place: [f32; 2],
    goal: [f32; 2],
    random: Random,
}

impl Walk {
    pub(super) fn new(area: Area, speed: &RangeInclusive<f32>, mut random: Random) -> Self {
        let speed = random.between(*speed.start(), *speed.end());
        let place = random.place(area);
        let goal = random.place(area);
        Self { area, speed, place, goal, random }
    }

    /// Goes on for a time, past as many goals as that takes.
    pub(super) fn step(&mut self, time: Duration) {
        let mut left = self.speed * time.as_secs_f32();
        // A walk in an area without extent would reach goals for ever.
        for _ in 0..16 {
            let [east, north] = self.way();
            let distance = east.hypot(north);
            if left < distance {
                let part = left / distance;
                self.place = [self.place[0] + east * part, self.place[1] + north * part];
                return;
            }
            left -= distance;
            self.place = self.goal;
            self.goal = self.random.place(self.area);
        }
    }

    pub(super) fn position(&self) -> Position {
        Position { x: self.place[0], y: 0.0, z: self.place[1] }
    }

    /// Where it looks: clockwise from north, in radians.
    pub(super) fn heading(&self) -> f32 {
        let [east, north] = self.way();
        east.atan2(north).rem_euclid(TAU)
    }

    fn way(&self) -> [f32; 2] {
        [self.goal[0] - self.place[0], self.goal[1] - self.place[1]]
    }
}

/// SplitMix64: small, seeded, and good enough for a walk.
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from `from` up to `to`.
    pub(super) fn between(&mut self, from: f32, to: f32) -> f32 {
        let part = (self.next() >> 40) as f32 / (1 << 24) as f32;
        from + (to - from) * part
    }

    fn place(&mut self, area: Area) -> [f32; 2] {
        [0, 1].map(|axis| self.between(area.from[axis], area.to[axis]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_keeps_to_its_area_and_its_speed() {
        let area = Area { from: [-10.0, 5.0], to: [10.0, 25.0] };
        let mut walk = Walk::new(area, &(1.0..=3.0), Random(7));
        let mut travelled = 0.0;
        for _ in 0..10_000 {
            let before = walk.place;
            walk.step(Duration::from_millis(100));
            let [x, z] = walk.place;
            assert!((-10.0..=10.0).contains(&x) && (5.0..=25.0).contains(&z), "{x} {z}");
            let step = (x - before[0]).hypot(z - before[1]);
            assert!(step <= 0.301, "{step}");
            travelled += step;
        }
        // Corners cut a little off; standing still would show.
        assert!(travelled > 900.0, "{travelled}");
    }

    #[test]
    fn squares_are_far_from_each_other() {
        let squares = Area::squares(48.0, 7);
        assert_eq!(squares.len(), 7);
        assert_eq!(squares[0], Area::square(48.0));
        for (index, one) in squares.iter().enumerate() {
            for other in &squares[..index] {
                let gap = |axis: usize| (one.from[axis] - other.to[axis]).max(other.from[axis] - one.to[axis]);
                assert!(gap(0) >= 500.0 || gap(1) >= 500.0, "{one:?} {other:?}");
            }
        }
        assert_eq!(Area::squares(48.0, 0), []);
    }

    #[test]
    fn a_point_is_an_area_too() {
        let area = Area { from: [4.0; 2], to: [4.0; 2] };
        let mut walk = Walk::new(area, &(2.0..=2.0), Random(1));
        walk.step(Duration::from_secs(3600));
        assert_eq!(walk.position(), Position { x: 4.0, y: 0.0, z: 4.0 });
    }
}
