//! Where a peer stands.

/// The largest coordinate, in metres, that [`Position::checked`] lets in: 62,500 parcels from the origin.
pub const LARGEST_COORDINATE: f64 = 1e6;

/// A place in the world, in metres. Islands are flat: only `x` and `z` count, `y` is the height.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// East.
    pub x: f64,
    /// Up; carried along, never looked at.
    pub y: f64,
    /// North.
    pub z: f64,
}

/// Why a position is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// A coordinate is NaN or infinite.
    #[error("a coordinate is not a finite number")]
    NotFinite,
    /// A coordinate is further than [`LARGEST_COORDINATE`] from the origin.
    #[error("a coordinate is more than {LARGEST_COORDINATE} metres from the origin")]
    TooFar,
}

impl Position {
    /// A position that came from outside, in metres.
    ///
    /// # Errors
    /// Refuses coordinates that are not finite or beyond ±[`LARGEST_COORDINATE`].
    pub fn checked(x: f64, y: f64, z: f64) -> Result<Self, PositionError> {
        let position = Self { x, y, z };
        if !(x.is_finite() && y.is_finite() && z.is_finite()) {
            return Err(PositionError::NotFinite);
        }
        if x.abs().max(y.abs()).max(z.abs()) > LARGEST_COORDINATE {
            return Err(PositionError::TooFar);
        }
        Ok(position)
    }

    /// The square of the distance on the ground, in square metres; NaN when a coordinate is.
    #[must_use]
    pub fn squared_distance(self, other: Self) -> f64 {
        // The order of the operands is the original's: results are compared bit for bit.
        let x = other.x - self.x;
        let z = other.z - self.z;
        x * x + z * z
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_coordinates_are_let_in() {
        assert!(Position::checked(1e6, -1e6, 0.0).is_ok());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Position::checked(bad, 0.0, 0.0), Err(PositionError::NotFinite));
            assert_eq!(Position::checked(0.0, bad, 0.0), Err(PositionError::NotFinite));
            assert_eq!(Position::checked(0.0, 0.0, bad), Err(PositionError::NotFinite));
        }
        for bad in [1_000_000.1, -1_000_000.1, 1e300] {
            assert_eq!(Position::checked(bad, 0.0, 0.0), Err(PositionError::TooFar));
            assert_eq!(Position::checked(0.0, 0.0, bad), Err(PositionError::TooFar));
        }
    }

    #[test]
    fn height_does_not_count() {
        let low = Position { x: 1.0, y: -50.0, z: 2.0 };
        let high = Position { x: 4.0, y: 900.0, z: 6.0 };
        assert_eq!(low.squared_distance(high), 25.0);
    }
}
