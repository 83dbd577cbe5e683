//! Rooms: what one core delivers in one room over WebSockets, with and without TLS, and beside WebTransport.

use atoll_bench::load::{Ages, OPEN_ROOM, RoomLoad, RoomPlan, Sample};
use atoll_bench::process::{Server, UNLIMITED};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::time::Duration;

/// From the first update to the measurement.
const SETTLING: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Arguments {
    /// Room sizes
    #[arg(long, value_delimiter = ',', default_value = "20,100,400")]
    peers: Vec<usize>,
    /// Largest room that is measured on arrival, too
    #[arg(long, default_value_t = 100)]
    arrival: usize,
    /// How the peers come; what comes first is what the others are compared with
    #[arg(long, value_delimiter = ',', default_value = "native,ws,wss,half")]
    seats: Vec<Seats>,
    /// Updates a second from each
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Payload of an update in bytes: a position, and a stamp that fills it up
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Seconds to measure each
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Seats {
    /// Over WebTransport.
    Native,
    /// RFC-5 over plain WebSockets.
    Ws,
    /// RFC-5 over WebSockets with TLS.
    Wss,
    /// Half of them plain, half of them over WebTransport.
    Half,
}

/// What was measured of one room.
struct Measured {
    sample: Sample,
    ages: Ages,
    /// Messages that came with one read of a WebSocket, on average.
    at_once: f64,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        println!("## WebSocket rooms\n");
        println!(
            "One room, {} bytes, {} s each; only foreign updates count. What does not deliver 99 % at {} Hz is measured again at \
             half the rate, until it does. `us each` is the server's CPU for an update delivered, `ratio` what the first row of \
             the same size and delivery takes over this one, `at once` how many messages, a frame each, come with one read.\n",
            self.payload, self.seconds, self.rate
        );
        println!(
            "| peers | seats | delivery | Hz | delivered/s | of offered | server CPU | updates per CPU-second | us each | ratio | p50 | p99 | \
             at once | load CPU | |"
        );
        println!("|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
        for &peers in &self.peers {
            let mut first = BTreeMap::new();
            for &seats in &self.seats {
                for on_arrival in [false, true] {
                    if !on_arrival || peers <= self.arrival {
                        let each = self.rows(peers, seats, on_arrival, first.get(&on_arrival).copied()).await?;
                        first.entry(on_arrival).or_insert(each);
                    }
                }
            }
        }
        println!();
        Ok(())
    }

    /// Measures and prints until enough was delivered; the last figure, in microseconds for each update.
    async fn rows(&self, peers: usize, seats: Seats, on_arrival: bool, first: Option<f64>) -> anyhow::Result<f64> {
        let mut rate = self.rate;
        loop {
            let Measured { sample, ages, at_once } = self.measure(peers, seats, on_arrival, rate).await?;
            let each = 1e6 / sample.per_cpu_second();
            println!(
                "| {peers} | {} | {} | {rate} | {:.0} | {:.1} % | {:.0} % | {:.0} | {each:.2} | {:.2} | {:.1} ms | {:.1} ms | {at_once:.1} | \
                 {:.0} % | {} |",
                seats.name(),
                if on_arrival { "on arrival" } else { "by tick" },
                sample.counts.delivered as f64 / sample.time.as_secs_f64(),
                sample.share() * 100.0,
                sample.server_share() * 100.0,
                sample.per_cpu_second(),
                first.unwrap_or(each) / each,
                ages.at(0.5),
                ages.at(0.99),
                sample.load_share() * 100.0,
                sample.remark(),
            );
            if sample.share() >= 0.99 || rate <= self.rate / 8.0 {
                return Ok(each);
            }
            rate /= 2.0;
        }
    }

    async fn measure(&self, peers: usize, seats: Seats, on_arrival: bool, rate: f64) -> anyhow::Result<Measured> {
        let most = peers.max(100).to_string();
        let mut variables = vec![OPEN_ROOM, ("ATOLL_ARCHIPELAGO__MAX_PEERS", most.as_str())];
        variables.extend_from_slice(UNLIMITED);
        if on_arrival {
            variables.push(("ATOLL_ROOM__TICK", "0"));
        }
        let server = Server::edge(&variables)?;
        let native = seats.native(peers);
        let tls = seats == Seats::Wss;
        let plan = RoomPlan { kernels: peers - native, tls, native, rate, payload: self.payload };
        let load = RoomLoad::start(&server, plan).await?;
        tokio::time::sleep(SETTLING).await;
        drop(load.take_ages());
        let (reads, heard) = (load.reads(), load.of_kernels().delivered);
        let sample = load.measure(&server, Duration::from_secs_f64(self.seconds)).await?;
        let (reads, heard) = (load.reads() - reads, load.of_kernels().delivered - heard);
        Ok(Measured { sample, ages: load.take_ages(), at_once: heard as f64 / reads.max(1) as f64 })
    }
}

impl Seats {
    const fn name(self) -> &'static str {
        match self {
            Self::Native => "WebTransport",
            Self::Ws => "WebSocket",
            Self::Wss => "WebSocket with TLS",
            Self::Half => "half WebSocket, half WebTransport",
        }
    }

    /// How many of so many peers come over WebTransport.
    const fn native(self, peers: usize) -> usize {
        match self {
            Self::Native => peers,
            Self::Ws | Self::Wss => 0,
            Self::Half => peers / 2,
        }
    }
}
