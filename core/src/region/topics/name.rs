//! Names of topics: what a client may publish to, and what it may ask for.

use std::fmt;
use std::sync::Arc;

use crate::bus::{Pattern, Subject};

/// Longest topic, in bytes.
const MAX_TOPIC: usize = 512;

/// First levels that have a meaning of their own below a peer's subjects: what services write there, and heartbeats, which
/// have a call of their own and are read by archipelago in either spelling.
const OWNED: [&str; 4] = ["island_changed", "island", "heartbeat", "hearbeat"];

/// A topic to publish to: levels separated by dots, none empty, no white space, no wildcards.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

/// Topics to hear: a [`Topic`] in which `*` may stand for one level and a last `>` for one or more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TopicPattern(Arc<str>);

/// Why a text is no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// An empty level, white space, a wildcard where none may stand, or too long.
    #[error("not a topic")]
    Invalid,
    /// A name that the region owns: `island_changed`, `heartbeat` in either spelling, or anything below `island`.
    #[error("a topic that belongs to the region")]
    Owned,
}

impl Topic {
    /// Reads a topic to publish to.
    ///
    /// # Errors
    /// A [`TopicError`].
    pub fn new(text: &str) -> Result<Self, TopicError> {
        let first = text.split('.').next().unwrap_or_default();
        if OWNED.contains(&first) {
            return Err(TopicError::Owned);
        }
        match Subject::new(text) {
            Ok(_) if text.len() <= MAX_TOPIC => Ok(Self(text.into())),
            _ => Err(TopicError::Invalid),
        }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TopicPattern {
    /// Reads what a client asks for.
    ///
    /// # Errors
    /// [`TopicError::Invalid`].
    pub fn new(text: &str) -> Result<Self, TopicError> {
        match Pattern::new(text) {
            Ok(_) if text.len() <= MAX_TOPIC => Ok(Self(text.into())),
            _ => Err(TopicError::Invalid),
        }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
