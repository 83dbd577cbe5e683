//! The UDP socket and the QUIC configuration.

use super::ALPN;
use super::accept::{Acceptor, accept};
use super::carrier::{
    BIDIRECTIONAL_STREAMS, DATAGRAM_SEND_BUFFER, LOGIN_WINDOW, STREAM_WINDOW, UNIDIRECTIONAL_STREAMS,
};
use super::connection_ids::ConnectionIds;
use crate::native::Door;
use aws_lc_rs::hmac;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::server::ResolvesServerCert;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is asked of the system for each direction of the socket that all clients share. 142,000 packets a second were
/// measured without a loss at this size, and losses at the usual 208 KiB.
const SOCKET_BUFFER: usize = 4 << 20;

/// Silence after which a connection counts as lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Datagrams of one connection that wait to be read; the oldest are dropped above.
const DATAGRAM_RECEIVE_BUFFER: usize = 64 * 1024;

/// Why the door did not open.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The UDP socket could not be had.
    #[error("cannot listen on udp {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be set up for QUIC")]
    Tls(#[from] rustls::Error),
    /// The system gave no random numbers.
    #[error("no random numbers for connection ids: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The TLS configuration does not fit QUIC.
    #[error("there is no cipher suite for QUIC's first packets")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// The UDP socket of the door, bound and not read yet.
pub(crate) struct QuicSocket {
    socket: std::net::UdpSocket,
    address: SocketAddr,
    buffers: UdpBuffers,
}

/// What the system granted for the socket, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpBuffers {
    /// Asked for in each direction.
    pub wanted: usize,
    /// For packets that arrive.
    pub receive: usize,
    /// For packets that leave.
    pub send: usize,
}

/// What a door shows of itself and is known by.
pub(crate) struct Identity {
    /// The certificate.
    pub(crate) certificate: Arc<dyn ResolvesServerCert>,
    /// Keys that are the same after a restart: clients of the former process then learn from the first answer that their
    /// connection is gone, instead of waiting for the idle timeout.
    pub(crate) keys: ConnectionKeys,
    /// Whether the system may cut several packets out of one buffer.
    pub(crate) gso: bool,
}

/// The key of the tokens for stateless resets, and that of the connection ids.
pub(crate) type ConnectionKeys = [u8; 72];

impl UdpBuffers {
    /// What to say when less was granted than asked for.
    pub(crate) fn warning(&self) -> Option<String> {
        let granted = self.receive.min(self.send);
        (granted < self.wanted).then(|| {
            format!(
                "the system grants UDP buffers of {granted} bytes instead of {}: raise net.core.rmem_max and \
                 net.core.wmem_max, or expect losses under load",
                self.wanted
            )
        })
    }
}

impl QuicSocket {
    /// Takes the port at `address`.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, EndpointError> {
        let failed = |source| EndpointError::Bind { address, source };
        let (socket, buffers) = udp_socket(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, buffers })
    }

    /// Where it is bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the system granted.
    pub(crate) fn buffers(&self) -> UdpBuffers {
        self.buffers
    }
}

/// The native doors on UDP, open.
pub struct QuicDoor {
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    acceptor: Acceptor,
}

impl QuicDoor {
    /// Opens the door at `socket` and serves what comes as `door` does, on the current tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub(crate) fn open(socket: QuicSocket, identity: Identity, door: Door) -> Result<Self, EndpointError> {
        let config = server_config(identity.certificate, identity.gso)?;
        let QuicSocket { socket, address, .. } = socket;
        let bind = |source| EndpointError::Bind { address, source };
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(endpoint_config(&identity.keys)?, Some(config), socket, runtime);
        let endpoint = endpoint.map_err(bind)?;
        let acceptor = accept(endpoint.clone(), door);
        Ok(Self { endpoint, address, acceptor })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses newcomers from now on.
    pub fn drain(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Waits until the ends of all connections are sent, at most `patience`. They end by [`Door::close`].
    pub async fn close(self, patience: Duration) {
        self.drain();
        let ended = tokio::time::timeout(patience, async {
            self.acceptor.ended().await;
            self.endpoint.wait_idle().await;
        });
        if ended.await.is_err() {
            tracing::warn!("connections left after {patience:?} were dropped");
        }
    }
}

fn endpoint_config(keys: &ConnectionKeys) -> Result<quinn::EndpointConfig, EndpointError> {
    let mut start = [0; 16];
    getrandom::fill(&mut start)?;
    let (reset, ids) = keys.split_at(64);
    let mut config = quinn::EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset)));
    let ids: Vec<u8> = ids.to_vec();
    config.cid_generator(move || Box::new(ConnectionIds::new(&ids, start)));
    Ok(config)
}

fn server_config(certificate: Arc<dyn ResolvesServerCert>, gso: bool) -> Result<quinn::ServerConfig, EndpointError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    tls.alpn_protocols = vec![b"h3".to_vec(), ALPN.to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport_config(gso)));
    // First packets of handshakes nobody has taken up yet; the defaults (65,536 and 100 MB) are a flood's friend.
    config.max_incoming(1024).incoming_buffer_size_total(4 << 20);
    Ok(config)
}

fn transport_config(gso: bool) -> quinn::TransportConfig {
    let mut config = quinn::TransportConfig::default();
    config
        .max_idle_timeout(IDLE_TIMEOUT.try_into().ok())
        .keep_alive_interval(Some(IDLE_TIMEOUT / 3))
        .max_concurrent_bidi_streams(BIDIRECTIONAL_STREAMS.into())
        .max_concurrent_uni_streams(UNIDIRECTIONAL_STREAMS.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(LOGIN_WINDOW.into())
        .send_window(1 << 20)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .enable_segmentation_offload(gso);
    config
}

fn udp_socket(address: SocketAddr) -> io::Result<(std::net::UdpSocket, UdpBuffers)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // What the system does not grant is no reason to stay closed, but one to say so.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    let (receive, send) = (socket.recv_buffer_size()?, socket.send_buffer_size()?);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok((socket.into(), UdpBuffers { wanted: SOCKET_BUFFER, receive, send }))
}
