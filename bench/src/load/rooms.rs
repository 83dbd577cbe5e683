//! Load for a named room: clients of RFC-5 over WebSockets, native ones over WebTransport, or both.

use super::rfc5::{Door, Rfc5};
use super::room_plan::RoomPlan;
use super::sample::{self, Ages, Counts, Sample};
use super::{LOGINS, Load, Plan, SEATING, Way, clock};
use crate::process::Server;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// The room that everybody enters.
pub(super) const ROOM: &str = "bench";

/// What lets everybody in.
pub const OPEN_ROOM: (&str, &str) = ("ATOLL_ROOMS__RULES", "bench open");

/// Clients of one room that are seated and send.
#[derive(Debug)]
pub struct RoomLoad {
    kernels: Vec<Rfc5>,
    native: Option<Load>,
    /// Nobody speaks before all are seated.
    speaking: watch::Sender<bool>,
}

impl RoomLoad {
    /// Lets everybody in and waits until each sees all others.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn start(server: &Server, plan: RoomPlan) -> anyhow::Result<Self> {
        let (speaking, _) = watch::channel(false);
        let kernels = kernels(server, plan, &speaking).await?;
        let RoomPlan { native, rate, payload, .. } = plan;
        let together = plan.kernels + native;
        let way = Way::WebTransport;
        let of_native = Plan { peers: native, way, together, rate, payload, first: None, room: Some(ROOM) };
        let native = if native > 0 { Some(Load::start(server, of_native).await?) } else { None };
        let load = Self { kernels, native, speaking };
        load.seated(together).await?;
        load.speaking.send_replace(true);
        Ok(load)
    }

    async fn seated(&self, together: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + SEATING;
        loop {
            let waiting = self.kernels.iter().filter(|kernel| kernel.others() + 1 != together).count();
            if waiting == 0 {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{waiting} do not see the others");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Counts for a time what goes and what comes, and what that costs the server and this process.
    ///
    /// # Errors
    /// When the server has ended.
    pub async fn measure(&self, server: &Server, time: Duration) -> anyhow::Result<Sample> {
        sample::measure(server, time, || self.counts()).await
    }

    /// What those counted that came over WebSockets, since they are there.
    pub fn of_kernels(&self) -> Counts {
        self.kernels.iter().map(Rfc5::counts).sum()
    }

    /// How often these found something to read.
    pub fn reads(&self) -> u64 {
        self.kernels.iter().map(Rfc5::reads).sum()
    }

    /// The ages of what everybody heard since the last call.
    pub fn take_ages(&self) -> Ages {
        let native = self.native.as_ref().map_or_else(Ages::default, |load| load.take_ages(0..load.plan.peers));
        self.kernels.iter().map(Rfc5::take_ages).fold(native, Ages::with)
    }

    fn counts(&self) -> Counts {
        let native = self.native.as_ref().map(|load| load.counts(0..load.plan.peers));
        native.into_iter().chain([self.of_kernels()]).sum()
    }
}

/// Signs in those who come over WebSockets. The first numbers are those of the native ones.
async fn kernels(server: &Server, plan: RoomPlan, speaking: &watch::Sender<bool>) -> anyhow::Result<Vec<Rfc5>> {
    let door = Door::of(server, plan.tls)?;
    let permits = Arc::new(Semaphore::new(LOGINS));
    let mut logins = JoinSet::new();
    for index in plan.native..plan.native + plan.kernels {
        let (door, permits, speaking) = (door.clone(), permits.clone(), speaking.subscribe());
        logins.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            let kernel = Rfc5::start(&door, ROOM, index, plan, clock(), speaking);
            timeout(SEATING, kernel).await.context("no login in time")?
        });
    }
    let mut kernels = Vec::new();
    while let Some(login) = logins.join_next().await {
        kernels.push(login??);
    }
    Ok(kernels)
}
