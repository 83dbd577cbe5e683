//! What connections are made from: UDP sockets under the two QUIC stacks (wtransport's and our own), or TCP.

use crate::closed::http3_code;
use crate::error::ConnectError;
use crate::options::Options;
use crate::raw::websocket::WebSocketDoor;
use crate::target::{Target, Way};
use crate::tls::quic_client;
use quinn::{ClientConfig, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use wtransport::endpoint::endpoint_side;

/// Bytes of datagrams that may wait to be sent: a few updates. More would only make them older.
const DATAGRAM_SEND_BUFFER: usize = 16 * 1024;

/// Bytes of datagrams that may wait to be read: some ticks of a large island.
const DATAGRAM_RECEIVE_BUFFER: usize = 512 * 1024;

/// Streams the edge may have open: HTTP/3 needs three, the ordered messages one, the rest are for large ones.
const STREAMS_OF_THE_EDGE: u32 = 12;

/// Bytes of streams that may wait to be read: some large messages.
const STREAM_RECEIVE_BUFFER: u32 = 4 * 1024 * 1024;

/// A UDP socket under one of the two QUIC stacks, or what WebSockets are opened from; clones are the same.
#[derive(Clone)]
pub(crate) enum Socket {
    WebTransport(Arc<wtransport::Endpoint<endpoint_side::Client>>),
    Quic(quinn::Endpoint),
    Tcp(WebSocketDoor),
}

impl Socket {
    /// A socket for reaching `remote`, to which `target` leads.
    ///
    /// # Errors
    /// [`ConnectError::Socket`] or [`ConnectError::Setup`].
    pub(crate) fn open(target: &Target, remote: SocketAddr, options: &Options) -> Result<Self, ConnectError> {
        let local = SocketAddr::new(any_address(remote), 0);
        let config = |alpn| client_config(options, alpn).map_err(ConnectError::Setup);
        match target.way {
            Way::WebTransport => webtransport_socket(local, remote, config(wtransport::tls::WEBTRANSPORT_ALPN)?),
            Way::Quic => quic_socket(local, config(b"atoll/1")?),
            Way::WebSocket => {
                return WebSocketDoor::new(target, options).map(Self::Tcp).map_err(ConnectError::Setup);
            }
        }
        .map_err(ConnectError::Socket)
    }

    /// Closes every connection of this socket by code 0, and waits until the edge had a chance to hear it.
    pub(crate) async fn close(&self) {
        match self {
            Self::WebTransport(endpoint) => {
                let code = wtransport::VarInt::try_from_u64(http3_code(0)).unwrap_or_default();
                endpoint.close(code, b"");
                endpoint.wait_idle().await;
            }
            Self::Quic(endpoint) => {
                endpoint.close(VarInt::from_u32(0), b"");
                endpoint.wait_idle().await;
            }
            Self::Tcp(door) => door.close().await,
        }
    }
}

/// What both stacks are configured with, or why that cannot be.
fn client_config(options: &Options, alpn: &[u8]) -> Result<ClientConfig, String> {
    let idle = options.idle_timeout.try_into().map_err(|_| "the idle timeout is too long")?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(options.idle_timeout / 3))
        .receive_window(STREAM_RECEIVE_BUFFER.into())
        .max_concurrent_uni_streams(STREAMS_OF_THE_EDGE.into())
        .max_concurrent_bidi_streams(0_u32.into())
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER));
    let mut config = ClientConfig::new(Arc::new(quic_client(&options.trust, alpn)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = match self {
            Self::WebTransport(endpoint) => endpoint.local_addr().ok(),
            Self::Quic(endpoint) => endpoint.local_addr().ok(),
            Self::Tcp(_) => None,
        };
        f.debug_tuple("Socket").field(&local).finish()
    }
}

/// The address to bind for reaching `remote`: any of the same family.
fn any_address(remote: SocketAddr) -> IpAddr {
    match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
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
