//! The box around an island.

use super::peers::{Place, Slot};
use crate::archipelago::position::LARGEST_COORDINATE;

/// The smallest box that holds some places, in metres.
///
/// What it decides is exact, not a guess with a margin: rounding keeps order, so differences and squares of corners bound those
/// of any pair inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    low: Place,
    high: Place,
    wild: bool,
}

impl Bounds {
    /// The box around nothing.
    pub(super) const EMPTY: Self = Self {
        low: Place { x: f64::INFINITY, z: f64::INFINITY },
        high: Place { x: f64::NEG_INFINITY, z: f64::NEG_INFINITY },
        wild: false,
    };

    pub(super) fn around(members: &[Slot], places: &[Place]) -> Self {
        let mut bounds = Self::EMPTY;
        for &slot in members {
            let Place { x, z } = places[slot as usize];
            bounds.low = Place { x: bounds.low.x.min(x), z: bounds.low.z.min(z) };
            bounds.high = Place { x: bounds.high.x.max(x), z: bounds.high.z.max(z) };
            bounds.wild |= !(x.abs() <= LARGEST_COORDINATE && z.abs() <= LARGEST_COORDINATE);
        }
        bounds
    }

    pub(super) fn include(&mut self, other: &Self) {
        self.low = Place { x: self.low.x.min(other.low.x), z: self.low.z.min(other.low.z) };
        self.high = Place { x: self.high.x.max(other.high.x), z: self.high.z.max(other.high.z) };
        self.wild |= other.wild;
    }

    /// Whether a coordinate inside is not finite or absurd (the recorded rules let it in). The box says nothing then.
    pub(super) fn is_wild(&self) -> bool {
        self.wild
    }

    /// Whether any two places inside are within `reach` of each other, given as its square.
    pub(super) fn all_within(&self, squared_reach: f64) -> bool {
        !self.wild && self.low.squared_distance(self.high) <= squared_reach
    }

    /// Whether no place of one box is within `reach` of one in the other, given as its square.
    pub(super) fn out_of_reach(&self, other: &Self, squared_reach: f64) -> bool {
        let gap = |low: f64, high: f64| (low - high).max(0.0);
        let x = gap(other.low.x, self.high.x).max(gap(self.low.x, other.high.x));
        let z = gap(other.low.z, self.high.z).max(gap(self.low.z, other.high.z));
        x * x + z * z > squared_reach
    }

    /// The corner with the smallest coordinates.
    pub(super) fn low(&self) -> Place {
        self.low
    }

    /// Width (along x) and depth (along z).
    pub(super) fn extent(&self) -> (f64, f64) {
        (self.high.x - self.low.x, self.high.z - self.low.z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(places: &[(f64, f64)]) -> Bounds {
        let places: Vec<Place> = places.iter().map(|&(x, z)| Place { x, z }).collect();
        let members: Vec<Slot> = (0..places.len() as Slot).collect();
        Bounds::around(&members, &places)
    }

    #[test]
    fn distances_are_inclusive() {
        let bounds = around(&[(0.0, 0.0), (3.0, 4.0)]);
        assert!(bounds.all_within(25.0));
        assert!(!bounds.all_within(24.9));
        let other = around(&[(6.0, 8.0)]);
        assert!(!bounds.out_of_reach(&other, 25.0) && !other.out_of_reach(&bounds, 25.0));
        assert!(bounds.out_of_reach(&other, 24.9) && other.out_of_reach(&bounds, 24.9));
    }

    #[test]
    fn wild_coordinates_are_noticed() {
        for wild in [f64::NAN, f64::INFINITY, 1e300] {
            assert!(around(&[(0.0, 0.0), (wild, 0.0)]).is_wild());
            assert!(!around(&[(0.0, wild)]).all_within(f64::INFINITY));
        }
        assert!(!around(&[(1e6, -1e6)]).is_wild());
    }
}
