//! Logins: what one costs the server, and which part of that is the handshake, CONNECT and the login itself.

use atoll_bench::load::{Way, connect, edge_of, login, sockets};
use atoll_bench::process::{Server, own_cpu};
use clap::Args;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[derive(Args)]
pub(super) struct Arguments {
    /// How many of each kind
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// Only this kind, for a profiler: `QUIC handshake`, …, `WebTransport, login`
    #[arg(long)]
    only: Option<String>,
    /// How many at a time
    #[arg(long, default_value_t = 32)]
    at_a_time: usize,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let arguments = self;
        println!("## Logins\n");
        println!(
            "{} of each, {} at a time, no TLS resumption; closed by the client as soon as they stand, which is counted in.\n",
            arguments.count, arguments.at_a_time
        );
        println!("| what | server CPU each | per CPU-second | a second | server CPU | load CPU |");
        println!("|---|--:|--:|--:|--:|--:|");
        let mut each = Vec::new();
        for (name, way, with_login) in KINDS {
            if arguments.only.as_ref().is_none_or(|only| only == name) {
                each.push(measure(name, &arguments, way, with_login).await?);
            }
        }
        let [handshake, connect, _, whole] = each[..] else { return Ok(()) };
        let share = |part: f64| part / whole * 100.0;
        println!(
            "\nOf a WebTransport login: {:.0} % handshake, {:.0} % CONNECT, {:.0} % challenge, two signatures, session.\n",
            share(handshake),
            share(connect - handshake),
            share(whole - connect)
        );
        Ok(())
    }
}

/// What is measured, by which way, and whether it logs in.
const KINDS: [(&str, Way, bool); 4] = [
    ("QUIC handshake", Way::Quic, false),
    ("QUIC handshake, CONNECT", Way::WebTransport, false),
    ("raw QUIC, login", Way::Quic, true),
    ("WebTransport, login", Way::WebTransport, true),
];

/// Milliseconds of the server's processor time for each.
async fn measure(name: &str, arguments: &Arguments, way: Way, with_login: bool) -> anyhow::Result<f64> {
    let server = Server::edge(atoll_bench::process::UNLIMITED)?;
    let (edge, sockets) = (edge_of(&server)?, sockets()?);
    let permits = Arc::new(Semaphore::new(arguments.at_a_time));
    let (cpu, own, started) = (server.cpu()?, own_cpu()?, Instant::now());
    let mut tasks = JoinSet::new();
    for index in 0..arguments.count {
        let (socket, permits) = (sockets[index % sockets.len()].clone(), permits.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            let connected = connect(&socket, edge, way).await?;
            let control = if with_login { Some(login(&connected, index).await?) } else { None };
            connected.close();
            drop(control);
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let time = started.elapsed();
    // What it still does for those that have left.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (cpu, own) = (server.cpu()? - cpu, own_cpu()? - own);
    let each = cpu.as_secs_f64() / arguments.count as f64;
    println!(
        "| {name} | {:.2} ms | {:.0} | {:.0} | {:.0} % | {:.0} % |",
        each * 1e3,
        1.0 / each,
        arguments.count as f64 / time.as_secs_f64(),
        cpu.as_secs_f64() / time.as_secs_f64() * 100.0,
        own.as_secs_f64() / time.as_secs_f64() * 100.0,
    );
    Ok(each * 1e3)
}
