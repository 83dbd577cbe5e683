//! A slow receiver: how old what it hears is when more is offered than its path carries, and what its neighbours notice.

use atoll_bench::load::{Ages, Load, Plan, Sample, Way, edge_of};
use atoll_bench::process::{Server, UNLIMITED};
use atoll_tests::proxy::{Shape, UdpProxy};
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Arguments {
    /// Members of the island, the slow one included
    #[arg(long, default_value_t = 100)]
    peers: usize,
    /// Payload of an update in bytes
    #[arg(long, default_value_t = 80)]
    payload: usize,
    /// What the slow path carries, in bytes a second each way
    #[arg(long, default_value_t = 50_000)]
    bytes_per_second: u64,
    /// Its delay each way in milliseconds
    #[arg(long, default_value_t = 20)]
    delay: u64,
    /// Its router's queue in bytes
    #[arg(long, default_value_t = 10_000)]
    queue: usize,
    /// Seconds to measure
    #[arg(long, default_value_t = 12.0)]
    seconds: f64,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let arguments = self;
        let Arguments { peers, payload, bytes_per_second, delay, queue, seconds } = arguments;
        let server = Server::edge(UNLIMITED)?;
        let proxy = UdpProxy::start(edge_of(&server)?).await?;
        let first = Some(proxy.address());
        let plan = Plan { peers, way: Way::WebTransport, together: peers, rate: 10.0, payload, first, room: None };
        let load = Load::start(&server, plan).await?;
        println!("## A slow receiver\n");
        println!(
            "{peers} peers, 10 Hz, {payload} bytes, {seconds} s; the slow one behind {bytes_per_second} bytes/s, {delay} ms each \
             way, a queue of {queue} bytes. Targets: p50 300 ms, p99 600 ms.\n"
        );
        println!("| who | path | heard/s | p50 | p99 | packets dropped by the router |");
        println!("|---|---|--:|--:|--:|--:|");
        let time = Duration::from_secs_f64(seconds);
        measure(&load, &server, peers, time / 3).await?.print("free", &proxy);
        proxy.shape(Some(Shape { bytes_per_second, delay: Duration::from_millis(delay), queue }));
        measure(&load, &server, peers, time).await?.print("slow", &proxy);
        println!();
        Ok(())
    }
}

struct Heard {
    sample: Sample,
    slow: (u64, Ages),
    neighbours: (u64, Ages),
    peers: usize,
}

async fn measure(load: &Load, server: &Server, peers: usize, time: Duration) -> anyhow::Result<Heard> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(load.take_ages(0..peers));
    let heard = |range| load.counts(range).delivered;
    let before = (heard(0..1), heard(1..peers));
    let sample = load.measure(server, time).await?;
    Ok(Heard {
        sample,
        slow: (heard(0..1) - before.0, load.take_ages(0..1)),
        neighbours: (heard(1..peers) - before.1, load.take_ages(1..peers)),
        peers,
    })
}

impl Heard {
    fn print(&self, path: &str, proxy: &UdpProxy) {
        let seconds = self.sample.time.as_secs_f64();
        let dropped = proxy.counts().overflowed;
        let row = |who: &str, count: u64, heard: u64, ages: &Ages| {
            println!(
                "| {who} | {path} | {:.0} each | {:.0} ms | {:.0} ms | {dropped} |",
                heard as f64 / seconds / count as f64,
                ages.at(0.5),
                ages.at(0.99)
            );
        };
        row("the slow one", 1, self.slow.0, &self.slow.1);
        row("its neighbours", self.peers as u64 - 1, self.neighbours.0, &self.neighbours.1);
    }
}
