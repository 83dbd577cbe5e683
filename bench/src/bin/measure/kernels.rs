//! The BFF: what a login costs, what an idle session keeps, and what topics deliver.

use atoll_bench::load::{KernelLoad, kernel};
use atoll_bench::process::{Server, UNLIMITED, own_cpu};
use clap::Args;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct Arguments {
    /// Logins, and idle sessions
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// Logins at a time
    #[arg(long, default_value_t = 32)]
    at_a_time: usize,
    /// Subscribers of the topic
    #[arg(long, default_value_t = 100)]
    subscribers: usize,
    /// Who publishes on it
    #[arg(long, default_value_t = 10)]
    speakers: usize,
    /// Messages a second, of all speakers together; half of them where not all arrive
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Seconds to measure, and to stand before memory is read
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Only this one, for a profiler: `logins`, `memory`, `topics`
    #[arg(long)]
    only: Option<String>,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        println!("## The BFF\n");
        println!("| what | measured | server CPU | load CPU |");
        println!("|---|--:|--:|--:|");
        let wanted = |what| self.only.as_deref().is_none_or(|only| only == what);
        if wanted("logins") {
            self.logins().await?;
        }
        if wanted("memory") {
            self.memory().await?;
        }
        if wanted("topics") {
            self.topics().await?;
        }
        println!();
        Ok(())
    }

    async fn logins(&self) -> anyhow::Result<()> {
        let server = Server::edge(UNLIMITED)?;
        let (cpu, own, started) = (server.cpu()?, own_cpu()?, Instant::now());
        let next = std::sync::atomic::AtomicUsize::new(0);
        let one_after_the_other = || async {
            loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if index >= self.count {
                    return anyhow::Ok(());
                }
                drop(kernel(&server, index).await?);
            }
        };
        futures_util::future::try_join_all((0..self.at_a_time).map(|_| one_after_the_other())).await?;
        let time = started.elapsed();
        // What it still does for those that have left.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (cpu, own) = (server.cpu()? - cpu, own_cpu()? - own);
        let each = cpu.as_secs_f64() / self.count as f64;
        let share = |used: Duration| used.as_secs_f64() / time.as_secs_f64() * 100.0;
        println!(
            "| logins per CPU-second ({:.2} ms each) | {:.0} | {:.0} % | {:.0} % |",
            each * 1e3,
            1.0 / each,
            share(cpu),
            share(own)
        );
        Ok(())
    }

    async fn memory(&self) -> anyhow::Result<()> {
        let server = Server::edge(UNLIMITED)?;
        let before = server.resident()?;
        let mut load = KernelLoad::idle(&server, self.count).await?;
        let sample = load.measure(&server, Duration::from_secs_f64(self.seconds)).await?;
        let each = (server.resident()? - before) as f64 / 1024.0 / self.count as f64;
        println!(
            "| memory of an idle session, of {} | {each:.1} KiB | {:.0} % | {:.0} % |",
            self.count,
            sample.server_share() * 100.0,
            sample.load_share() * 100.0
        );
        Ok(())
    }

    async fn topics(&self) -> anyhow::Result<()> {
        let mut rate = self.rate;
        loop {
            let server = Server::edge(UNLIMITED)?;
            let mut load = KernelLoad::topic(&server, self.subscribers, self.speakers, rate, 100).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let sample = load.measure(&server, Duration::from_secs_f64(self.seconds)).await?;
            println!(
                "| messages of a topic with {} subscribers, {rate:.0} a second: delivered per CPU-second{} | {:.0} | {:.0} % | {:.0} % |",
                self.subscribers,
                if sample.share() < 0.99 {
                    format!(" ({:.1} % of the offered)", sample.share() * 100.0)
                } else {
                    String::new()
                },
                sample.per_cpu_second(),
                sample.server_share() * 100.0,
                sample.load_share() * 100.0
            );
            if sample.share() >= 0.99 || rate < 10.0 {
                return Ok(());
            }
            rate /= 2.0;
        }
    }
}
