//! Coordinates changed their type on the wire in the time of Comms V3.

use std::fmt;
use std::str::FromStr;

/// The type in which coordinates are written. Whoever reads takes both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coordinates {
    /// What the original sent until April 2023; later decoders read zeros.
    #[default]
    Double,
    /// What it sent since then; earlier decoders read nonsense.
    Float,
}

/// A text that is neither `double` nor `float`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("coordinates are double or float")]
pub struct CoordinatesError;

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Double => "double",
            Self::Float => "float",
        })
    }
}

impl FromStr for Coordinates {
    type Err = CoordinatesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Double, Self::Float].into_iter().find(|one| one.to_string() == text).ok_or(CoordinatesError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_have_names() {
        for (text, expected) in [("double", Ok(Coordinates::Double)), ("float", Ok(Coordinates::Float))] {
            assert_eq!(text.parse(), expected);
            assert_eq!(expected.unwrap().to_string(), text);
        }
        assert_eq!("Float".parse::<Coordinates>(), Err(CoordinatesError));
    }
}
