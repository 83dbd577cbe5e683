//! Opening a WebSocket: TCP, TLS where the URL asks for it, and the upgrade.

use super::{WebSocket, pump};
use crate::error::ConnectError;
use crate::options::Options;
use crate::target::Target;
use crate::tls::client_tls;
use atoll_proto::channel::MAX_WEBSOCKET_MESSAGE;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Bytes read from TCP at once.
const READ_BUFFER: usize = 16 * 1024;

/// One edge's HTTP port, from which WebSockets are opened; clones are the same door.
#[derive(Clone)]
pub(crate) struct WebSocketDoor {
    tls: Option<TlsConnector>,
    leaving: watch::Sender<bool>,
}

impl WebSocketDoor {
    /// What is needed to reach `target`, or why that cannot be.
    pub(crate) fn new(target: &Target, options: &Options) -> Result<Self, String> {
        let tls = match target.url.scheme() {
            "ws" => None,
            _ => Some(TlsConnector::from(Arc::new(client_tls(&options.trust, b"http/1.1")?))),
        };
        Ok(Self { tls, leaving: watch::Sender::new(false) })
    }

    /// Closes every WebSocket opened from here by code 0, and waits until the edge had a chance to hear it.
    pub(crate) async fn close(&self) {
        self.leaving.send_replace(true);
        self.leaving.closed().await;
    }
}

/// Opens a WebSocket at `address`, which `target` leads to.
pub(crate) async fn connect(
    door: &WebSocketDoor,
    target: &Target,
    address: SocketAddr,
    options: &Options,
) -> Result<WebSocket, ConnectError> {
    let request = request(target, options)?;
    let leaving = door.leaving.subscribe();
    let tcp = TcpStream::connect(address).await.map_err(ConnectError::Socket)?;
    // Without it every datagram waits for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(ConnectError::Socket)?;
    let Some(tls) = &door.tls else {
        return upgrade(request, tcp, options.idle_timeout, leaving).await;
    };
    let name = ServerName::try_from(target.server_name().to_owned());
    let name = name.map_err(|error| ConnectError::Setup(error.to_string()))?;
    let encrypted = tls.connect(name, tcp).await.map_err(ConnectError::Socket)?;
    upgrade(request, encrypted, options.idle_timeout, leaving).await
}

fn request(target: &Target, options: &Options) -> Result<Request<()>, ConnectError> {
    let mut request = target.url.as_str().into_client_request().map_err(connect_error)?;
    if !options.subprotocols.is_empty() {
        let offered = HeaderValue::try_from(options.subprotocols.join(", "));
        let offered = offered.map_err(|error| ConnectError::Setup(error.to_string()))?;
        request.headers_mut().insert("sec-websocket-protocol", offered);
    }
    Ok(request)
}

async fn upgrade<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    request: Request<()>,
    stream: S,
    idle: Duration,
    leaving: watch::Receiver<bool>,
) -> Result<WebSocket, ConnectError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_WEBSOCKET_MESSAGE))
        .max_frame_size(Some(MAX_WEBSOCKET_MESSAGE));
    let (stream, _answer) = client_async_with_config(request, stream, Some(config)).await.map_err(connect_error)?;
    Ok(pump::start(stream, idle, leaving))
}

fn connect_error(error: Error) -> ConnectError {
    match error {
        Error::Io(error) => ConnectError::Socket(error),
        Error::Http(_) | Error::Protocol(_) => ConnectError::Refused,
        other => ConnectError::Setup(other.to_string()),
    }
}
