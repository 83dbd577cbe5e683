//! A socket from which connections to one edge are made.

use crate::closed::Closed;
use crate::error::ConnectError;
use crate::options::Options;
use crate::raw::{Connection, Transport, websocket};
use crate::socket::Socket;
use crate::target::Target;
use std::io;
use std::net::SocketAddr;
use wtransport::endpoint::ConnectOptions;
use wtransport::error::ConnectingError;

/// One edge, one way in, and the UDP socket that many connections share. WebSockets have a TCP connection each. Clones
/// are the same endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    target: Target,
    address: SocketAddr,
    options: Options,
    socket: Socket,
}

impl Endpoint {
    /// Resolves the target's host, once, and opens a socket. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError::Resolve`], [`ConnectError::Socket`] or [`ConnectError::Setup`].
    pub async fn open(target: &Target, options: &Options) -> Result<Self, ConnectError> {
        let address = resolve(target).await?;
        let socket = Socket::open(target, address, options)?;
        Ok(Self { target: target.clone(), address, options: options.clone(), socket })
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
            Socket::Tcp(door) => {
                Transport::websocket(websocket::connect(door, &self.target, self.address, &self.options).await?)
            }
        };
        Ok(Connection::open(transport).await?)
    }

    /// Closes every connection of this socket by code 0, and waits until the edge had a chance to hear it.
    pub async fn close(&self) {
        self.socket.close().await;
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
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

async fn resolve(target: &Target) -> Result<SocketAddr, ConnectError> {
    let host = target.server_name();
    let found = tokio::net::lookup_host((host, target.port())).await;
    let first = found.and_then(|mut found| found.next().ok_or(io::ErrorKind::NotFound.into()));
    first.map_err(|error| ConnectError::Resolve { host: host.to_owned(), error })
}

fn connect_error(error: ConnectingError) -> ConnectError {
    match error {
        ConnectingError::ConnectionError(error) => ConnectError::Closed(error.into()),
        ConnectingError::SessionRejected => ConnectError::Refused,
        other => ConnectError::Setup(other.to_string()),
    }
}
