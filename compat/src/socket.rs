//! A WebSocket of binary messages that is pinged, and ends with the edge.

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// Time between pings; a client that has answered none by the next one has gone. The originals' figure.
const PING: Duration = Duration::from_secs(30);

/// How long one message may take to write. Messages are written one at a time, so this is also how long a client may
/// not read.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a last message may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Longest reason of a close, in bytes.
const MAX_REASON: usize = 123;

/// Why a connection ended. The originals close without a code, and their clients look at none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// It closed, or was lost.
    #[error("the client left")]
    Left,
    #[error("the client did not answer a ping")]
    Silent,
    #[error("the client does not read")]
    Clogged,
    #[error("a text message")]
    Text,
    /// What no client sends.
    #[error("{0}")]
    Violation(String),
    #[error("no login in time")]
    LoginTimeout,
    #[error("the auth chain was refused")]
    Refused,
    #[error("the address logged in elsewhere")]
    Replaced,
    #[error("others need the place")]
    Evicted,
    #[error("the edge ends")]
    Ending,
}

/// The socket.
pub(crate) struct Socket {
    socket: WebSocket,
    ending: watch::Receiver<bool>,
    pings: Interval,
    answered: bool,
}

impl Socket {
    pub(crate) fn new(socket: WebSocket, ending: watch::Receiver<bool>) -> Self {
        let mut pings = interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, ending, pings, answered: true }
    }

    /// The next message. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, Ended> {
        loop {
            let message = tokio::select! {
                message = self.socket.next() => Some(message),
                _ = self.pings.tick() => None,
                _ = self.ending.wait_for(|ending| *ending) => return Err(Ended::Ending),
            };
            let Some(message) = message else {
                self.ping().await?;
                continue;
            };
            match message {
                Some(Ok(Message::Binary(message))) => return Ok(message),
                Some(Ok(Message::Text(_))) => return Err(Ended::Text),
                Some(Ok(Message::Pong(_))) => self.answered = true,
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Ended::Left),
            }
        }
    }

    /// Writes a message.
    pub(crate) async fn send(&mut self, message: Bytes) -> Result<(), Ended> {
        self.write(Message::Binary(message)).await
    }

    /// Ends it with a close, unless nobody would hear that.
    pub(crate) async fn close(mut self, ended: &Ended) {
        if matches!(ended, Ended::Silent | Ended::Clogged | Ended::Left) {
            return;
        }
        let mut reason = ended.to_string();
        let end = (0..=reason.len().min(MAX_REASON)).rev().find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or(0));
        let close = CloseFrame { code: ended.code(), reason: reason.into() };
        let _ = timeout(FAREWELL, async {
            self.socket.send(Message::Close(Some(close))).await?;
            // Closing with input unread would reset the connection, and the close could be lost.
            while self.socket.next().await.is_some_and(|message| message.is_ok()) {}
            Ok::<_, axum::Error>(())
        })
        .await;
    }

    async fn ping(&mut self) -> Result<(), Ended> {
        if !std::mem::take(&mut self.answered) {
            return Err(Ended::Silent);
        }
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Left),
            Err(_) => Err(Ended::Clogged),
        }
    }
}

impl Ended {
    /// The code of the WebSocket protocol that comes closest.
    const fn code(&self) -> u16 {
        match self {
            Self::Left | Self::Silent | Self::Clogged | Self::Replaced => 1000,
            Self::Ending => 1001,
            Self::Text => 1003,
            Self::Violation(_) => 1007,
            Self::LoginTimeout | Self::Refused => 1008,
            Self::Evicted => 1013,
        }
    }
}
