//! `atoll bots`.

use crate::config::LogFilter;
use anyhow::{Context, bail};
use atoll_client::Discovery;
use atoll_client::walkers::{Area, Walkers};
use clap::Args;
use std::time::Duration;

/// How many walkers to send where.
#[derive(Debug, Args)]
pub struct BotsOptions {
    /// The edge's HTTP address
    #[arg(long, env = "ATOLL_URL", value_name = "URL", default_value = "http://127.0.0.1:7480")]
    pub url: String,

    /// How many walkers
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub count: usize,

    /// Seconds to walk, connecting included
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS")]
    pub duration: f64,

    /// Updates a second from each
    #[arg(long, default_value_t = 10.0, value_name = "HZ")]
    pub rate: f64,

    /// Side of the square they walk in, in metres
    #[arg(long, default_value_t = 48.0, value_name = "METRES")]
    pub area: f32,

    /// Which part comes by WebTransport (0 to 1); the others come by raw QUIC
    #[arg(long, default_value_t = 0.5, value_name = "PART")]
    pub webtransport: f64,

    /// Decides keys and ways; at random when not given
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

impl BotsOptions {
    /// Lets them walk, then prints what they heard. An error when none of them got into an island.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        super::log(&log_filter()?);
        let duration = Duration::try_from_secs_f64(self.duration).context("--duration")?;
        if !(self.rate.is_finite() && self.rate > 0.0 && self.rate <= 1000.0) {
            bail!("--rate must be above 0 and at most 1000");
        }
        if !(self.area.is_finite() && (1.0..=100_000.0).contains(&self.area)) {
            bail!("--area must be from 1 to 100000 metres");
        }
        if !(0.0..=1.0).contains(&self.webtransport) {
            bail!("--webtransport must be from 0 to 1");
        }
        let found = Discovery::of(&self.url).await.with_context(|| format!("no edge at {}", self.url))?;
        let seed = match self.seed {
            Some(seed) => seed,
            None => getrandom::u64().context("no random numbers")?,
        };
        let walkers = Walkers {
            count: self.count,
            webtransport: self.webtransport,
            area: Area::square(self.area),
            rate: self.rate,
            seed,
            ..Walkers::default()
        };
        let options = found.options();
        eprintln!("{} walkers at {} for {} s", self.count, found.quic, self.duration);
        let summary = walkers.run(&found.quic, &options, tokio::time::sleep(duration)).await?;
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
}

/// `ATOLL_LOG`. The rest of the configuration is an edge's.
fn log_filter() -> anyhow::Result<LogFilter> {
    match std::env::var("ATOLL_LOG") {
        Ok(filter) if !filter.is_empty() => filter.parse().with_context(|| format!("ATOLL_LOG: {filter}")),
        _ => Ok(LogFilter::default()),
    }
}
