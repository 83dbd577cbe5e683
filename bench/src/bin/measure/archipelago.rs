//! Archipelago behind either bus: what a heartbeat costs it, how many it takes, and how long a newcomer waits for an island.

use anyhow::Context;
use atoll_bench::process::{Server, own_cpu};
use atoll_compat::Coordinates;
use atoll_compat::nats::{Credentials, NatsBus, NatsOptions, Spellings};
use atoll_core::Host;
use atoll_core::archipelago::Settings;
use atoll_core::archipelago::service::{OFFLINE, Service, ServiceSettings, Watch};
use atoll_core::bus::{Bus, LocalBus, Message, Pattern, Subject, Subscription};
use atoll_proto::archipelago::{Heartbeat, Position};
use atoll_tests::nats::NatsServer;
use clap::Args;
use hdrhistogram::Histogram;
use prost::Message as _;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The side of the city they walk in, in metres.
const CITY: f32 = 4800.0;

/// Heartbeats published before others may run.
const BURST: usize = 64;

#[derive(Args)]
pub(super) struct Arguments {
    /// Peers that are there all the time
    #[arg(long, default_value_t = 10_000)]
    peers: usize,
    /// Heartbeats a second of each
    #[arg(long, default_value_t = 0.5)]
    rate: f64,
    /// Newcomers a second
    #[arg(long, default_value_t = 20.0)]
    newcomers: f64,
    /// Seconds to measure each figure
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Archipelago, and how it is watched.
enum Half {
    /// In this process, so its cost is that of whoever publishes, too.
    Embedded(Watch),
    /// In a process of its own, and the way there.
    Apart(Server, Arc<NatsBus>),
}

impl Half {
    fn cpu(&self) -> anyhow::Result<Duration> {
        match self {
            Self::Embedded(_) => own_cpu(),
            Self::Apart(server, _) => server.cpu(),
        }
    }

    /// Heartbeats that were lost so far, on the way or by archipelago.
    async fn lost(&self) -> anyhow::Result<u64> {
        match self {
            Self::Embedded(watch) => Ok(watch.status().dropped),
            Self::Apart(server, bus) => {
                let status = status(server.ready("http")?).await?;
                let count = |value: &Value| value.as_u64().context("a count");
                Ok(count(&status["region"]["archipelago"]["dropped"])?
                    + count(&status["nats"]["slow"])?
                    + bus.status().dropped)
            }
        }
    }

    /// Waits until the bus has sent what it was given.
    async fn keep_up(&self) {
        let Self::Apart(_, bus) = self else { return };
        while bus.status().pending_bytes > 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn status(http: &str) -> anyhow::Result<Value> {
    let address = http.strip_prefix("http://").context("an http URL")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
    Ok(serde_json::from_str(body)?)
}

/// The machine's clock.
struct Clock(Instant);

impl Host for Clock {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        0
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        println!("## Archipelago, {} peers at {} Hz\n", self.peers, self.rate);
        println!("| bus | CPU at that rate | a heartbeat | flat out | newcomer p50 | p99 |");
        println!("|---|--:|--:|--:|--:|--:|");
        let local: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let watch = Watch::default();
        let (clock, strings) = (Arc::new(Clock(Instant::now())), Box::new(|_: &str, _: &str| OFFLINE.to_owned()));
        let service = Service::new(settings(), clock, Arc::clone(&local), watch.clone(), strings);
        let serving = tokio::spawn(service.run());
        self.row("embedded, with whoever publishes", &local, &Half::Embedded(watch)).await?;
        serving.abort();

        let nats = NatsServer::start().await;
        let url = nats.url();
        let secret = ("ATOLL_WS_ROOM__SECRET", "a secret for nobody");
        let server = Server::edge(&[("ATOLL_ROLES", "archipelago"), ("ATOLL_NATS__URL", &url), secret])?;
        let bus = NatsBus::open(options(&url)?).await?;
        bus.connected().wait_for(|connected| *connected).await?;
        let nats_bus = Arc::new(bus);
        let bus: Arc<dyn Bus> = Arc::<NatsBus>::clone(&nats_bus);
        self.row("nats-server, a process of its own", &bus, &Half::Apart(server, nats_bus)).await?;
        println!();
        Ok(())
    }

    async fn row(&self, name: &str, bus: &Arc<dyn Bus>, half: &Half) -> anyhow::Result<()> {
        let mut crowd = Crowd::new(self.peers);
        let mut changes = bus.subscribe(&[Pattern::new("client-proto.*.island_changed")?], 1 << 20);
        // Everybody comes, and is placed.
        for _ in 0..self.peers {
            crowd.publish_next(&**bus)?;
            tokio::task::yield_now().await;
        }
        placed(&mut changes, self.peers).await?;
        let steady = self.steady(bus, half, &mut crowd, &mut changes).await?;
        let flat_out = self.flat_out(bus, half, &mut crowd, &mut changes).await?;
        let Steady { share, each, waits } = steady;
        let at = |quantile: f64| waits.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "| {name} | {:.1} % | {:.1} us | {flat_out:.0} a second | {:.0} ms | {:.0} ms |",
            share * 100.0,
            each * 1e6,
            at(0.5),
            at(0.99)
        );
        Ok(())
    }

