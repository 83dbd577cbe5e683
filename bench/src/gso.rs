//! The bare minimum: the bytes of a fan-out as plain UDP, each receiver's share of a tick in one segmented send.

use anyhow::ensure;
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// The size of a packet: a chunk of 1,150 bytes and what QUIC and WebTransport add.
const SEGMENT: usize = 1_180;

/// Most bytes of one segmented send: 54 segments, below UDP's 65,507.
const MOST: usize = 54 * SEGMENT;

/// Sends `bytes` to each of `receivers` each `tick`, for ever.
///
/// # Errors
/// When a send fails for another reason than a full buffer.
pub async fn send(receivers: &[SocketAddr], bytes: usize, tick: Duration) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    ensure!(state.max_gso_segments() >= MOST / SEGMENT, "the system segments sends (UDP_SEGMENT)");
    let contents = vec![7; bytes.min(MOST)];
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        for destination in receivers {
            let mut left = bytes;
            while left > 0 {
                let contents = &contents[..left.min(MOST)];
                let segment_size = Some(SEGMENT).filter(|segment| contents.len() > *segment);
                let transmit = Transmit { destination: *destination, ecn: None, contents, segment_size, src_ip: None };
                match socket.try_io(Interest::WRITABLE, || state.try_send(UdpSockRef::from(&socket), &transmit)) {
                    Ok(()) => left -= contents.len(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// Sockets that take such sends and count their bytes. Dropping it closes them.
#[derive(Debug)]
pub struct Receivers {
    addresses: Vec<SocketAddr>,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Receivers {
    /// Opens `count` sockets.
    ///
    /// # Errors
    /// When one cannot be had.
    pub async fn open(count: usize) -> anyhow::Result<Self> {
        let (bytes, mut tasks, mut addresses) = (Arc::new(AtomicU64::new(0)), JoinSet::new(), Vec::new());
        for _ in 0..count {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
            state.set_recv_buffer_size(UdpSockRef::from(&socket), 4 << 20)?;
            addresses.push(socket.local_addr()?);
            tasks.spawn(count_bytes(socket, state, bytes.clone()));
        }
        Ok(Self { addresses, bytes, _tasks: tasks })
    }

    /// Where they are.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many bytes they took.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

async fn count_bytes(socket: UdpSocket, state: UdpSocketState, bytes: Arc<AtomicU64>) {
    let mut buffer = vec![0; 65_536];
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        let mut metas = [RecvMeta::default()];
        let received = socket.try_io(Interest::READABLE, || {
            state.recv(UdpSockRef::from(&socket), &mut [IoSliceMut::new(&mut buffer)], &mut metas)
        });
        if received.is_ok() {
            bytes.fetch_add(metas[0].len as u64, Relaxed);
        }
    }
}
