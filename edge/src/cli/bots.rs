//! `atoll bots`.

use crate::config::LogFilter;
use anyhow::{Context, bail};
use atoll_client::walkers::{Area, Door, Progress, Walkers};
use atoll_client::{CertificateDigest, Discovery, DiscoveryError, Doors, Trust, TrustError};
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;
use tokio::signal::ctrl_c;

/// How often the progress is told on a terminal, and elsewhere.
const LIVE: Duration = Duration::from_millis(500);
const LINES: Duration = Duration::from_secs(5);

/// Farthest from the origin that a walker may stand, in metres.
const WORLD: f32 = 1_000_000.0;

/// How many walkers to send where.
#[derive(Debug, Args)]
pub struct BotsOptions {
    /// The edge's HTTP address: http or https
    #[arg(long, env = "ATOLL_URL", value_name = "URL", default_value = "http://127.0.0.1:7480")]
    pub url: String,

    /// The certificates to believe: a PEM file of roots, or the SHA-256 digest that the edge prints. Otherwise the
    /// system's roots, and the digest that /about tells
    #[arg(long, env = "ATOLL_TRUST", value_name = "FILE|SHA256", value_parser = trust)]
    pub trust: Option<Trust>,

    /// How many walkers
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub count: usize,

    /// Seconds to walk, connecting included
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS")]
    pub duration: f64,

    /// Which way in they take; mixed takes each in turn
    #[arg(long, value_enum, default_value_t = DoorName::Mixed, value_name = "DOOR")]
    pub door: DoorName,

    /// Side of the square they walk in, in metres
    #[arg(long, default_value_t = 48.0, value_name = "METRES")]
    pub area: f32,

    /// How many such squares, 500 m from each other, they are spread over
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub areas: usize,

    /// Updates a second from each
    #[arg(long, default_value_t = 10.0, value_name = "HZ")]
    pub rate: f64,

    /// Size of an update; what it takes at least where that is more
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub payload: usize,

    /// Lines of chat a minute from each, as ordered messages
    #[arg(long, default_value_t = 0.0, value_name = "N")]
    pub chat: f64,

    /// How many connect in a second
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    pub join_rate: f64,

    /// Decides keys and ways; at random when not given
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// A way in, as it is called on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum DoorName {
    /// WebTransport
    WebTransport,
    /// Raw QUIC
    Quic,
    /// WebSocket
    Ws,
    /// Each of them in turn
    Mixed,
}

impl From<DoorName> for Door {
    fn from(name: DoorName) -> Self {
        match name {
            DoorName::WebTransport => Self::WebTransport,
            DoorName::Quic => Self::Quic,
            DoorName::Ws => Self::WebSocket,
            DoorName::Mixed => Self::Mixed,
        }
    }
}

impl BotsOptions {
    /// Lets them walk until their time is over or Ctrl-C, then prints what they heard. An error when none of them stood
    /// in an island at the end.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        super::log(&log_filter()?);
        let duration = Duration::try_from_secs_f64(self.duration).context("--duration")?;
        let found = match &self.trust {
            Some(trust) => Discovery::trusting(&self.url, trust.clone()).await,
            None => Discovery::of(&self.url).await,
        };
        let found = found.map_err(|error| {
            let hint = match error {
                DiscoveryError::Tls(_) => " (--trust says which certificate to believe)",
                _ => "",
            };
            anyhow::Error::new(error).context(format!("no edge at {}{hint}", self.url))
        })?;
        let walkers = self.walkers()?;
        let until = async {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                _ = ctrl_c() => {}
            }
            // From here on walkers leave; who does not want to wait for that need not.
            tokio::spawn(async {
                if ctrl_c().await.is_ok() {
                    std::process::exit(130);
                }
            });
        };
        eprintln!("{} walkers at {} for {} s", self.count, self.url, self.duration);
        let live = std::io::stderr().is_terminal();
        let summary = walkers.run(&Doors::from(&found), &found.options(), until, |progress| show(progress, live)).await;
        if live {
            eprintln!();
        }
        if self.json {
            println!("{}", summary.to_json());
        } else {
            println!("{summary}");
        }
        if summary.islands == 0 && self.count > 0 {
            bail!("no walker stood in an island at the end");
        }
        Ok(())
    }

    fn walkers(&self) -> anyhow::Result<Walkers> {
        let within = |value: f64, most: f64| value.is_finite() && (0.0..=most).contains(&value);
        if !within(self.rate, 1000.0) || self.rate == 0.0 {
            bail!("--rate must be above 0 and at most 1000");
        }
        if !within(self.chat, 60_000.0) {
            bail!("--chat must be from 0 to 60000");
        }
        if !(1.0..=100_000.0).contains(&self.area) {
            bail!("--area must be from 1 to 100000 metres");
        }
        if self.payload > atoll_proto::datagram::MAX_PAYLOAD {
            bail!("--payload must be at most {} bytes", atoll_proto::datagram::MAX_PAYLOAD);
        }
        let areas = if self.areas <= 1_000_000 { Area::squares(self.area, self.areas) } else { Vec::new() };
        if areas.is_empty() || areas.iter().any(|area| area.to.iter().any(|to| *to > WORLD)) {
            bail!("--areas must be at least 1, and not more than fit into {WORLD} metres");
        }
        if !within(self.join_rate, 1e6) || self.join_rate == 0.0 {
            bail!("--join-rate must be above 0 and at most 1000000");
        }
        let seed = match self.seed {
            Some(seed) => seed,
            None => getrandom::u64().context("no random numbers")?,
        };
        Ok(Walkers {
            count: self.count,
            door: self.door.into(),
            areas,
            rate: self.rate,
            payload: self.payload,
            chat_per_minute: self.chat,
            seed,
            joins_per_second: self.join_rate,
            // One socket's buffers are too small for hundreds of clients.
            sockets: (self.count / 100).clamp(2, 16),
            progress_every: if std::io::stderr().is_terminal() { LIVE } else { LINES },
            ..Walkers::default()
        })
    }
}

