//! The UDP socket and the QUIC configuration.

use super::ALPN;
use super::accept::{Acceptor, accept};
use super::counters::{Counters, QuicStatus};
use super::door::Door;
use super::link::DATAGRAM_SEND_BUFFER;
use atoll_core::region::Region;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
    #[error("cannot listen on udp {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate and its key do not fit TLS.
    #[error("the certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// The TLS configuration does not fit QUIC.
    #[error("no cipher suite for QUIC's first packets: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// The native door, open.
pub struct QuicDoor {
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    acceptor: Acceptor,
    counters: Arc<Counters>,
}

impl QuicDoor {
    /// Opens the door at `address` and serves `region` through it, on the current tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn open(
        address: SocketAddr,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        region: Region,
    ) -> Result<Self, EndpointError> {
        let config = server_config(chain, key)?;
        let bind = |source| EndpointError::Bind { address, source };
        let socket = udp_socket(address).map_err(bind)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, runtime);
        let endpoint = endpoint.map_err(bind)?;
        let address = endpoint.local_addr().map_err(bind)?;
        let counters = Arc::new(Counters::default());
        let acceptor = accept(endpoint.clone(), Door { region, counters: Arc::clone(&counters) });
        Ok(Self { endpoint, address, acceptor, counters })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it holds and has done.
    pub fn status(&self) -> QuicStatus {
        self.counters.status()
    }

    /// A handle that reads the status.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Stops accepting, tells every session, and waits for their ends to be sent, at most `patience`.
    pub async fn close(self, patience: Duration) {
        self.endpoint.set_server_config(None);
        let ended = tokio::time::timeout(patience, async {
            self.acceptor.end().await;
            self.endpoint.wait_idle().await;
        });
        if ended.await.is_err() {
            tracing::warn!("connections left after {patience:?} were dropped");
        }
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<quinn::ServerConfig, EndpointError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h3".to_vec(), ALPN.to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport_config()));
    // First packets of handshakes nobody has taken up yet; the defaults (65,536 and 100 MB) are a flood's friend.
    config.max_incoming(1024).incoming_buffer_size_total(4 << 20);
    Ok(config)
}

fn transport_config() -> quinn::TransportConfig {
    let mut config = quinn::TransportConfig::default();
    config
        .max_idle_timeout(IDLE_TIMEOUT.try_into().ok())
        .keep_alive_interval(Some(IDLE_TIMEOUT / 3))
        // HTTP/3 takes one bidirectional and three unidirectional streams for itself, `atoll/1` one bidirectional.
        .max_concurrent_bidi_streams(2_u32.into())
        .max_concurrent_uni_streams(8_u32.into())
        .stream_receive_window((128_u32 * 1024).into())
        .receive_window((512_u32 * 1024).into())
        .send_window(1 << 20)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER);
    config
}

fn udp_socket(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // What the system does not grant is no reason to stay closed, but one to say so.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    let granted = socket.recv_buffer_size()?.min(socket.send_buffer_size()?);
    if granted < SOCKET_BUFFER {
        tracing::warn!(
            "the system grants UDP buffers of {granted} bytes instead of {SOCKET_BUFFER}: raise net.core.rmem_max and \
             net.core.wmem_max, or expect losses under load"
        );
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
