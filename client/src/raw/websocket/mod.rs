//! A WebSocket as a carrier of `atoll/1`: the channels of docs/protocol.md section 1, shown as streams and datagrams.

mod connect;
mod incoming;
mod pump;
mod streams;

pub(crate) use connect::{WebSocketDoor, connect};
pub(super) use streams::{RecvStream, SendStream};

use super::DatagramSendError;
use crate::closed::Closed;
use atoll_proto::channel::{Channel, MAX_WEBSOCKET_MESSAGE, join};
use atoll_proto::close::CloseCode;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

/// Bytes of datagrams that may wait to be sent: a few updates. More would only make them older.
const SEND_BUFFER: usize = 16 * 1024;

/// Bytes of datagrams that may wait to be read: some ticks of a large island.
const RECEIVE_BUFFER: usize = 512 * 1024;

/// Messages of one channel that may wait to be sent.
const WAITING: usize = 4;

/// A WebSocket to an edge; clones are the same one. Dropping the last closes it.
#[derive(Clone)]
pub struct WebSocket {
    control: mpsc::Sender<Message>,
    ordered: mpsc::Sender<Message>,
    large: mpsc::Sender<Message>,
    /// Held by the one large message that is being sent.
    large_turn: Arc<Semaphore>,
    datagrams: Arc<Datagrams>,
    /// The receiving half of the control stream, until somebody took it.
    control_stream: Arc<Mutex<Option<RecvStream>>>,
    streams: Arc<tokio::sync::Mutex<mpsc::Receiver<RecvStream>>>,
    closing: watch::Sender<Option<Closing>>,
    ended: watch::Receiver<Option<Closed>>,
}

/// How this client wants the connection to end.
#[derive(Debug, Clone)]
struct Closing {
    code: CloseCode,
    reason: String,
}

/// Datagrams on their way in both directions: bounded, the oldest are the first to go.
#[derive(Debug, Default)]
struct Datagrams {
    outgoing: Mutex<Bounded>,
    incoming: Mutex<Bounded>,
    /// Told once for each addition to `outgoing`.
    to_send: Notify,
    /// Told once for each addition to `incoming`.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Bounded {
    datagrams: VecDeque<Bytes>,
    bytes: usize,
}

impl WebSocket {
    /// Sends one binary message as it is, channel byte included, for tests that break the protocol.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn send_binary(&self, message: Bytes) -> Result<(), Closed> {
        self.send(Message::Binary(message)).await
    }

    /// Sends one text message, which the protocol has no use for.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn send_text(&self, text: &str) -> Result<(), Closed> {
        self.send(Message::text(text)).await
    }

    async fn send(&self, message: Message) -> Result<(), Closed> {
        if self.control.send(message).await.is_err() {
            return Err(self.closed().await);
        }
        Ok(())
    }

    /// The control stream. There is one, so the second time it is an error.
    pub(super) fn control(&self) -> Result<(SendStream, RecvStream), Closed> {
        let receive = lock(&self.control_stream).take();
        let receive = receive.ok_or_else(|| Closed::Lost("a WebSocket has one bidirectional stream".to_owned()))?;
        Ok((SendStream::control(self.clone()), receive))
    }

    /// A stream whose first byte will name its channel.
    pub(super) fn open(&self) -> SendStream {
        SendStream::unnamed(self.clone())
    }

    /// The next stream of the edge: the ordered one when its first bytes come, and each large message.
    pub(super) async fn accept(&self) -> Result<RecvStream, Closed> {
        if let Some(stream) = self.streams.lock().await.recv().await {
            return Ok(stream);
        }
        Err(self.closed().await)
    }

    pub(super) fn send_datagram(&self, datagram: Bytes) -> Result<(), DatagramSendError> {
        if datagram.len() >= MAX_WEBSOCKET_MESSAGE {
            return Err(DatagramSendError::TooLarge);
        }
        if self.is_closed() {
            return Err(DatagramSendError::Closed);
        }
        lock(&self.datagrams.outgoing).push(join(Channel::Datagram, &datagram), SEND_BUFFER);
        self.datagrams.to_send.notify_one();
        Ok(())
    }

    pub(super) async fn recv_datagram(&self) -> Result<Bytes, Closed> {
        loop {
            let arrived = self.datagrams.arrived.notified();
            if let Some(datagram) = lock(&self.datagrams.incoming).pop() {
                return Ok(datagram);
            }
            tokio::select! {
                () = arrived => {}
                why = self.closed() => match lock(&self.datagrams.incoming).pop() {
                    Some(datagram) => return Ok(datagram),
                    None => return Err(why),
                },
            }
        }
    }

    pub(super) async fn closed(&self) -> Closed {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(Closed::Local),
            // The pump always tells before it goes, but for a runtime that is shut down.
            Err(_) => Closed::Local,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closing.borrow().is_some() || self.ended.borrow().is_some()
    }

    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            closing.get_or_insert_with(|| Closing { code, reason: reason.to_owned() });
            first
        });
    }
}

impl Bounded {
    /// Adds a datagram; the oldest make room.
    fn push(&mut self, datagram: Bytes, limit: usize) {
        self.bytes += datagram.len();
        self.datagrams.push_back(datagram);
        while self.bytes > limit && self.datagrams.len() > 1 {
            self.pop();
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let datagram = self.datagrams.pop_front()?;
        self.bytes -= datagram.len();
        Some(datagram)
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("ended", &*self.ended.borrow()).finish_non_exhaustive()
    }
}

/// Held for moments only, never while waiting; nothing that holds it can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_datagrams_make_room() {
        let mut bounded = Bounded::default();
        for byte in 0..5 {
            bounded.push(Bytes::from(vec![byte; 10]), 30);
        }
        assert_eq!(bounded.bytes, 30);
        let kept: Vec<_> = std::iter::from_fn(|| bounded.pop()).map(|datagram| datagram[0]).collect();
        assert_eq!((kept, bounded.bytes), (vec![2, 3, 4], 0));
        bounded.push(Bytes::from(vec![9; 100]), 30);
        assert_eq!(bounded.pop().map(|datagram| datagram.len()), Some(100));
    }
}
