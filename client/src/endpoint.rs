//! A UDP socket from which connections to one edge are made.

use crate::client::Client;
use crate::closed::{Closed, http3_code};
use crate::login::LoginError;
use crate::raw::{Connection, Transport};
use crate::target::{Options, Target, Way};
use crate::tls::quic_client;
use crate::wallet::Wallet;
use atoll_proto::close::CloseCode;
use quinn::{ClientConfig, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use wtransport::endpoint::{ConnectOptions, endpoint_side};
use wtransport::error::ConnectingError;

/// Bytes of datagrams that may wait to be sent: a few updates. More would only make them older.
const DATAGRAM_SEND_BUFFER: usize = 16 * 1024;

/// Bytes of datagrams that may wait to be read: some ticks of a large island.
const DATAGRAM_RECEIVE_BUFFER: usize = 512 * 1024;

/// Streams the edge may open: HTTP/3 needs three, the protocol none.
const STREAMS_OF_THE_EDGE: u32 = 8;

/// One UDP socket, one edge, one way in. Many connections can share it; clones are the same socket.
#[derive(Debug, Clone)]
pub struct Endpoint {
    target: Target,
    address: SocketAddr,
    options: Options,
    socket: Socket,
}

#[derive(Clone)]
enum Socket {
    WebTransport(Arc<wtransport::Endpoint<endpoint_side::Client>>),
    Quic(quinn::Endpoint),
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has no address.
    #[error("cannot resolve {host}: {error}")]
    Resolve {
        /// The host asked for.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No UDP socket could be opened.
    #[error("cannot open a UDP socket: {0}")]
    Socket(io::Error),
    /// The trusted roots or options cannot be used for TLS or QUIC.
    #[error("cannot set up the connection: {0}")]
    Setup(String),
    /// The edge refused the WebTransport session by its HTTP status.
    #[error("the WebTransport session was refused")]
    Refused,
    /// It took longer than [`Options::connect_timeout`].
    #[error("no session in time")]
    TimedOut,
    /// The connection ended, in its handshake or during login.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The edge did not follow the protocol during login.
    #[error(transparent)]
    Login(LoginError),
}

impl ConnectError {
    /// The close code the edge gave, if it gave one that this version knows.
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed(closed) => closed.code(),
            _ => None,
        }
    }

    /// A word for counting: the code's name, or the kind of failure.
    pub fn label(&self) -> String {
        match self {
            Self::Closed(closed) => closed.label(),
            Self::Resolve { .. } => "resolve".to_owned(),
            Self::Socket(_) => "socket".to_owned(),
            Self::Setup(_) => "setup".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::TimedOut => "connect_timeout".to_owned(),
            Self::Login(_) => "protocol".to_owned(),
        }
    }
}

impl Endpoint {
    /// Resolves the target's host, once, and opens a socket. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError::Resolve`], [`ConnectError::Socket`] or [`ConnectError::Setup`].
    pub async fn open(target: &Target, options: &Options) -> Result<Self, ConnectError> {
        let address = resolve(target).await?;
        let local = SocketAddr::new(any_address(address), 0);
        let alpn: &[u8] = match target.way {
            Way::WebTransport => wtransport::tls::WEBTRANSPORT_ALPN,
            Way::Quic => b"atoll/1",
        };
        let config = client_config(options, alpn).map_err(ConnectError::Setup)?;
        let socket = match target.way {
            Way::WebTransport => webtransport_socket(local, address, config),
            Way::Quic => quic_socket(local, config),
        };
        Ok(Self {
            target: target.clone(),
            address,
            options: options.clone(),
            socket: socket.map_err(ConnectError::Socket)?,
        })
    }

