//! The WebSocket that carries signals.

use crate::websocket::Closed;
use crate::within;
use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{JoinResponse, LeaveRequest, SessionDescription, SignalRequest, SignalResponse};
use prost::Message as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A WebSocket of LiveKit's signals, and nothing beside it.
pub struct Line(WebSocketStream<TcpStream>);

/// The path of a client with two connections, which speaks protocol 15.
pub fn path(token: &str) -> String {
    format!("/rtc?access_token={token}&auto_subscribe=1&sdk=rust&version=0.7.0&protocol=15")
}

/// The path of such a client that comes back.
pub fn path_back(token: &str, sid: &str) -> String {
    format!("{}&reconnect=1&sid={sid}", path(token))
}

impl Line {
    /// Opens one at `path` of `http`, an `http://` URL.
    ///
    /// # Errors
    /// When nobody answers, or with something else than a WebSocket: see [`status_of`].
    pub async fn open(http: &str, path: &str) -> anyhow::Result<Self> {
        Self::open_small(http, path, None).await
    }

    /// The same, whose system keeps at most about `unread` bytes that were not read.
    ///
    /// # Errors
    /// As [`Line::open`].
    pub async fn open_small(http: &str, path: &str, unread: Option<u32>) -> anyhow::Result<Self> {
        let authority = http.strip_prefix("http://").context("an http URL")?;
        let socket = TcpSocket::new_v4()?;
        if let Some(unread) = unread {
            socket.set_recv_buffer_size(unread)?;
        }
        let stream = socket.connect(authority.parse()?).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = client_async(format!("ws://{authority}{path}"), stream).await?;
        Ok(Self(socket))
    }

    /// Opens one and waits for the first message.
    ///
    /// # Panics
    /// When there is none, or another than a welcome.
    pub async fn join(http: &str, token: &str) -> (Self, JoinResponse) {
        let mut line = Self::open(http, &path(token)).await.expect("a socket");
        match line.next().await.expect("a welcome") {
            Response::Join(join) => (line, join),
            other => panic!("a welcome is due: {other:?}"),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn send(&mut self, request: Request) -> anyhow::Result<()> {
        self.send_raw(Message::Binary(SignalRequest { message: Some(request) }.encode_to_vec().into())).await
    }

    /// Sends an offer.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn offer(&mut self, sdp: &str) -> anyhow::Result<()> {
        self.send(Request::Offer(description("offer", sdp.to_owned(), 0))).await
    }

    /// Sends anything.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn send_raw(&mut self, message: Message) -> anyhow::Result<()> {
        Ok(self.0.send(message).await?)
    }

    /// The next message, however long it takes. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn read(&mut self) -> Result<Response, Closed> {
        loop {
            let (code, reason) = match self.0.next().await {
                Some(Ok(Message::Binary(message))) => match SignalResponse::decode(message) {
                    Ok(SignalResponse { message: Some(message) }) => return Ok(message),
                    _ => continue,
                },
                Some(Ok(Message::Close(Some(close)))) => (Some(close.code.into()), close.reason.to_string()),
                Some(Ok(Message::Close(None))) | None => (None, String::new()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => (None, error.to_string()),
            };
            return Err(Closed { code, reason });
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// [`Closed`].
    ///
    /// # Panics
    /// When it takes too long.
    pub async fn next(&mut self) -> Result<Response, Closed> {
        within("a signal", self.read()).await
    }

    /// The first message that `pick` picks.
    ///
    /// # Panics
    /// When the socket ends before.
    pub async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(Response) -> Option<T>) -> T {
        within(what, async {
            loop {
                let message = self.read().await.unwrap_or_else(|closed| panic!("{what}: {closed:?}"));
                if let Some(picked) = pick(message) {
                    return picked;
                }
            }
        })
        .await
    }

    /// The words of farewell, whatever comes before.
    ///
    /// # Panics
    /// When there are none.
    pub async fn leave(&mut self) -> LeaveRequest {
        let is_leave = |message| if let Response::Leave(leave) = message { Some(leave) } else { None };
        self.until("a Leave", is_leave).await
    }
}

/// The status code of an answer that is no WebSocket.
pub fn status_of(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref()? {
        tokio_tungstenite::tungstenite::Error::Http(response) => Some(response.status().as_u16()),
        _ => None,
    }
}

/// A session description as signals have it.
pub(super) fn description(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: kind.to_owned(), sdp, id, ..Default::default() }
}
