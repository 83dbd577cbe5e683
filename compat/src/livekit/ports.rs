//! The port of all media and data: UDP, and TCP for those whom UDP does not reach.

use super::ice_tcp::{self, Writers};
use super::routes::{Inbox, Routes};
use atoll_core::Counter;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use str0m::net::{Protocol, Transmit};
use tokio::io::Interest;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

/// Largest datagram that is read.
const DATAGRAM: usize = 2048;

/// Bytes that the system may keep of what has not been read yet: a tick's answers of hundreds of clients.
const BUFFER: usize = 4 << 20;

/// How many free UDP ports are tried for one whose number is free for TCP, too.
const TRIES: u32 = 32;

/// Where clients of this door send and receive everything but signals. Dropping it closes it.
#[derive(Debug)]
pub struct IcePorts {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

#[derive(Debug)]
pub(super) struct Shared {
    socket: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    public_ips: Vec<IpAddr>,
    outward: Vec<IpAddr>,
    has_tcp: bool,
    routes: Arc<Routes>,
    writers: Arc<Writers>,
    next: AtomicU64,
    /// Datagrams that were for nobody.
    unknown: Counter,
}

impl IcePorts {
    /// Listens at `listen`, and with `tcp` for TCP on the port of the same number. Clients are told `public_ips`; with none
    /// of them, the addresses this machine reaches the network by. Has to be called on a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(listen: SocketAddr, tcp: bool, public_ips: Vec<IpAddr>) -> io::Result<Self> {
        let (socket, listener) = bind_both(listen, tcp)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // A smaller buffer than this serves fewer clients as well.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), BUFFER);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), BUFFER);
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let listener = listener.map(TcpListener::from_std).transpose()?;
        let shared = Arc::new(Shared {
            socket: UdpSocket::from_std(socket)?,
            state,
            address,
            public_ips,
            outward: outward(),
            has_tcp: tcp,
            routes: Arc::default(),
            writers: Arc::default(),
            next: AtomicU64::new(0),
            unknown: Counter::default(),
        });
        let mut tasks = vec![tokio::spawn(read(Arc::clone(&shared))).abort_handle()];
        if let Some(listener) = listener {
            let (routes, writers) = (Arc::clone(&shared.routes), Arc::clone(&shared.writers));
            tasks.push(tokio::spawn(ice_tcp::accept(listener, routes, writers)).abort_handle());
        }
        Ok(Self { shared, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Datagrams so far that were for nobody.
    pub fn unknown(&self) -> u64 {
        self.shared.unknown.value()
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for IcePorts {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Shared {
    /// Opens a new participant's inbox.
    pub(super) fn inbox(&self) -> Inbox {
        self.routes.open(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The addresses to tell a client that came from `client`.
    pub(super) fn candidates(&self, client: IpAddr) -> Vec<SocketAddr> {
        let port = self.address.port();
        let bound = self.address.ip();
        let mut ips = match () {
            () if !self.public_ips.is_empty() => self.public_ips.clone(),
            () if !bound.is_unspecified() => vec![bound],
            () => {
                let is_v6 = bound.is_ipv6();
                self.outward.iter().copied().filter(|ip| is_v6 || ip.is_ipv4()).collect()
            }
        };
        if bound.is_unspecified() && (client.is_loopback() || ips.is_empty()) {
            ips.insert(0, if client.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() });
        }
        ips.dedup();
        ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    }

    /// Whether clients may come by TCP, too.
    pub(super) fn has_tcp(&self) -> bool {
        self.has_tcp
    }

    /// Sends one datagram, or drops it when the system takes no more: what matters is sent again by its protocol.
    pub(super) fn send(&self, transmit: &Transmit) {
        if transmit.proto != Protocol::Udp {
            return self.writers.send(transmit.destination, &transmit.contents);
        }
        let is_v6 = self.address.is_ipv6();
        let source = transmit.source.ip();
        let out = quinn_udp::Transmit {
            destination: if is_v6 { mapped(transmit.destination) } else { transmit.destination },
            ecn: None,
            contents: &transmit.contents,
            segment_size: None,
            // Behind a translation of addresses, the public one is not one of this machine's.
            src_ip: self.public_ips.is_empty().then(|| if is_v6 { mapped_ip(source) } else { source }),
        };
        let _ = self.socket.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(&self.socket), &out));
    }
}

/// Takes the UDP port, and the TCP port of its number. A free UDP port that the system picks may be somebody's TCP port: then
/// another one is asked for.
fn bind_both(listen: SocketAddr, tcp: bool) -> io::Result<(std::net::UdpSocket, Option<std::net::TcpListener>)> {
    let mut tries = if listen.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let socket = std::net::UdpSocket::bind(listen)?;
        if !tcp {
            return Ok((socket, None));
        }
        match std::net::TcpListener::bind(socket.local_addr()?) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                return Ok((socket, Some(listener)));
            }
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

async fn read(shared: Arc<Shared>) {
    let stride = DATAGRAM * shared.state.gro_segments();
    let mut storage = vec![0; stride * BATCH_SIZE];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    loop {
        if shared.socket.readable().await.is_err() {
            return;
        }
        let read = shared.socket.try_io(Interest::READABLE, || {
            let mut buffers: Vec<IoSliceMut<'_>> = storage.chunks_mut(stride).map(IoSliceMut::new).collect();
            shared.state.recv(UdpSockRef::from(&shared.socket), &mut buffers, &mut metas)
        });
        // An error may be news of one client's port, which is of no use.
        let Ok(count) = read else { continue };
        for (meta, buffer) in metas.iter().zip(storage.chunks(stride)).take(count) {
            let source = canonical(meta.addr);
            let destination = meta.dst_ip.map(|ip| ip.to_canonical());
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                if !shared.routes.deliver(Protocol::Udp, source, destination, datagram) {
                    shared.unknown.add(1);
                }
            }
        }
    }
}

/// The addresses by which this machine reaches the network, by asking the system for its routes; nothing is sent.
fn outward() -> Vec<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849): nobody's.
    let anywhere: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    ];
    let reached = |(from, to): (IpAddr, IpAddr)| {
        let socket = std::net::UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
    };
    anywhere.into_iter().filter_map(reached).collect()
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(mapped_ip(address.ip()), address.port())
}

fn mapped_ip(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
        IpAddr::V6(_) => ip,
    }
}
