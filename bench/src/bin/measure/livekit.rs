//! LiveKit's clients: what one core delivers to them in one room, what their joining costs and what each of them keeps, beside
//! native clients in a room of the same size.

use atoll_bench::load::{Ages, LIVEKIT_KEYS, LivekitLoad, Load, OPEN_ROOM, Plan, RoomLoad, RoomPlan, Sample, Way};
use atoll_bench::process::{Server, UNLIMITED};
use clap::{Args, ValueEnum};
use std::time::{Duration, Instant};

/// From the first packet to the measurement.
const SETTLING: Duration = Duration::from_secs(1);

/// From the last join to reading the memory.
const STANDING: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct Arguments {
    /// Room sizes
    #[arg(long, value_delimiter = ',', default_value = "40,100")]
    peers: Vec<usize>,
    /// Packets a second from each
    #[arg(long, value_delimiter = ',', default_value = "5,10")]
    rates: Vec<f64>,
    /// How they come
    #[arg(long, value_delimiter = ',', default_value = "native,livekit")]
    doors: Vec<Door>,
    /// Payload of a packet in bytes: a position, and a stamp that fills it up
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Seconds to measure each
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Door {
    /// Over WebTransport.
    Native,
    /// With two peer connections each.
    Livekit,
}

impl Door {
    const fn name(self) -> &'static str {
        match self {
            Self::Native => "WebTransport",
            Self::Livekit => "LiveKit",
        }
    }
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        println!("## LiveKit's clients\n");
        println!(
            "One room, {} bytes, lossy, by tick, {} s each; only foreign packets count. `us each` is the server's CPU for a packet \
             delivered. The load is the webrtc crate's, which costs more than the server: where it is what is bound, the server's \
             CPU for each delivery is still its own.\n",
            self.payload, self.seconds
        );
        println!(
            "| peers | Hz | door | delivered/s | of offered | server CPU | deliveries per CPU-second | us each | p50 | p99 | load CPU | |"
        );
        println!("|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|---|");
        for &peers in &self.peers {
            for &rate in &self.rates {
                for &door in &self.doors {
                    let (sample, ages) = self.deliveries(peers, rate, door).await?;
                    print_deliveries(peers, rate, door, &sample, &ages);
                }
            }
        }
        println!("\n| peers | door | server CPU for a join | joins per CPU-second | joins a second | memory each |");
        println!("|--:|---|--:|--:|--:|--:|");
        for &peers in &self.peers {
            for &door in &self.doors {
                joins(peers, door).await?;
            }
        }
        println!();
        Ok(())
    }

    async fn deliveries(&self, peers: usize, rate: f64, door: Door) -> anyhow::Result<(Sample, Ages)> {
        let server = server()?;
        let native = if door == Door::Native { peers } else { 0 };
        let plan = RoomPlan { kernels: 0, tls: false, native, rate, payload: self.payload };
        let time = Duration::from_secs_f64(self.seconds);
        if door == Door::Native {
            let load = RoomLoad::start(&server, plan).await?;
            tokio::time::sleep(SETTLING).await;
            drop(load.take_ages());
            return Ok((load.measure(&server, time).await?, load.take_ages()));
        }
        let mut load = LivekitLoad::start(&server, peers).await?;
        load.speak(plan);
        tokio::time::sleep(SETTLING).await;
        drop(load.take_ages());
        Ok((load.measure(&server, time).await?, load.take_ages()))
    }
}

fn server() -> anyhow::Result<Server> {
    Server::edge(&[&[OPEN_ROOM][..], &LIVEKIT_KEYS, UNLIMITED].concat())
}

fn print_deliveries(peers: usize, rate: f64, door: Door, sample: &Sample, ages: &Ages) {
    println!(
        "| {peers} | {rate} | {} | {:.0} | {:.1} % | {:.0} % | {:.0} | {:.2} | {:.1} ms | {:.1} ms | {:.0} % | {} |",
        door.name(),
        sample.counts.delivered as f64 / sample.time.as_secs_f64(),
        sample.share() * 100.0,
        sample.server_share() * 100.0,
        sample.per_cpu_second(),
        1e6 / sample.per_cpu_second(),
        ages.at(0.5),
        ages.at(0.99),
        sample.load_share() * 100.0,
        sample.remark(),
    );
}

/// Everybody comes, and is told of everybody else; then nobody says anything.
async fn joins(peers: usize, door: Door) -> anyhow::Result<()> {
    let server = server()?;
    let (memory, cpu, started) = (server.resident()?, server.cpu()?, Instant::now());
    let native = Plan {
        peers,
        way: Way::WebTransport,
        together: peers,
        rate: 0.0,
        payload: 100,
        first: None,
        room: Some("bench"),
    };
    let load = match door {
        Door::Native => (Some(Load::start(&server, native).await?), None),
        Door::Livekit => (None, Some(LivekitLoad::start(&server, peers).await?)),
    };
    let (time, cpu) = (started.elapsed(), server.cpu()? - cpu);
    tokio::time::sleep(STANDING).await;
    let memory = server.resident()?.saturating_sub(memory);
    drop(load);
    let each = cpu.as_secs_f64() / peers as f64;
    println!(
        "| {peers} | {} | {:.2} ms | {:.0} | {:.0} | {:.0} KiB |",
        door.name(),
        each * 1e3,
        1.0 / each,
        peers as f64 / time.as_secs_f64(),
        memory as f64 / 1024.0 / peers as f64
    );
    Ok(())
}
