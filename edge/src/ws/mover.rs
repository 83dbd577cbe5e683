//! Between a WebSocket and the queues of a session. docs/protocol.md section 1 tells the channels.

use super::incoming::receive;
use crate::native::{Counters, Mover};
use atoll_proto::channel::{Channel, join};
use atoll_proto::close::CloseCode;
use axum::Error;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Time between two pings.
const PING: Duration = Duration::from_secs(5);

/// How long the client may take to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes written before the socket is asked whether it is behind.
const ROUND: usize = 16 * 1024;

/// WebSocket's own code for a close without a reason.
const NORMAL: u16 = 1000;

/// Longest reason of a close, in bytes.
const MAX_REASON: usize = 123;

/// Moves everything until the connection has ended, one way or another.
pub(super) async fn carry(socket: WebSocket, mover: Mover, counters: &Counters) {
    let (sink, stream) = socket.split();
    let Mover { control, ordered, datagrams, large, incoming, close } = mover;
    let mut closing = close.clone();
    let overdue = async {
        asked(&mut closing).await;
        tokio::time::sleep(2 * CLOSE_PATIENCE).await;
    };
    let moved = async {
        let mut receiving = pin!(receive(stream, incoming, counters));
        let mut received = false;
        let outgoing = Outgoing { sink, control, ordered, datagrams, large, close };
        let mut sending = pin!(outgoing.send());
        loop {
            tokio::select! {
                biased;
                () = &mut sending => break,
                () = &mut receiving, if !received => received = true,
            }
        }
        // Time to answer the close. Of a client that broke the rules nothing is read any more, which is for the TCP
        // connection to mend.
        if !received {
            let _ = timeout(CLOSE_PATIENCE, receiving).await;
        }
    };
    tokio::select! {
        () = moved => {}
        () = overdue => {}
    }
}

/// What goes to the client, by priority.
struct Outgoing {
    sink: SplitSink<WebSocket, Message>,
    control: mpsc::Receiver<Bytes>,
    ordered: mpsc::Receiver<Bytes>,
    datagrams: mpsc::Receiver<Bytes>,
    large: mpsc::Receiver<Bytes>,
    close: watch::Receiver<Option<(CloseCode, String)>>,
}

impl Outgoing {
    /// Returns when the close has been sent, or cannot be.
    async fn send(mut self) {
        let mut pings = interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                biased;
                Some(bytes) = self.control.recv() => binary(Channel::Control, &bytes),
                Some(bytes) = self.ordered.recv() => binary(Channel::Ordered, &bytes),
                Some(bytes) = self.datagrams.recv() => binary(Channel::Datagram, &bytes),
                Some(bytes) = self.large.recv() => binary(Channel::Large, &bytes),
                reason = asked(&mut self.close) => return self.farewell(reason).await,
                _ = pings.tick() => {
                    // A browser shows its page no pings; this is what the page sees of them.
                    if self.sink.feed(binary(Channel::Control, b"")).await.is_err() {
                        return;
                    }
                    Message::Ping(Bytes::new())
                }
            };
            if self.round(message).await.is_err() {
                return;
            }
        }
    }

    /// Writes a message, and what else is there. While the socket is behind, the queues fill: then those who fill them
    /// wait, or skip this client.
    async fn round(&mut self, first: Message) -> Result<(), Error> {
        let mut next = Some(first);
        let mut written = 0;
        while let Some(message) = next.take() {
            written += match &message {
                Message::Binary(bytes) => bytes.len(),
                _ => 0,
            };
            self.sink.feed(message).await?;
            if written < ROUND {
                next = self.waiting();
            }
        }
        self.sink.flush().await
    }

    /// What waits, except large messages: they take turns with the rest.
    fn waiting(&mut self) -> Option<Message> {
        if let Ok(bytes) = self.control.try_recv() {
            return Some(binary(Channel::Control, &bytes));
        }
        if let Ok(bytes) = self.ordered.try_recv() {
            return Some(binary(Channel::Ordered, &bytes));
        }
        self.datagrams.try_recv().ok().map(|bytes| binary(Channel::Datagram, &bytes))
    }

    async fn farewell(&mut self, reason: Option<(CloseCode, String)>) {
        let frame = reason.map(|(code, mut reason)| {
            let end = (0..=reason.len().min(MAX_REASON)).rev().find(|end| reason.is_char_boundary(*end));
            reason.truncate(end.unwrap_or(0));
            let code = if code == CloseCode::Closed { NORMAL } else { u16::try_from(code.code()).unwrap_or(NORMAL) };
            CloseFrame { code, reason: reason.into() }
        });
        // The client may be gone, which is what a close is for. One that closed first is owed the answer, which the
        // library has ready and sends with the next flush.
        let _ = self.sink.send(Message::Close(frame)).await;
        let _ = self.sink.flush().await;
    }
}

/// Waits for the close, and tells its code and reason; none when nobody is left to give one.
async fn asked(close: &mut watch::Receiver<Option<(CloseCode, String)>>) -> Option<(CloseCode, String)> {
    close.wait_for(Option::is_some).await.ok()?.clone()
}

fn binary(channel: Channel, bytes: &[u8]) -> Message {
    Message::Binary(join(channel, bytes))
}
