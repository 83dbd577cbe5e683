//! A plain WebSocket, as a client of the doors for existing kernels has it, and as one that means ill may.

use crate::within;
use anyhow::Context;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A WebSocket of binary messages.
pub struct WebSocket(WebSocketStream<TcpStream>);

/// How a WebSocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code of the close; none when the connection broke.
    pub code: Option<u16>,
    /// Its words.
    pub reason: String,
}

/// Where a WebSocket comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The address of its own side.
    pub from: IpAddr,
    /// Bytes that its system keeps for it unread; its usual figure when `None`.
    pub unread: Option<u32>,
}

impl Default for Origin {
    fn default() -> Self {
        Self { from: Ipv4Addr::LOCALHOST.into(), unread: None }
    }
}

impl WebSocket {
    /// Opens one at `path` of `http`, an `http://` URL, and offers `subprotocol`.
    ///
    /// # Errors
    /// When nobody answers, or with something else than a WebSocket.
    pub async fn open(http: &str, path: &str, subprotocol: &str, origin: Origin) -> anyhow::Result<Self> {
        let authority = http.strip_prefix("http://").context("an http URL")?;
        let socket = TcpSocket::new_v4()?;
        if let Some(unread) = origin.unread {
            socket.set_recv_buffer_size(unread)?;
        }
        socket.bind(SocketAddr::new(origin.from, 0))?;
        let stream = socket.connect(authority.parse()?).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{authority}{path}").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(subprotocol)?);
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self(socket))
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn send(&mut self, message: impl Into<Bytes>) -> anyhow::Result<()> {
        Ok(self.0.send(Message::Binary(message.into())).await?)
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn send_text(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// Sends bytes below WebSocket.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.0.get_mut().write_all(bytes).await?)
    }

    /// The next binary message.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn next(&mut self) -> Result<Bytes, Closed> {
        loop {
            let (code, reason) = match self.0.next().await {
                Some(Ok(Message::Binary(message))) => return Ok(message),
                Some(Ok(Message::Close(Some(close)))) => (Some(close.code.into()), close.reason.to_string()),
                Some(Ok(Message::Close(None))) | None => (None, String::new()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => (None, error.to_string()),
            };
            return Err(Closed { code, reason });
        }
    }

    /// The code that it is closed with, whatever comes before.
    ///
    /// # Panics
    /// When it is not closed in time, or breaks.
    pub async fn close_code(&mut self) -> u16 {
        let closed = within("the close", async {
            loop {
                if let Err(closed) = self.next().await {
                    return closed;
                }
            }
        });
        let closed = closed.await;
        closed.code.unwrap_or_else(|| panic!("a close with a code: {closed:?}"))
    }
}
