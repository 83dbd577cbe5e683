//! A WebSocket of binary messages that is pinged, and ends with the edge.

use crate::bounded::{Bounded, Limit, Refused};
use crate::counters::{Counted, DoorCounters};
use crate::ended::Ended;
use atoll_proto::close::CloseCode;
use bytes::Bytes;
use futures_util::future::{BoxFuture, Fuse};
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// Time between pings; a client that has answered none by the next one has gone. The originals' figure.
const PING: Duration = Duration::from_secs(30);

/// How long one message may take to write. Messages are written one at a time, so this is also how long a client may
/// not read.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a message that are written at a time. The library keeps memory for the largest frame it ever wrote.
const PIECE: usize = 16 * 1024;

/// How long a last message may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Longest reason of a close, in bytes.
const MAX_REASON: usize = 123;

/// The socket.
pub(crate) struct Socket {
    socket: WebSocketStream<Bounded<TokioIo<Upgraded>>>,
    limit: Limit,
    counters: Arc<DoorCounters>,
    _counted: Counted,
    ending: Ending,
    pings: Pings,
    /// It takes nothing any more.
    is_broken: bool,
}

/// What a socket sends on its own, beside what its door sends: whole frames, encoded already.
pub(crate) trait Frames {
    /// The next of them, as soon as there are any; [`Ended`] when there will be none.
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ended>>;

    /// An end that does not wait for those that are on their way.
    fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Ended>;
}

/// The end of the edge, waited for once for all messages.
struct Ending {
    /// Once it was told, whoever still reads is left to his own end.
    told: Fuse<BoxFuture<'static, ()>>,
    /// The edge waits until nobody has one.
    _held: watch::Receiver<bool>,
}

impl Ending {
    fn new(held: watch::Receiver<bool>) -> Self {
        let mut ending = held.clone();
        let told = async move {
            let _ = ending.wait_for(|ending| *ending).await;
        };
        Self { told: told.boxed().fuse(), _held: held }
    }
}

/// When to ping, and whether the client still answers.
struct Pings {
    due: Interval,
    /// Pings since the client was last heard of, and how many there may be.
    unanswered: u8,
    may_miss: u8,
}

impl Pings {
    fn new() -> Self {
        let mut due = interval_at(Instant::now() + PING, PING);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { due, unanswered: 0, may_miss: 0 }
    }

    fn heard(&mut self) {
        self.unanswered = 0;
    }

    fn miss(&mut self) -> Result<(), Ended> {
        if self.unanswered > self.may_miss {
            return Err(Ended::Silent);
        }
        self.unanswered += 1;
        Ok(())
    }

    /// Whether a ping is due. The task is woken for the next.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut is_due = false;
        while self.due.poll_tick(cx).is_ready() {
            self.miss()?;
            is_due = true;
        }
        Ok(is_due)
    }
}

impl Socket {
    pub(crate) fn new(
        socket: WebSocketStream<Bounded<TokioIo<Upgraded>>>,
        limit: Limit,
        counters: Arc<DoorCounters>,
        ending: watch::Receiver<bool>,
    ) -> Self {
        let (counted, ending) = (counters.socket(), Ending::new(ending));
        Self { socket, limit, counters, _counted: counted, ending, pings: Pings::new(), is_broken: false }
    }

    /// Takes messages of at most so many bytes from now on; of [`SMALL`] ones at first.
    pub(crate) fn allow(&self, bytes: u64) {
        self.limit.set(bytes);
    }

    /// Lets a client miss one more ping: any message is as good as an answer, and it is gone after three.
    pub(crate) fn allow_silence(&mut self) {
        self.pings.may_miss = 1;
    }

