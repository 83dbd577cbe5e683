//! `archipelago.*`.

use atoll_core::archipelago::Settings;
use atoll_core::archipelago::service::ServiceSettings;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Newcomers get an early flush, at most this often.
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(250);

/// Time between two messages on the bus that tell all islands: the original service's.
const ISLANDS_INTERVAL: Duration = Duration::from_secs(120);

/// Peers that archipelago takes up, whoever tells of them: many times what one edge has, and what the engine was measured with.
const MAX_PEERS_OF_ALL_ISLANDS: usize = 200_000;

/// How peers are grouped.
#[derive(Debug, Clone, PartialEq)]
pub struct Archipelago {
    /// Time between two flushes; newcomers are flushed early, at most every 250 ms.
    pub flush_interval: Duration,
    /// Islands this close merge, in metres.
    pub join_distance: f64,
    /// Islands split where members are further apart than this, in metres. Never less than `join_distance`.
    pub leave_distance: f64,
    /// Most members of an island.
    pub max_peers: usize,
    /// A peer silent for longer leaves its island.
    pub peer_timeout: Duration,
    /// What island ids begin with; at random for each start when `None`.
    pub room_prefix: Option<RoomPrefix>,
}

impl Archipelago {
    /// Settings of the service. `random` decides the prefix, if none was given, and the key of the grid.
    pub fn service(&self, random: [u8; 12]) -> ServiceSettings {
        let [a, b, c, d, key @ ..] = random;
        let room_prefix = match &self.room_prefix {
            Some(prefix) => prefix.to_string(),
            // Islands of an earlier start must not be taken for today's.
            None => format!("I{a:02x}{b:02x}{c:02x}{d:02x}-"),
        };
        ServiceSettings {
            engine: Settings {
                join_distance: self.join_distance,
                leave_distance: self.leave_distance,
                max_peers: self.max_peers,
                room_prefix,
                grid_key: u64::from_be_bytes(key),
                ..Settings::default()
            },
            flush_interval: self.flush_interval,
            newcomer_interval: NEWCOMER_INTERVAL,
            peer_timeout: self.peer_timeout,
            islands_interval: ISLANDS_INTERVAL,
            max_peers: MAX_PEERS_OF_ALL_ISLANDS,
        }
    }
}

impl Default for Archipelago {
    /// The original service's, except for the prefix: 2 s, 64 m, 80 m, 100 members, 60 s.
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(2),
            join_distance: 64.0,
            leave_distance: 80.0,
            max_peers: 100,
            peer_timeout: Duration::from_secs(60),
            room_prefix: None,
        }
    }
}

/// What island ids begin with: 1 to 32 letters, digits, `-` or `_`, since it stands in subjects of the bus and in
/// connection strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPrefix(String);

/// A text that is not a [`RoomPrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a room prefix has 1 to 32 letters, digits, `-` or `_`")]
pub struct RoomPrefixError;

impl FromStr for RoomPrefix {
    type Err = RoomPrefixError;

    fn from_str(text: &str) -> Result<Self, RoomPrefixError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
            return Err(RoomPrefixError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RoomPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
