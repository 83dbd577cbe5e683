//! A UDP proxy on loopback: the network between a client and an edge, to be cut, moved and narrowed.
//!
//! Every client gets a socket of its own towards the edge, as behind a NAT, so that [`UdpProxy::rebind`] shows the edge
//! a new source port. Nothing is read or changed in the packets. The proxy runs in tasks of the caller's runtime, which
//! end with it.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Clients that may go through one proxy; packets of further ones are dropped.
const MAX_CLIENTS: usize = 256;

/// Packets on their way in one direction; further ones are dropped.
const MAX_PACKETS: usize = 16_384;

/// The largest UDP payload.
const MAX_PACKET: usize = 65_535;

/// A narrow road. One direction of all clients together goes over one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// UDP payload bytes that pass in a second.
    pub bytes_per_second: u64,
    /// How long each packet takes beside that, for its one way.
    pub delay: Duration,
    /// UDP payload bytes that may wait before the road; a packet that finds no room is dropped.
    pub queue: usize,
}

/// What a proxy has done with packets, both ways separately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets passed on to the edge.
    pub up: u64,
    /// Packets passed on to clients.
    pub down: u64,
    /// Packets dropped because the proxy was blocked.
    pub blocked: u64,
    /// Packets dropped because the queue of a [`Shape`], or the proxy, was full.
    pub overflowed: u64,
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Aborted on drop.
    _tasks: JoinSet<()>,
}