    /// Connects and logs in as `wallet`.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect(&self, wallet: &Wallet) -> Result<Client, ConnectError> {
        let attempt = async { self.connect_raw().await?.login(wallet, &self.options).await };
        let attempt = tokio::time::timeout(self.options.connect_timeout, attempt);
        attempt.await.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// Connects and opens the control stream, and says nothing on it.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect_raw(&self) -> Result<Connection, ConnectError> {
        let transport = match &self.socket {
            Socket::WebTransport(endpoint) => {
                let session = endpoint.connect(self.request()).await;
                Transport::webtransport(session.map_err(connect_error)?)
            }
            Socket::Quic(endpoint) => {
                let connecting = endpoint.connect(self.address, self.target.server_name());
                let connecting = connecting.map_err(|error| ConnectError::Setup(error.to_string()))?;
                Transport::raw_quic(connecting.await.map_err(Closed::from)?)
            }
        };
        Ok(Connection::open(transport).await?)
    }

    /// Closes every connection of this socket by code 0, and waits until the edge had a chance to hear it.
    pub async fn close(&self) {
        match &self.socket {
            Socket::WebTransport(endpoint) => {
                let code = wtransport::VarInt::try_from_u64(http3_code(0)).unwrap_or_default();
                endpoint.close(code, b"");
                endpoint.wait_idle().await;
            }
            Socket::Quic(endpoint) => {
                endpoint.close(VarInt::from_u32(0), b"");
                endpoint.wait_idle().await;
            }
        }
    }

    fn request(&self) -> ConnectOptions {
        let request = ConnectOptions::builder(&self.target.url);
        if self.options.subprotocols.is_empty() {
            return request.build();
        }
        let offered: Vec<_> = self.options.subprotocols.iter().map(|name| format!("{name:?}")).collect();
        request.add_header("wt-available-protocols", offered.join(", ")).build()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = match self {
            Self::WebTransport(endpoint) => endpoint.local_addr(),
            Self::Quic(endpoint) => endpoint.local_addr(),
        };
        f.debug_tuple("Socket").field(&local).finish()
    }
}

async fn resolve(target: &Target) -> Result<SocketAddr, ConnectError> {
    let host = target.server_name();
    let found = tokio::net::lookup_host((host, target.port())).await;
    let first = found.and_then(|mut found| found.next().ok_or(io::ErrorKind::NotFound.into()));
    first.map_err(|error| ConnectError::Resolve { host: host.to_owned(), error })
}

/// The address to bind for reaching `remote`: any of the same family.
fn any_address(remote: SocketAddr) -> IpAddr {
    match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn client_config(options: &Options, alpn: &[u8]) -> Result<ClientConfig, String> {
    let idle = options.idle_timeout.try_into().map_err(|_| "the idle timeout is too long")?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(options.idle_timeout / 3))
        .max_concurrent_uni_streams(STREAMS_OF_THE_EDGE.into())
        .max_concurrent_bidi_streams(0_u32.into())
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER));
    let mut config = ClientConfig::new(Arc::new(quic_client(&options.trust, alpn)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn webtransport_socket(local: SocketAddr, remote: SocketAddr, config: ClientConfig) -> io::Result<Socket> {
    let mut config = wtransport::ClientConfig::builder().with_bind_address(local).build_with_quic_config(config);
    config.set_dns_resolver(Resolved(remote));
    Ok(Socket::WebTransport(Arc::new(wtransport::Endpoint::client(config)?)))
}

fn quic_socket(local: SocketAddr, config: ClientConfig) -> io::Result<Socket> {
    let socket = UdpSocket::bind(local)?;
    let mut endpoint = quinn::Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))?;
    endpoint.set_default_client_config(config);
    Ok(Socket::Quic(endpoint))
}

/// Gives wtransport the address that was resolved before the socket was bound, so that the families agree.
#[derive(Debug)]
struct Resolved(SocketAddr);

impl wtransport::config::DnsResolver for Resolved {
    fn resolve(&self, _host: &str) -> Pin<Box<dyn wtransport::config::DnsLookupFuture>> {
        Box::pin(std::future::ready(Ok(Some(self.0))))
    }
}

fn connect_error(error: ConnectingError) -> ConnectError {
    match error {
        ConnectingError::ConnectionError(error) => ConnectError::Closed(error.into()),
        ConnectingError::SessionRejected => ConnectError::Refused,
        other => ConnectError::Setup(other.to_string()),
    }
}
