//! The servers to compare with, each in a process of its own.

use atoll_bench::{PlainRoom, gso};
use clap::Args;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[derive(Args)]
pub(super) struct PlainRoomArguments {
    /// Milliseconds between two relays; 0 relays on arrival
    tick: u64,
}

#[derive(Args)]
pub(super) struct GsoSenderArguments {
    /// Bytes for each receiver and tick
    bytes: usize,
    /// Milliseconds between two sends
    tick: u64,
    /// Where to
    receivers: Vec<SocketAddr>,
}

impl PlainRoomArguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", serde_json::json!({"address": listener.local_addr()?.to_string()}));
        Arc::<PlainRoom>::default().serve(listener, Duration::from_millis(self.tick)).await;
        Ok(())
    }
}

impl GsoSenderArguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        println!("{{}}");
        gso::send(&self.receivers, self.bytes, Duration::from_millis(self.tick)).await
    }
}
