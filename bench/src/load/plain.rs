//! Load for the plain room: WebSocket clients by hand, which count frames and unmask nothing.

use super::sample::{self, Counts, Sample};
use crate::plain::entries_of_others;
use crate::process::Server;
use anyhow::ensure;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

/// WebSocket clients of the plain room.
#[derive(Debug)]
pub struct PlainLoad {
    counters: Arc<Counters>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    delivered: AtomicU64,
    peers: u64,
}

impl PlainLoad {
    /// Connects `peers` clients, which send `rate` updates of `payload` bytes a second.
    /// Payloads are of 4 to 125 bytes.
    ///
    /// # Errors
    /// When the room does not take them.
    pub async fn start(server: &Server, peers: usize, rate: f64, payload: usize) -> anyhow::Result<Self> {
        ensure!((4..=125).contains(&payload), "a payload of 4 to 125 bytes");
        let counters = Arc::new(Counters { peers: peers as u64, ..Counters::default() });
        let mut tasks = JoinSet::new();
        for index in 0..peers {
            let (read, write) = connect(server.ready("address")?).await?;
            tasks.spawn(hear(read, index as u32, counters.clone()));
            let period = Duration::from_secs_f64(1.0 / rate);
            let phase = period.mul_f64((index as f64 * 0.618_034).fract());
            let mut payload = vec![7; payload];
            payload[..4].copy_from_slice(&(index as u32).to_be_bytes());
            tasks.spawn(speak(write, Instant::now() + phase, period, payload, counters.clone()));
        }
        Ok(Self { counters, _tasks: tasks })
    }

    /// Counts for a time what goes and what comes, and what that costs the server and this process.
    ///
    /// # Errors
    /// When the server has ended.
    pub async fn measure(&self, server: &Server, time: Duration) -> anyhow::Result<Sample> {
        sample::measure(server, time, || self.counters.counts()).await
    }
}

impl Counters {
    fn counts(&self) -> Counts {
        let sent = self.sent.load(Relaxed);
        Counts { sent, offered: sent * (self.peers - 1), delivered: self.delivered.load(Relaxed) }
    }
}

async fn connect(address: &str) -> anyhow::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 1024, "a short answer");
        head.push(stream.read_u8().await?);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "the upgrade is taken");
    Ok(stream.into_split())
}

async fn speak(
    mut stream: OwnedWriteHalf,
    start: Instant,
    period: Duration,
    payload: Vec<u8>,
    counters: Arc<Counters>,
) {
    // A masked binary frame; the mask is zero, which costs the server the same.
    let mut frame = vec![0x82, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(&payload);
    let mut updates = interval_at(start, period);
    loop {
        updates.tick().await;
        if stream.write_all(&frame).await.is_err() {
            return;
        }
        counters.sent.fetch_add(1, Relaxed);
    }
}

async fn hear(mut stream: OwnedReadHalf, own: u32, counters: Arc<Counters>) {
    let mut buffer = Vec::with_capacity(256 * 1024);
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let mut rest = &buffer[..];
        let mut delivered = 0;
        while let Some((payload, after)) = split_frame(rest) {
            delivered += entries_of_others(payload, own);
            rest = after;
        }
        counters.delivered.fetch_add(delivered, Relaxed);
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
    }
}

/// The first frame's payload and what follows; `None` when it is not whole.
pub(super) fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, usize::from(short)),
    };
    let end = header + length;
    (bytes.len() >= end).then(|| (&bytes[header..end], &bytes[end..]))
}
