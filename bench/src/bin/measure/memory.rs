//! Memory: what a session keeps, by what it consists of.

use atoll_bench::load::{Connected, Load, Plan, Way, connect, edge_of, sockets};
use atoll_bench::process::{Server, UNLIMITED};
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Arguments {
    /// Sessions
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// Connections that do not log in: fewer, because they may stay for 10 seconds only, and 256 count as a crowd
    #[arg(long, default_value_t = 200)]
    silent: usize,
    /// Seconds to stand before it is read
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let arguments = self;
        println!("## Resident memory of the server\n");
        println!(
            "{} sessions, alone in their islands, a heartbeat a second each, read after {} s; {} connections without a login.\n",
            arguments.count, arguments.seconds, arguments.silent
        );
        println!("| what | before | with all | each |");
        println!("|---|--:|--:|--:|");
        connections("QUIC connection", &arguments, Way::Quic).await?;
        connections("WebTransport session, not logged in", &arguments, Way::WebTransport).await?;
        sessions("raw QUIC, logged in", &arguments, Way::Quic).await?;
        sessions("WebTransport, logged in", &arguments, Way::WebTransport).await?;
        println!();
        Ok(())
    }
}

async fn connections(name: &str, arguments: &Arguments, way: Way) -> anyhow::Result<()> {
    let server = Server::edge(UNLIMITED)?;
    let (edge, sockets) = (edge_of(&server)?, sockets()?);
    let before = server.resident()?;
    let mut open: Vec<Connected> = Vec::new();
    for index in 0..arguments.silent {
        open.push(connect(&sockets[index % sockets.len()], edge, way).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    row(name, before, server.resident()?, open.len());
    Ok(())
}

async fn sessions(name: &str, arguments: &Arguments, way: Way) -> anyhow::Result<()> {
    let server = Server::edge(UNLIMITED)?;
    let before = server.resident()?;
    let plan = Plan { peers: arguments.count, way, together: 1, rate: 0.0, payload: 100, first: None, room: None };
    let load = Load::start(&server, plan).await?;
    tokio::time::sleep(Duration::from_secs_f64(arguments.seconds)).await;
    row(name, before, server.resident()?, arguments.count);
    drop(load);
    Ok(())
}

fn row(name: &str, before: u64, after: u64, count: usize) {
    let kibibytes = |bytes: u64| bytes as f64 / 1024.0;
    println!(
        "| {name} | {:.0} KiB | {:.0} KiB | {:.1} KiB |",
        kibibytes(before),
        kibibytes(after),
        kibibytes(after - before) / count as f64
    );
}