impl UdpProxy {
    /// Starts a proxy at a free loopback port, towards `edge`.
    ///
    /// # Errors
    /// When no socket can be had.
    pub async fn start(edge: SocketAddr) -> io::Result<Self> {
        let listening = Arc::new(socket().await?);
        let address = listening.local_addr()?;
        let (up, up_packets) = mpsc::channel(MAX_PACKETS);
        let (down, down_packets) = mpsc::channel(MAX_PACKETS);
        let shared = Arc::new(Shared {
            edge,
            listening,
            up: Direction::new(up),
            down: Direction::new(down),
            is_blocked: AtomicBool::new(false),
            blocked: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            clients: Mutex::new(Some(HashMap::new())),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(take_from_clients(shared.clone()));
        tasks.spawn(deliver(shared.clone(), up_packets, |shared| &shared.up));
        tasks.spawn(deliver(shared.clone(), down_packets, |shared| &shared.down));
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// Where clients find the edge now.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes in either direction, nor what was on its way.
    pub fn block(&self) {
        self.shared.is_blocked.store(true, Ordering::Relaxed);
    }

    /// Ends [`UdpProxy::block`].
    pub fn unblock(&self) {
        self.shared.is_blocked.store(false, Ordering::Relaxed);
    }

    /// Narrows both directions, each by a road of its own; `None` passes packets at once again.
    pub fn shape(&self, shape: Option<Shape>) {
        self.shared.up.set_shape(shape);
        self.shared.down.set_shape(shape);
    }

    /// Takes a new socket towards the edge for every client, as a NAT that forgot its mappings: the edge sees another
    /// source port with the next packet. What the edge still sends to the old one is lost.
    ///
    /// # Errors
    /// When no socket can be had; clients before that one have moved.
    pub async fn rebind(&self) -> io::Result<()> {
        for client in self.clients() {
            let fresh = Arc::new(socket().await?);
            self.shared.route(client, fresh);
        }
        Ok(())
    }

    /// The clients seen so far.
    pub fn clients(&self) -> Vec<SocketAddr> {
        self.shared.clients().iter().flatten().map(|(client, _)| *client).collect()
    }

    /// The source ports the edge sees, one for each client.
    pub fn ports(&self) -> Vec<u16> {
        let clients = self.shared.clients();
        let addresses = clients.iter().flatten().filter_map(|(_, route)| route.socket.local_addr().ok());
        addresses.map(|address| address.port()).collect()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let Shared { up, down, blocked, overflowed, .. } = &*self.shared;
        Counts {
            up: up.passed.load(Ordering::Relaxed),
            down: down.passed.load(Ordering::Relaxed),
            blocked: blocked.load(Ordering::Relaxed),
            overflowed: overflowed.load(Ordering::Relaxed),
        }
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        // The routes' tasks hold the proxy's state, and the state holds the routes.
        *self.shared.clients() = None;
    }
}

#[derive(Debug)]
struct Shared {
    edge: SocketAddr,
    listening: Arc<UdpSocket>,
    up: Direction,
    down: Direction,
    is_blocked: AtomicBool,
    blocked: AtomicU64,
    overflowed: AtomicU64,
    /// `None` once the proxy ended.
    clients: Mutex<Option<HashMap<SocketAddr, Route>>>,
}

/// A client's way to the edge.
#[derive(Debug)]
struct Route {
    socket: Arc<UdpSocket>,
    /// Takes what the edge answers; ends with the route.
    task: AbortHandle,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One direction: what is on its way, and the road it goes over.
#[derive(Debug)]
struct Direction {
    packets: mpsc::Sender<Packet>,
    road: Mutex<Option<Road>>,
    passed: AtomicU64,
}

#[derive(Debug)]
struct Packet {
    due: Instant,
    payload: Vec<u8>,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

impl Shared {
    fn clients(&self) -> MutexGuard<'_, Option<HashMap<SocketAddr, Route>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a client this socket, instead of an earlier one.
    fn route(self: &Arc<Self>, client: SocketAddr, socket: Arc<UdpSocket>) {
        let mut clients = self.clients();
        let Some(clients) = &mut *clients else { return };
        let task = tokio::spawn(take_from_edge(self.clone(), socket.clone(), client)).abort_handle();
        clients.insert(client, Route { socket, task });
    }

    /// Sends a packet on its way, or drops and counts it.
    fn pass(&self, direction: &Direction, payload: &[u8], socket: Arc<UdpSocket>, to: SocketAddr) {
        if self.is_blocked.load(Ordering::Relaxed) {
            self.blocked.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = Instant::now();
        let mut road = direction.road.lock().unwrap_or_else(PoisonError::into_inner);
        let due = road.as_mut().map_or(Some(now), |road| road.admit(now, payload.len()));
        let sent = due.is_some_and(|due| {
            let packet = Packet { due, payload: payload.to_vec(), socket, to };
            direction.packets.try_send(packet).is_ok()
        });
        if !sent {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Direction {
    fn new(packets: mpsc::Sender<Packet>) -> Self {
        Self { packets, road: Mutex::new(None), passed: AtomicU64::new(0) }
    }

    fn set_shape(&self, shape: Option<Shape>) {
        *self.road.lock().unwrap_or_else(PoisonError::into_inner) = shape.map(Road::new);
    }
}

/// A road and how long it is taken.
#[derive(Debug)]
struct Road {
    shape: Shape,
    /// When the last packet admitted has entered it.
    free_at: Option<Instant>,
}

impl Road {
    fn new(shape: Shape) -> Self {
        Self { shape, free_at: None }
    }

    /// When a packet that comes now arrives, or `None` when it finds no room.
    fn admit(&mut self, now: Instant, length: usize) -> Option<Instant> {
        let rate = self.shape.bytes_per_second.max(1) as f64;
        let free_at = self.free_at.map_or(now, |free_at| free_at.max(now));
        let waiting = (free_at - now).as_secs_f64() * rate;
        // A hair's breadth for what the clock's rounding adds.
        if waiting + length as f64 > self.shape.queue as f64 + 0.5 {
            return None;
        }
        let free_at = free_at + Duration::from_secs_f64(length as f64 / rate);
        self.free_at = Some(free_at);
        Some(free_at + self.shape.delay)
    }
}

async fn socket() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await
}

async fn take_from_clients(shared: Arc<Shared>) {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        // An error tells that an earlier packet did not arrive, which is nothing to a network.
        let Ok((length, client)) = shared.listening.recv_from(&mut buffer).await else { continue };
        let known =
            shared.clients().as_ref().and_then(|clients| clients.get(&client)).map(|route| route.socket.clone());
        let socket = match known {
            Some(socket) => socket,
            None => match new_client(&shared, client).await {
                Some(socket) => socket,
                None => {
                    shared.overflowed.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            },
        };
        shared.pass(&shared.up, &buffer[..length], socket, shared.edge);
    }
}

async fn new_client(shared: &Arc<Shared>, client: SocketAddr) -> Option<Arc<UdpSocket>> {
    if shared.clients().as_ref().is_none_or(|clients| clients.len() >= MAX_CLIENTS) {
        return None;
    }
    let socket = Arc::new(socket().await.ok()?);
    shared.route(client, socket.clone());
    Some(socket)
}

async fn take_from_edge(shared: Arc<Shared>, socket: Arc<UdpSocket>, client: SocketAddr) {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if from == shared.edge {
            shared.pass(&shared.down, &buffer[..length], shared.listening.clone(), client);
        }
    }
}

/// Hands packets over when they are due. A road that was changed does not let later packets overtake earlier ones.
async fn deliver(shared: Arc<Shared>, mut packets: mpsc::Receiver<Packet>, direction: fn(&Shared) -> &Direction) {
    while let Some(Packet { due, payload, socket, to }) = packets.recv().await {
        if due > Instant::now() {
            sleep_until(due).await;
        }
        if shared.is_blocked.load(Ordering::Relaxed) {
            shared.blocked.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if socket.send_to(&payload, to).await.is_ok() {
            direction(&shared).passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
