//! Added latency: from sending an update to hearing it, at 100 peers, at a busy server, and in rooms that send at once.

use atoll_bench::load::{Ages, Load, OwnDelay, Plan, Sample, Way};
use atoll_bench::process::{Server, UNLIMITED};
use clap::Args;
use std::time::Duration;

/// The edge's tick for a room of 100, in milliseconds.
const TICK: f64 = 33.0;

#[derive(Args)]
pub(super) struct Arguments {
    /// Seconds to measure each
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Which part of its core the server is to be busy with in the busy case
    #[arg(long, default_value_t = 0.7)]
    busy: f64,
    /// Rooms of 8 that send at once
    #[arg(long, default_value_t = 4)]
    small_rooms: usize,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let arguments = self;
        let time = Duration::from_secs_f64(arguments.seconds);
        println!("## Added latency\n");
        println!(
            "10 Hz, 100 bytes, over WebTransport on loopback, {} s each. The load's own delay is counted in; `load p99` is what a \
             datagram takes that the load's thread sends to itself meanwhile.\n",
            arguments.seconds
        );
        println!("| rooms | tick | p50 | p99 | allowed p99 | load p99 | delivered | server CPU | load CPU |");
        println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        let own = OwnDelay::start().await?;

        let server = Server::edge(UNLIMITED)?;
        let load = Load::start(&server, plan(100, 100)).await?;
        let measured = measure(&load, &server, 100, &own, time).await?;
        row("1 of 100", TICK, TICK + 10.0, &measured);

        let (mut load, mut rooms, mut busy) = (load, 1, measured);
        while busy.0.server_share() < arguments.busy && busy.0.load_share() < 0.93 {
            load = load.joined_by(&server, 100).await?;
            rooms += 1;
            busy = measure(&load, &server, rooms * 100, &own, time / 2).await?;
        }
        row(&format!("{rooms} of 100, a busy server"), TICK, TICK + 10.0, &busy);
        drop((load, server));

        let server = Server::edge(UNLIMITED)?;
        let peers = 8 * arguments.small_rooms;
        let load = Load::start(&server, plan(peers, 8)).await?;
        let measured = measure(&load, &server, peers, &own, time).await?;
        row(&format!("{} of 8", arguments.small_rooms), 0.0, 3.0, &measured);
        println!();
        Ok(())
    }
}

fn plan(peers: usize, together: usize) -> Plan {
    Plan { peers, way: Way::WebTransport, together, rate: 10.0, payload: 100, first: None, room: None }
}

/// What was measured in a time: the sample, the updates' ages, and the load's own delay.
type Measured = (Sample, Ages, Ages);

async fn measure(
    load: &Load,
    server: &Server,
    peers: usize,
    own: &OwnDelay,
    time: Duration,
) -> anyhow::Result<Measured> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop((load.take_ages(0..peers), own.take()));
    let sample = load.measure(server, time).await?;
    Ok((sample, load.take_ages(0..peers), own.take()))
}

fn row(rooms: &str, tick: f64, allowed: f64, (sample, ages, own): &Measured) {
    println!(
        "| {rooms} | {tick:.0} ms | {:.1} ms | {:.1} ms | {allowed:.0} ms | {:.1} ms | {:.1} % | {:.0} % | {:.0} % |",
        ages.at(0.5),
        ages.at(0.99),
        own.at(0.99),
        sample.share() * 100.0,
        sample.server_share() * 100.0,
        sample.load_share() * 100.0,
    );
}
