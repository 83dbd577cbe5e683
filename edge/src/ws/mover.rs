//! Between a WebSocket and the queues of a session. docs/protocol.md section 1 tells the channels.

use crate::native::{ByteSource, End, IncomingStream, Lane, Mover, MoverIn};
use atoll_proto::channel::{Channel, join, split};
use atoll_proto::close::CloseCode;
use axum::Error;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Time between two pings.
const PING: Duration = Duration::from_secs(5);

/// Silence after which the connection counts as lost. Clients answer pings.
const SILENCE: Duration = Duration::from_secs(15);

/// How long the client may take to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes written before the socket is asked whether it is behind.
const ROUND: usize = 16 * 1024;

/// Pieces of a lane that wait for its reader. A full queue holds the whole socket up, as TCP does.
const PIECES: usize = 2;

/// WebSocket's own code for a close without a reason.
const NORMAL: u16 = 1000;

/// Longest reason of a close, in bytes.
const MAX_REASON: usize = 123;

/// Moves everything until the connection has ended, one way or another.
pub(super) async fn carry(socket: WebSocket, mover: Mover) {
    let (sink, stream) = socket.split();
    let Mover { control, ordered, datagrams, large, incoming, close } = mover;
    let mut closing = close.clone();
    let overdue = async {
        asked(&mut closing).await;
        tokio::time::sleep(2 * CLOSE_PATIENCE).await;
    };
    let moved = async {
        let mut receiving = pin!(receive(stream, incoming));
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
        // The close would be lost if what is still on its way met a closed socket.
        if !received {
            let _ = timeout(CLOSE_PATIENCE, receiving).await;
        }
    };
    tokio::select! {
        () = moved => {}
        () = overdue => {}
    }
}

/// Takes messages until the connection ends. A client that breaks the rules of the channels has its control stream ended,
/// which ends the session.
async fn receive(mut stream: SplitStream<WebSocket>, incoming: MoverIn) {
    let mut channels = Some(Channels { incoming, ordered: None, large: None });
    loop {
        // Only silence while somebody listens: a client that has to wait for its pace is not lost.
        let end = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(Message::Binary(message)))) => {
                if let Some(open) = &mut channels
                    && open.take(&message).await.is_err()
                {
                    channels = None;
                }
                continue;
            }
            Ok(Some(Ok(Message::Text(_)))) => {
                channels = None;
                continue;
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Close(_)))) => End::ByPeer,
            // The library refuses larger messages than it was told to take, and what is no WebSocket.
            Ok(Some(Err(error))) if !is_transport(&error) => {
                channels = None;
                continue;
            }
            Ok(Some(Err(_)) | None) | Err(_) => End::Lost,
        };
        if let Some(channels) = channels {
            channels.incoming.ended(end);
        }
        return;
    }
}

struct Channels {
    incoming: MoverIn,
    ordered: Option<mpsc::Sender<Bytes>>,
    large: Option<mpsc::Sender<Bytes>>,
}

/// The message belongs to no channel, or nobody reads the channel any more.
struct Refused;

impl Channels {
    async fn take(&mut self, message: &Bytes) -> Result<(), Refused> {
        let (channel, bytes) = split(message).map_err(|_| Refused)?;
        if bytes.is_empty() && channel != Channel::Datagram {
            return Ok(());
        }
        match channel {
            Channel::Control => self.incoming.control.send(bytes).await.map_err(|_| Refused),
            Channel::Ordered => lane(&mut self.ordered, Lane::Ordered, &self.incoming, bytes).await,
            Channel::Large => lane(&mut self.large, Lane::Large, &self.incoming, bytes).await,
            Channel::Datagram => {
                // Full: the session does not keep up, and later ones matter more than earlier ones only to it.
                let _ = self.incoming.datagrams.try_send(bytes);
                Ok(())
            }
        }
    }
}

/// Passes a piece on; the first one opens the stream.
async fn lane(
    queue: &mut Option<mpsc::Sender<Bytes>>,
    lane: Lane,
    incoming: &MoverIn,
    piece: Bytes,
) -> Result<(), Refused> {
    let queue = match queue {
        Some(queue) => queue,
        None => {
            let (sender, receiver) = mpsc::channel(PIECES);
            let stream = IncomingStream::Lane(lane, ByteSource::Queue(receiver));
            incoming.streams.send(stream).await.map_err(|_| Refused)?;
            queue.insert(sender)
        }
    };
    queue.send(piece).await.map_err(|_| Refused)
}

/// Whether the connection broke, rather than its client the rules. A proxy that restarts ends TCP without a close.
fn is_transport(error: &Error) -> bool {
    use tokio_tungstenite::tungstenite::Error::{AlreadyClosed, ConnectionClosed, Io, Protocol};
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        match error.downcast_ref() {
            Some(AlreadyClosed | ConnectionClosed | Io(_) | Protocol(ResetWithoutClosingHandshake)) => return true,
            _ => source = error.source(),
        }
    }
    false
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
