//! Load: many light clients in one thread, and what they counted over a time.
//!
//! The clients speak `atoll/1` over quinn and web-transport-quinn with as little of their own as goes, because the load
//! must not be what is measured: one queue less than `atoll-client`, and nothing kept of what they hear but counts. Those of
//! WebSocket rooms speak RFC-5 by hand, for the same reason.

mod kernels;
mod livekit;
mod own_delay;
mod peer;
mod plain;
mod rfc5;
mod room_plan;
mod rooms;
mod sample;
mod tls;

pub use kernels::{KernelLoad, kernel};
pub use livekit::{LIVEKIT_KEYS, LivekitLoad};
pub use own_delay::OwnDelay;
pub use peer::{Connected, Control, Way, connect, login};
pub use plain::PlainLoad;
pub use room_plan::RoomPlan;
pub use rooms::{OPEN_ROOM, RoomLoad};
pub use sample::{Ages, Counts, Sample};

use crate::process::Server;
use anyhow::Context;
use atoll_client::walkers::Clock;
use peer::Peer;
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// UDP sockets that the clients share.
const SOCKETS: usize = 8;

/// Logins at a time.
const LOGINS: usize = 32;

/// How long all seats may take.
const SEATING: Duration = Duration::from_secs(60);

/// How the clients come and where they stand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many there are.
    pub peers: usize,
    /// How they come.
    pub way: Way,
    /// How many stand together; each such group is far from the next.
    pub together: usize,
    /// Updates a second from each; 0 for heartbeats alone.
    pub rate: f64,
    /// The payload of an update, in bytes.
    pub payload: usize,
    /// Where the first client finds the edge when not there where the others do: behind a proxy.
    pub first: Option<SocketAddr>,
    /// The room that all of them join beside others, who are counted among those who stand together; their islands' when
    /// `None`.
    pub room: Option<&'static str>,
}

/// Clients that are seated and send.
#[derive(Debug)]
pub struct Load {
    peers: Vec<Peer>,
    plan: Plan,
    sockets: Vec<Endpoint>,
    /// Nobody speaks before all are seated.
    speaking: watch::Sender<bool>,
}

impl Load {
    /// Logs everybody in and waits until each sees its whole group.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn start(server: &Server, plan: Plan) -> anyhow::Result<Self> {
        let (speaking, _) = watch::channel(false);
        let load = Self { peers: Vec::new(), plan: Plan { peers: 0, ..plan.clone() }, sockets: sockets()?, speaking };
        let load = load.joined_by(server, plan.peers).await?;
        load.speaking.send_replace(true);
        Ok(load)
    }

    /// Adds clients to those there are, in further groups.
    ///
    /// # Errors
    /// When they do not find seats.
    pub async fn joined_by(mut self, server: &Server, more: usize) -> anyhow::Result<Self> {
        let edge = edge_of(server)?;
        let permits = Arc::new(Semaphore::new(LOGINS));
        let mut logins = JoinSet::new();
        for index in self.plan.peers..self.plan.peers + more {
            let address = self.plan.first.filter(|_| index == 0).unwrap_or(edge);
            let socket = self.sockets[index % SOCKETS].clone();
            let (plan, permits, speaking) = (self.plan.clone(), permits.clone(), self.speaking.subscribe());
            logins.spawn(async move {
                let _permit = permits.acquire_owned().await?;
                let peer = Peer::start(&socket, address, index, &plan, clock(), speaking);
                anyhow::Ok((index, timeout(SEATING, peer).await.context("no login in time")??))
            });
        }
        let mut peers = Vec::new();
        while let Some(login) = logins.join_next().await {
            peers.push(login??);
        }
        peers.sort_by_key(|(index, _)| *index);
        self.peers.extend(peers.into_iter().map(|(_, peer)| peer));
        self.plan.peers += more;
        self.seated().await?;
        Ok(self)
    }

    async fn seated(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SEATING;
        let apart = if self.plan.room.is_some() { 0 } else { self.plan.peers % self.plan.together };
        let last = self.plan.peers - apart;
        loop {
            let waiting = self.peers[..last].iter().filter(|peer| peer.members() != self.plan.together).count();
            if waiting == 0 {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{waiting} of {last} do not see their group");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Counts for a time what goes and what comes, and what that costs the server and this process.
    ///
    /// # Errors
    /// When the server has ended.
    pub async fn measure(&self, server: &Server, time: Duration) -> anyhow::Result<Sample> {
        sample::measure(server, time, || self.counts(0..self.peers.len())).await
    }

    /// What some of the clients counted since they are there.
    pub fn counts(&self, range: std::ops::Range<usize>) -> Counts {
        self.peers[range].iter().map(Peer::counts).sum()
    }

    /// The ages of what some of the clients heard since the last call for them.
    pub fn take_ages(&self, range: std::ops::Range<usize>) -> Ages {
        self.peers[range].iter().map(Peer::take_ages).fold(Ages::default(), Ages::with)
    }
}

/// The clock of all that this process sends and hears.
fn clock() -> Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    *CLOCK.get_or_init(|| Clock::start(1))
}

/// Where an edge's UDP door is.
///
/// # Errors
/// When its ready line does not tell.
pub fn edge_of(server: &Server) -> anyhow::Result<SocketAddr> {
    Ok(server.ready("quic")?.trim_start_matches("https://").parse()?)
}

/// Sockets for clients, with buffers for their share of everything.
///
/// # Errors
/// When one cannot be had.
pub fn sockets() -> anyhow::Result<Vec<Endpoint>> {
    (0..SOCKETS).map(|_| socket()).collect()
}

fn socket() -> anyhow::Result<Endpoint> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.set_send_buffer_size(4 << 20)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(Endpoint::new(EndpointConfig::default(), None, socket.into(), Arc::new(TokioRuntime))?)
}
