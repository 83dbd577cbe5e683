//! Options of the archipelago service.

use atoll_core::archipelago::Settings;
use atoll_core::archipelago::service::ServiceSettings;
use clap::Args;
use std::time::Duration;

/// Newcomers get an early flush, at most this often.
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(250);

/// How peers are grouped. Defaults are those of the original service.
#[derive(Debug, Clone, Args)]
pub struct ArchipelagoOptions {
    /// Seconds between two flushes; newcomers are flushed early, at most every 250 ms
    #[arg(long = "archipelago-flush-interval", env = "ATOLL_ARCHIPELAGO__FLUSH_INTERVAL", value_name = "SECONDS",
          default_value = "2.0", value_parser = seconds)]
    pub flush_interval: Duration,

    /// Islands closer than this merge, in metres
    #[arg(long = "archipelago-join-distance", env = "ATOLL_ARCHIPELAGO__JOIN_DISTANCE", value_name = "METRES",
          default_value = "64", value_parser = metres)]
    pub join_distance: f64,

    /// Islands split where members are further apart than this, in metres
    #[arg(long = "archipelago-leave-distance", env = "ATOLL_ARCHIPELAGO__LEAVE_DISTANCE", value_name = "METRES",
          default_value = "80", value_parser = metres)]
    pub leave_distance: f64,

    /// Most members of an island
    #[arg(long = "archipelago-max-peers", env = "ATOLL_ARCHIPELAGO__MAX_PEERS", value_name = "N",
          default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_peers: u16,

    /// Seconds of silence after which a peer leaves its island
    #[arg(long = "archipelago-peer-timeout", env = "ATOLL_ARCHIPELAGO__PEER_TIMEOUT", value_name = "SECONDS",
          default_value = "60", value_parser = seconds)]
    pub peer_timeout: Duration,

    /// What island ids begin with; `I` as in the original, at random for each start when not given
    #[arg(long = "archipelago-room-prefix", env = "ATOLL_ARCHIPELAGO__ROOM_PREFIX", value_name = "TEXT",
          value_parser = room_prefix)]
    pub room_prefix: Option<String>,
}

impl ArchipelagoOptions {
    /// Settings of the service. `random` decides the prefix, if none was given, and the key of the grid.
    pub(crate) fn settings(&self, random: [u8; 12]) -> ServiceSettings {
        let [a, b, c, d, key @ ..] = random;
        // Islands of an earlier start must not be taken for today's.
        let prefix = || format!("I{a:02x}{b:02x}{c:02x}{d:02x}-");
        ServiceSettings {
            engine: Settings {
                join_distance: self.join_distance,
                leave_distance: self.leave_distance,
                max_peers: self.max_peers.into(),
                room_prefix: self.room_prefix.clone().unwrap_or_else(prefix),
                grid_key: u64::from_be_bytes(key),
                ..Settings::default()
            },
            flush_interval: self.flush_interval,
            newcomer_interval: NEWCOMER_INTERVAL,
            peer_timeout: self.peer_timeout,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.05..=86_400.0).contains(&seconds) {
        return Err("from 0.05 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn metres(text: &str) -> Result<f64, String> {
    let metres: f64 = text.parse().map_err(|_| "not a number of metres".to_owned())?;
    if !(1.0..=100_000.0).contains(&metres) {
        return Err("from 1 to 100000 metres".to_owned());
    }
    Ok(metres)
}

/// It stands in subjects of the bus and in connection strings.
fn room_prefix(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
        return Err("1 to 32 letters, digits, `-` or `_`".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        archipelago: ArchipelagoOptions,
    }

    fn read(options: &[&str]) -> Result<ServiceSettings, clap::Error> {
        let line = Line::try_parse_from(["atoll"].iter().chain(options))?;
        Ok(line.archipelago.settings([0xab; 12]))
    }

    #[test]
    fn the_defaults_are_the_originals_but_for_the_prefix() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.engine.join_distance, settings.engine.leave_distance), (64.0, 80.0));
        assert_eq!((settings.engine.max_peers, settings.flush_interval.as_secs()), (100, 2));
        assert_eq!((settings.peer_timeout.as_secs(), &*settings.engine.room_prefix), (60, "Iabababab-"));
        let plain = read(&["--archipelago-room-prefix", "I"]).unwrap();
        assert_eq!(plain.engine.room_prefix, "I");
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for (option, value) in [
            ("flush-interval", "0"),
            ("flush-interval", "NaN"),
            ("join-distance", "-1"),
            ("leave-distance", "inf"),
            ("max-peers", "0"),
            ("peer-timeout", "never"),
            ("room-prefix", "a.b"),
            ("room-prefix", ""),
        ] {
            assert!(read(&[&format!("--archipelago-{option}={value}")]).is_err(), "{option} {value}");
        }
    }
}
