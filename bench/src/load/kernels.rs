//! Load for the BFF: kernels that log in, stand somewhere, and speak and hear by topics.

use super::sample::{self, Counts, Sample};
use crate::process::Server;
use anyhow::Context;
use atoll_client::Wallet;
use atoll_proto::archipelago::{Heartbeat, Position};
use atoll_proto::bff::SubscriptionRequest;
use atoll_proto::ethereum::keccak256;
use atoll_tests::kernel::Kernel;
use atoll_tests::websocket::Origin;
use prost::Message;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Logins at a time.
const LOGINS: usize = 32;

/// The topic that everybody hears.
const TOPIC: &str = "scene.bench";

/// How often a kernel says where it stands.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Kernels in one place of the network, so that none is a crowd.
const PLACE: usize = 50;

/// One kernel, logged in as the wallet of this number.
///
/// # Errors
/// When it is not let in.
pub async fn kernel(server: &Server, index: usize) -> anyhow::Result<Kernel> {
    let from = Origin { from: place_of(index).into(), unread: None };
    let mut kernel = Kernel::connect_as(server.ready("http")?, "bff", from).await?;
    kernel.log_in(&wallet(index)?).await?;
    Ok(kernel)
}

/// Where the kernel of this number comes from.
pub(super) fn place_of(index: usize) -> Ipv4Addr {
    let place = index / PLACE;
    Ipv4Addr::new(127, 1, (place / 250) as u8, (place % 250 + 1) as u8)
}

pub(super) fn wallet(index: usize) -> anyhow::Result<Wallet> {
    let key = |part: &str| keccak256(format!("atoll bench {index} {part}").as_bytes());
    Ok(Wallet::from_keys(key("owner"), key("ephemeral"))?)
}

/// Kernels that are logged in and do something, until this is dropped.
#[derive(Debug)]
pub struct KernelLoad {
    counters: Arc<Counters>,
    tasks: JoinSet<anyhow::Result<()>>,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    delivered: AtomicU64,
    listeners: u64,
}

impl KernelLoad {
    /// Kernels that are alone in their islands: each waits for its island changes and sends a heartbeat a second.
    ///
    /// # Errors
    /// When they are not let in.
    pub async fn idle(server: &Server, count: usize) -> anyhow::Result<Self> {
        let mut load = Self { counters: Arc::default(), tasks: JoinSet::new() };
        for (index, kernel) in log_in(server, 0..count).await? {
            load.tasks.spawn(stand(kernel, index));
        }
        Ok(load)
    }

    /// `listeners` of one topic, on which `speakers` publish `rate` messages of `payload` bytes a second together.
    ///
    /// # Errors
    /// When they are not let in.
    pub async fn topic(
        server: &Server,
        listeners: usize,
        speakers: usize,
        rate: f64,
        payload: usize,
    ) -> anyhow::Result<Self> {
        let counters = Arc::new(Counters { listeners: listeners as u64, ..Counters::default() });
        let mut tasks = JoinSet::new();
        for (_, mut kernel) in log_in(server, 0..listeners).await? {
            let (stream, counters) = (kernel.listen(TOPIC).await?, counters.clone());
            tasks.spawn(async move {
                loop {
                    kernel.heard(stream).await?;
                    counters.delivered.fetch_add(1, Relaxed);
                }
            });
        }
        let period = Duration::from_secs_f64(speakers as f64 / rate);
        for (index, mut kernel) in log_in(server, listeners..listeners + speakers).await? {
            let counters = counters.clone();
            let first = Instant::now() + period.mul_f64((index - listeners) as f64 / speakers as f64);
            tasks.spawn(async move {
                let mut beats = interval_at(first, period);
                loop {
                    beats.tick().await;
                    kernel.publish(TOPIC, vec![7; payload]).await?;
                    counters.sent.fetch_add(1, Relaxed);
                }
            });
        }
        Ok(Self { counters, tasks })
    }

    /// Counts for a time what goes and what comes, and what that costs the server and this process.
    ///
    /// # Errors
    /// When the server has ended, or a kernel.
    pub async fn measure(&mut self, server: &Server, time: Duration) -> anyhow::Result<Sample> {
        let sample = sample::measure(server, time, || self.counters.counts()).await?;
        match self.tasks.try_join_next() {
            None => Ok(sample),
            Some(ended) => ended?.context("a kernel ended").map(|()| sample),
        }
    }
}

impl Counters {
    fn counts(&self) -> Counts {
        let sent = self.sent.load(Relaxed);
        Counts { sent, offered: sent * self.listeners, delivered: self.delivered.load(Relaxed) }
    }
}

async fn log_in(server: &Server, indices: std::ops::Range<usize>) -> anyhow::Result<Vec<(usize, Kernel)>> {
    let permits = Arc::new(Semaphore::new(LOGINS));
    let logins = indices.map(|index| {
        let permits = permits.clone();
        async move {
            let _permit = permits.acquire_owned().await?;
            anyhow::Ok((index, kernel(server, index).await?))
        }
    });
    futures_util::future::try_join_all(logins).await
}

async fn stand(mut kernel: Kernel, index: usize) -> anyhow::Result<()> {
    let request = SubscriptionRequest { topic: format!("{}.island_changed", wallet(index)?.address()) };
    let changes = kernel.begin("TopicsService.SystemSubscription", &request).await?;
    kernel.take_up(changes).await?;
    let position = Some(Position { x: (index % 1000) as f32 * 500.0, y: 0.0, z: (index / 1000) as f32 * 500.0 });
    let heartbeat = Heartbeat { position, desired_room: None }.encode_to_vec();
    let mut beats = interval_at(Instant::now(), HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        kernel.publish("heartbeat", heartbeat.clone()).await?;
    }
}
