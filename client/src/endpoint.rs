//! A UDP socket from which connections to one edge are made.

use crate::client::Client;
use crate::closed::Closed;
use crate::error::ConnectError;
use crate::raw::{Connection, Transport};
use crate::socket::{Socket, client_config};
use crate::target::{Options, Target, Way};
use crate::wallet::Wallet;
use std::io;
use std::net::SocketAddr;
use wtransport::endpoint::ConnectOptions;
use wtransport::error::ConnectingError;

/// One UDP socket, one edge, one way in. Many connections can share it; clones are the same socket.
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
        let alpn: &[u8] = match target.way {
            Way::WebTransport => wtransport::tls::WEBTRANSPORT_ALPN,
            Way::Quic => b"atoll/1",
        };
        let config = client_config(options, alpn).map_err(ConnectError::Setup)?;
        let socket = Socket::open(target.way, address, config);
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
        self.socket.close().await;
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

impl Client {
    /// Connects on a socket of its own and logs in as `wallet`. [`Endpoint`] shares a socket between clients.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect(target: &Target, wallet: &Wallet, options: &Options) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::open(target, options).await?;
        let client = endpoint.connect(wallet).await?;
        Ok(client.with_own_socket(endpoint.socket))
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
