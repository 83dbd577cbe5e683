//! What an operator decides, from one TOML file, environment variables and flags.
//!
//! [`KEYS`] is the one list of keys: it gives each its name, its flag, its bounds and its place in [`Config`], whichever
//! source it comes from. [`Config::read`] starts from the defaults and lays the file, the environment and the flags over
//! them, in this order; what no source names is not touched. What comes out is typed and within its bounds.
//!
//! The names follow from one another. The key `quic.listen` is `listen` below `[quic]` in the file and the variable
//! `ATOLL_QUIC__LISTEN`. A flag is a variable, too: `--quic` is `ATOLL_QUIC`.

mod archipelago;
mod environment;
mod file;
mod keys;
mod log;
mod problem;
mod sample;
#[cfg(test)]
mod tests;
mod value;

pub use archipelago::{Archipelago, RoomPrefix, RoomPrefixError};
pub use keys::{KEYS, Key};
pub use log::LogFilter;
pub use problem::{ConfigError, Origin, Problem};
pub use sample::sample;
pub use value::Value;

use atoll_core::auth::ServerName;
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Everything that can be decided. [`Config::default`] is what holds when nobody decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `state_dir`: where the certificate is kept between starts; the user's state directory when `None`.
    pub state_dir: Option<PathBuf>,
    /// `log`: what is logged.
    pub log: LogFilter,
    /// `server.name`: names the edge in challenges and in `/about`.
    pub server_name: ServerName,
    /// `quic.listen`: the UDP address of WebTransport and raw QUIC.
    pub quic_listen: SocketAddr,
    /// `http.listen`: the TCP address of HTTP.
    pub http_listen: SocketAddr,
    /// `archipelago.*`: how peers are grouped.
    pub archipelago: Archipelago,
    /// `limits.*`: how much is let in.
    pub limits: Limits,
}

/// How much is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `limits.max_sessions`: most sessions at a time.
    pub max_sessions: usize,
    /// `limits.max_room_members`: most members of a room. Never less than `archipelago.max_peers`.
    pub max_room_members: usize,
}

/// Where a configuration is read from.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file that the command line names; otherwise `ATOLL_CONFIG` may name one.
    pub file: Option<PathBuf>,
    /// Environment variables. Those that do not begin with `ATOLL_`, and empty ones, are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Values of flags.
    pub flags: Vec<(&'static Key, String)>,
}

/// One source's value for one key.
struct Setting {
    key: &'static Key,
    value: Value,
    origin: Origin,
}

impl Config {
    /// Reads every source. A flag goes before a variable, a variable before the file, the file before the default; a
    /// value that another goes before has to be a right one all the same.
    ///
    /// # Errors
    /// Everything that is wrong in any source, at once.
    pub fn read(sources: Sources) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let environment = environment::read(sources.environment, &mut problems);
        let file = sources.file.or(environment.file);
        let mut settings = file.map_or_else(Vec::new, |path| file::read(&path, &mut problems));
        settings.extend(environment.settings);
        settings.extend(sources.flags.into_iter().map(|(key, text)| Setting {
            key,
            value: Value::untyped(text),
            origin: Origin::Flag(key.flag.unwrap_or(key.name)),
        }));

        let mut config = Self::default();
        let mut origins = HashMap::new();
        for Setting { key, value, origin } in settings {
            match (key.set)(&mut config, &value) {
                Some(()) => {
                    origins.insert(key.name, origin);
                }
                None => problems.push(Problem::Value { origin, key, value: value.to_string() }),
            }
        }
        // Of half a configuration nothing can be said about how its values go together.
        if problems.is_empty() {
            problems.extend(config.conflicts(&origins));
        }
        problems.sort_by_key(Problem::place);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    fn conflicts(&self, origins: &HashMap<&str, Origin>) -> Vec<Problem> {
        let side = |key: &'static str, value: String| {
            let origin = origins.get(key).cloned().unwrap_or(Origin::Default);
            (key, value, origin)
        };
        let (archipelago, limits) = (&self.archipelago, &self.limits);
        let mut problems = Vec::new();
        if archipelago.leave_distance < archipelago.join_distance {
            problems.push(Problem::Conflict {
                lower: side("archipelago.leave_distance", archipelago.leave_distance.to_string()),
                higher: side("archipelago.join_distance", archipelago.join_distance.to_string()),
                why: "the same peers would merge and split for ever",
            });
        }
        if limits.max_room_members < archipelago.max_peers {
            problems.push(Problem::Conflict {
                lower: side("limits.max_room_members", limits.max_room_members.to_string()),
                higher: side("archipelago.max_peers", archipelago.max_peers.to_string()),
                why: "an island's room would turn members away",
            });
        }
        problems
    }
}

impl Default for Config {
    /// Loopback only: nobody is let in from outside by accident.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, and the tests read it")]
        let server_name = "atoll".parse().expect("a server name");
        Self {
            state_dir: None,
            log: LogFilter::default(),
            server_name,
            quic_listen: (Ipv4Addr::LOCALHOST, 7443).into(),
            http_listen: (Ipv4Addr::LOCALHOST, 7480).into(),
            archipelago: Archipelago::default(),
            limits: Limits { max_sessions: 10_000, max_room_members: 1_000 },
        }
    }
}