    /// Heartbeats at their pace, and newcomers who wait for their islands.
    async fn steady(
        &self,
        bus: &Arc<dyn Bus>,
        half: &Half,
        crowd: &mut Crowd,
        changes: &mut Subscription,
    ) -> anyhow::Result<Steady> {
        let pace = self.peers as f64 * self.rate;
        let (mut published, mut come) = (0_usize, 0_usize);
        let mut waiting: HashMap<String, Instant> = HashMap::new();
        let mut waits = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        let (cpu, started) = (half.cpu()?, Instant::now());
        while started.elapsed().as_secs_f64() < self.seconds || !waiting.is_empty() {
            tokio::select! {
                _ = beat.tick() => {
                    let time = started.elapsed().as_secs_f64();
                    while (published as f64) < time * pace {
                        crowd.publish_next(&**bus)?;
                        published += 1;
                    }
                    while (come as f64) < time.min(self.seconds) * self.newcomers {
                        let name = format!("0x{:040x}", 0xbeef_0000_usize + come);
                        waiting.insert(name.clone(), Instant::now());
                        crowd.publish(&**bus, &name, crowd.place(come))?;
                        come += 1;
                    }
                }
                change = changes.next() => {
                    let subject = change.context("the bus goes on")?.subject;
                    let since = subject.levels().nth(1).and_then(|name| waiting.remove(name));
                    if let Some(since) = since {
                        waits.record(since.elapsed().as_micros() as u64)?;
                    }
                }
            }
            anyhow::ensure!(started.elapsed().as_secs_f64() < self.seconds + 30.0, "newcomers without an island");
        }
        let used = (half.cpu()? - cpu).as_secs_f64();
        Ok(Steady { share: used / started.elapsed().as_secs_f64(), each: used / (published + come) as f64, waits })
    }

    /// Heartbeats taken in a second when they come as fast as they can be published.
    async fn flat_out(
        &self,
        bus: &Arc<dyn Bus>,
        half: &Half,
        crowd: &mut Crowd,
        changes: &mut Subscription,
    ) -> anyhow::Result<f64> {
        let (lost, started) = (half.lost().await?, Instant::now());
        let mut published = 0_u64;
        while started.elapsed().as_secs_f64() < self.seconds {
            for _ in 0..BURST {
                crowd.publish_next(&**bus)?;
            }
            published += BURST as u64;
            while changes.try_next().is_some() {}
            tokio::task::yield_now().await;
            half.keep_up().await;
        }
        half.keep_up().await;
        let taken = published - (half.lost().await? - lost);
        Ok(taken as f64 / started.elapsed().as_secs_f64())
    }
}

struct Steady {
    /// Of one core.
    share: f64,
    /// Seconds of it for a heartbeat, flushes included.
    each: f64,
    /// Microseconds.
    waits: Histogram<u64>,
}

/// Peers that walk along the city's streets.
struct Crowd {
    names: Vec<String>,
    steps: usize,
}

impl Crowd {
    fn new(peers: usize) -> Self {
        Self { names: (0..peers).map(|index| format!("0x{index:040x}")).collect(), steps: 0 }
    }

    /// Somewhere in the city, the same for the same number.
    fn place(&self, index: usize) -> Position {
        let scattered = |salt: u64| {
            let mixed = (index as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 40) as f32 / (1_u64 << 24) as f32 * CITY
        };
        Position { x: scattered(0x51ab), y: 0.0, z: scattered(0xc0de_0000) }
    }

    /// The next one's heartbeat, two metres further on.
    fn publish_next(&mut self, bus: &dyn Bus) -> anyhow::Result<()> {
        let (index, round) = (self.steps % self.names.len(), self.steps / self.names.len());
        self.steps += 1;
        let mut at = self.place(index);
        at.x = (at.x + round as f32 * 2.0) % CITY;
        self.publish(bus, &self.names[index], at)
    }

    fn publish(&self, bus: &dyn Bus, name: &str, at: Position) -> anyhow::Result<()> {
        let heartbeat = Heartbeat { position: Some(at), desired_room: None }.encode_to_vec();
        bus.publish(Message::new(Subject::new(&format!("client-proto.peer.{name}.heartbeat"))?, heartbeat))?;
        Ok(())
    }
}

/// Waits until that many have been placed.
async fn placed(changes: &mut Subscription, peers: usize) -> anyhow::Result<()> {
    let mut islands = std::collections::HashSet::new();
    let all = async {
        while islands.len() < peers {
            let change = changes.next().await.context("the bus goes on")?;
            islands.insert(change.subject);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.context("peers without an island")?
}

/// As an edge has them by default.
fn settings() -> ServiceSettings {
    ServiceSettings {
        engine: Settings { grid_key: 0x5eed, ..Settings::default() },
        flush_interval: Duration::from_secs(2),
        newcomer_interval: Duration::from_millis(250),
        peer_timeout: Duration::from_secs(60),
        islands_interval: Duration::from_secs(120),
        max_peers: 200_000,
    }
}

/// One spelling of each subject, so that what is measured is measured once.
fn options(url: &str) -> anyhow::Result<NatsOptions> {
    Ok(NatsOptions {
        servers: vec![url.parse()?],
        credentials: Credentials::None,
        roots: None,
        certificate: None,
        name: "measure".to_owned(),
        spellings: Spellings { engine: false, documented: false, documented_heartbeats: false },
        client_proto: Coordinates::Double,
        engine: Coordinates::Float,
    })
}