/// A digest, else a file.
fn trust(text: &str) -> Result<Trust, TrustError> {
    match text.parse::<CertificateDigest>() {
        Ok(digest) => Ok(Trust::CertificateSha256(digest)),
        Err(_) => Trust::pem_file(Path::new(text)),
    }
}

/// Tells the progress on standard error: in place on a terminal, else line by line.
fn show(progress: &Progress, live: bool) {
    let mut stderr = std::io::stderr().lock();
    // Nobody reads it, then.
    let _ = if live { write!(stderr, "\r\x1b[2K{progress}") } else { writeln!(stderr, "{progress}") };
    let _ = stderr.flush();
}

/// `ATOLL_LOG`. The rest of the configuration is an edge's.
fn log_filter() -> anyhow::Result<LogFilter> {
    match std::env::var("ATOLL_LOG") {
        Ok(filter) if !filter.is_empty() => filter.parse().with_context(|| format!("ATOLL_LOG: {filter}")),
        _ => Ok(LogFilter::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: BotsOptions,
    }

    fn walkers(flags: &str) -> anyhow::Result<Walkers> {
        Line::try_parse_from(std::iter::once("bots").chain(flags.split_whitespace()))?.options.walkers()
    }

    #[test]
    fn flags_say_how_many_walk_where() {
        let many = walkers("--count 2000 --door ws --area 20 --areas 40 --rate 5 --payload 100 --chat 6").unwrap();
        assert_eq!((many.count, many.door, many.areas.len(), many.rate), (2000, Door::WebSocket, 40, 5.0));
        assert_eq!((many.payload, many.chat_per_minute, many.joins_per_second), (100, 6.0, 100.0));
        let few = walkers("--join-rate 7").unwrap();
        assert_eq!((few.count, few.door, few.joins_per_second), (50, Door::Mixed, 7.0));
        assert_eq!(few.areas, [Area::square(48.0)]);
        for door in ["webtransport", "quic", "mixed"] {
            walkers(&format!("--door {door}")).unwrap();
        }
    }

    #[test]
    fn a_certificate_is_believed_by_its_digest() {
        let digest = "ab".repeat(32);
        let line = Line::try_parse_from(["bots", "--trust", &digest]).unwrap();
        assert!(matches!(line.options.trust, Some(Trust::CertificateSha256(pin)) if pin.to_string() == digest));
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        for flags in [
            "--rate 0",
            "--rate NaN",
            "--area 0",
            "--area NaN",
            "--areas 0",
            "--area 100000 --areas 1000",
            "--payload 1101",
            "--chat=-1",
            "--join-rate 0",
            "--door telnet",
            "--trust /nowhere/roots.pem",
        ] {
            assert!(walkers(flags).is_err(), "{flags}");
        }
    }
}
