//! What can be wrong with a configuration.

use super::Key;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration: everything that is wrong, in all sources. Never empty.
#[derive(Debug)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: not TOML: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// A name that is no key.
    #[error("{origin}: there is no key {name}; the nearest is {nearest}")]
    Unknown {
        /// Who says it.
        origin: Origin,
        /// The name as a key.
        name: String,
        /// The key that was perhaps meant, as this source would write it.
        nearest: String,
    },
    /// A value of the wrong type, or out of its bounds.
    #[error("{origin}: {} = {value} is refused: it has to be {}", key.name, key.rule)]
    Value {
        /// Who says it.
        origin: Origin,
        /// For which key.
        key: &'static Key,
        /// The value as written, shortened.
        value: String,
    },
    /// Two variables for one key: none of them goes before the other.
    #[error("{first} and {second} are both {}: set one of them", key.name)]
    Twice {
        /// The key of both.
        key: &'static Key,
        /// One variable.
        first: Origin,
        /// The other one.
        second: Origin,
    },
    /// Two values that do not go together.
    #[error("{} = {} ({}) is less than {} = {} ({}): {why}", lower.0, lower.1, lower.2, higher.0, higher.1, higher.2)]
    Conflict {
        /// Key, value and origin of what is too low.
        lower: (&'static str, String, Origin),
        /// Key, value and origin of what it must reach.
        higher: (&'static str, String, Origin),
        /// What would come of it.
        why: &'static str,
    },
    /// One of two values that are of no use alone.
    #[error("{given} ({origin}) needs {missing}")]
    Alone {
        /// Who says it.
        origin: Origin,
        /// The key that is set.
        given: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// Kernels are to be sent to LiveKit, and there is none.
    #[error(
        "transport.default = livekit ({origin}) leads nowhere: it needs livekit.url, or an edge whose livekit.enabled is not \
         false"
    )]
    Nowhere {
        /// Who says it.
        origin: Origin,
    },
    /// Two values of which only one can hold.
    #[error("{} ({}) and {} ({}) are both set: set one of them", first.0, first.1, second.0, second.1)]
    Both {
        /// One key, and who says it.
        first: (&'static str, Origin),
        /// The other one.
        second: (&'static str, Origin),
    },
}

impl Problem {
    /// Decides the order in which problems are told: the file from top to bottom, then variables, then flags.
    pub(super) fn place(&self) -> (u8, usize) {
        match self {
            Self::Unreadable { .. } => (0, 0),
            Self::Syntax { origin, .. } | Self::Unknown { origin, .. } | Self::Value { origin, .. } => origin.place(),
            Self::Twice { second, .. } => second.place(),
            Self::Conflict { .. } | Self::Alone { .. } | Self::Nowhere { .. } | Self::Both { .. } => (3, 0),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody decided.
    Default,
    /// A line of the file, counted from 1.
    File(PathBuf, usize),
    /// The environment variable of this name.
    Variable(String),
    /// The flag of this name, without its dashes.
    Flag(&'static str),
}

impl Origin {
    fn place(&self) -> (u8, usize) {
        match self {
            Self::Default => (0, 0),
            Self::File(_, line) => (0, *line),
            Self::Variable(_) => (1, 0),
            Self::Flag(_) => (2, 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}