    /// The next message. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, Ended> {
        loop {
            let message = tokio::select! {
                message = self.socket.next() => Some(message),
                _ = self.pings.due.tick() => None,
                () = &mut self.ending.told => return Err(Ended::Ending),
            };
            let Some(message) = message else {
                self.ping().await?;
                continue;
            };
            match message {
                Some(Ok(Message::Binary(message))) => {
                    self.counters.bytes_in.add(message.len() as u64);
                    return Ok(message);
                }
                Some(Ok(Message::Text(_))) => return Err(Ended::Text),
                Some(Ok(Message::Pong(_))) => self.pings.heard(),
                Some(Ok(Message::Ping(_))) => {}
                // Whole frames are read; only those who write them see others.
                Some(Ok(Message::Close(_) | Message::Frame(_))) | None => return Err(Ended::Left),
                Some(Err(error)) => return Err(why(&error)),
            }
        }
    }

    /// The next message, while `frames` go out. Text messages are passed over. Cancel-safe.
    pub(crate) async fn receive_sending(&mut self, frames: &impl Frames) -> Result<Bytes, Ended> {
        poll_fn(|cx| {
            if self.ending.told.poll_unpin(cx).is_ready() {
                return Poll::Ready(Err(Ended::Ending));
            }
            if let Poll::Ready(cut) = frames.poll_cut(cx) {
                return Poll::Ready(Err(cut));
            }
            loop {
                if self.pings.poll_due(cx)? {
                    // A client for which this is not ready does not read, and will not be heard of.
                    if !self.is_broken && matches!(self.socket.poll_ready_unpin(cx), Poll::Ready(Ok(()))) {
                        self.socket.start_send_unpin(Message::Ping(Bytes::new())).map_err(|_| Ended::Left)?;
                    }
                }
                self.send_on(frames, cx)?;
                match ready!(self.socket.poll_next_unpin(cx)) {
                    Some(Ok(Message::Binary(message))) => {
                        self.pings.heard();
                        self.counters.bytes_in.add(message.len() as u64);
                        return Poll::Ready(Ok(message));
                    }
                    Some(Ok(Message::Text(_) | Message::Pong(_) | Message::Ping(_))) => self.pings.heard(),
                    Some(Ok(Message::Close(_) | Message::Frame(_))) | None => return Poll::Ready(Err(Ended::Left)),
                    Some(Err(error)) => return Poll::Ready(Err(why(&error))),
                }
            }
        })
        .await
    }

    /// Sends as much as can be sent now. A connection that takes nothing any more may still hold what its client said last.
    fn send_on(&mut self, frames: &impl Frames, cx: &mut Context<'_>) -> Result<(), Ended> {
        while !self.is_broken {
            match self.poll_sent(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => self.is_broken = true,
                Poll::Ready(Ok(())) => {
                    let Poll::Ready(next) = frames.poll_next(cx) else { return Ok(()) };
                    let next = next?;
                    self.counters.bytes_out.add(next.len() as u64);
                    self.socket.get_mut().put_shared(next);
                }
            }
        }
        Ok(())
    }

    /// Whether nothing is left of what was to be sent.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.socket.get_mut().poll_shared(cx))?;
        self.socket.poll_flush_unpin(cx)
    }

    /// Writes whole frames that are encoded already.
    pub(crate) async fn send_frames(&mut self, frames: Bytes) -> Result<(), Ended> {
        self.counters.bytes_out.add(frames.len() as u64);
        in_time(async {
            self.socket.flush().await?;
            self.socket.get_mut().put_shared(frames);
            Ok(poll_fn(|cx| self.socket.get_mut().poll_shared(cx)).await?)
        })
        .await
    }

    /// Writes a message, in several frames if it is a large one.
    pub(crate) async fn send(&mut self, mut message: Bytes) -> Result<(), Ended> {
        self.counters.bytes_out.add(message.len() as u64);
        if message.len() <= PIECE {
            return in_time(self.socket.send(Message::Binary(message))).await;
        }
        in_time(async {
            let mut kind = Data::Binary;
            while !message.is_empty() {
                let piece = message.split_to(PIECE.min(message.len()));
                let frame = Frame::message(piece, OpCode::Data(kind), message.is_empty());
                self.socket.send(Message::Frame(frame)).await?;
                kind = Data::Continue;
            }
            Ok(())
        })
        .await
    }

    /// Ends it with a close, unless nobody would hear that.
    pub(crate) async fn close(mut self, ended: &Ended) {
        self.counters.closed(ended);
        if matches!(ended, Ended::Silent | Ended::Clogged) {
            return;
        }
        if *ended == Ended::Left {
            // A client's close is answered; the library has put the answer ready.
            let _ = timeout(FAREWELL, self.socket.flush()).await;
            return;
        }
        let mut reason = ended.to_string();
        let end = (0..=reason.len().min(MAX_REASON)).rev().find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or(0));
        let close = CloseFrame { code: ended.code().into(), reason: reason.into() };
        let _ = timeout(FAREWELL, async {
            self.socket.send(Message::Close(Some(close))).await?;
            // Closing with input unread would reset the connection, and the close could be lost.
            while self.socket.next().await.is_some_and(|message| message.is_ok()) {}
            Ok::<_, Error>(())
        })
        .await;
    }

    async fn ping(&mut self) -> Result<(), Ended> {
        self.pings.miss()?;
        in_time(self.socket.send(Message::Ping(Bytes::new()))).await
    }
}

async fn in_time(written: impl Future<Output = Result<(), Error>>) -> Result<(), Ended> {
    match timeout(PATIENCE, written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::Left),
        Err(_) => Err(Ended::Clogged),
    }
}

/// What ended the reading.
fn why(error: &Error) -> Ended {
    match error {
        Error::Io(error) => match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(Refused::TooLarge(limit)) => Ended::TooLarge(*limit),
            Some(Refused::Crowded) => Ended::Evicted,
            None => Ended::Left,
        },
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ended::Left,
        Error::Protocol(error) => Ended::Broken(error.clone()),
        Error::Utf8(_) => Ended::Text,
        _ => Ended::Left,
    }
}

impl Ended {
    /// Every name that there is.
    pub(crate) const NAMES: [&str; 18] = [
        "left",
        "silent",
        "clogged",
        "text",
        "malformed",
        "no_websocket",
        "too_large",
        "login_timeout",
        "login_refused",
        "replaced",
        "evicted",
        "ending",
        "too_slow",
        "reseated",
        "session_over",
        "no_room",
        "room_full",
        "removed",
    ];

    /// How metrics call it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Silent => "silent",
            Self::Clogged => "clogged",
            Self::Text => "text",
            Self::Violation(_) => "malformed",
            Self::Broken(_) => "no_websocket",
            Self::TooLarge(_) => "too_large",
            Self::LoginTimeout => "login_timeout",
            Self::Refused => "login_refused",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::Ending => "ending",
            Self::TooSlow => "too_slow",
            Self::Reseated => "reseated",
            Self::SessionOver => "session_over",
            Self::NoRoom => "no_room",
            Self::RoomFull => "room_full",
            Self::Removed => "removed",
        }
    }

    /// The code of the WebSocket protocol that comes closest, or ours where none does.
    const fn code(&self) -> u16 {
        match self {
            Self::Left | Self::Silent | Self::Clogged | Self::Replaced | Self::Reseated | Self::SessionOver => 1000,
            Self::TooSlow => CloseCode::TooSlow.code() as u16,
            Self::Ending => 1001,
            Self::Broken(_) => 1002,
            Self::Text => 1003,
            Self::Violation(_) => 1007,
            Self::LoginTimeout | Self::Refused | Self::NoRoom | Self::Removed => 1008,
            Self::TooLarge(_) => 1009,
            Self::Evicted | Self::RoomFull => 1013,
        }
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
