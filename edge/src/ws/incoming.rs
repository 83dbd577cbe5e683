//! From a WebSocket into the queues of a session.

use crate::native::{ByteSource, Counters, End, IncomingStream, Lane, MoverIn};
use atoll_proto::channel::{Channel, ChannelError, MAX_WEBSOCKET_MESSAGE, split};
use axum::Error;
use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;

/// Silence after which the connection counts as lost. Clients answer pings.
const SILENCE: Duration = Duration::from_secs(15);

/// Pieces of a lane that wait for its reader. A full queue holds the whole socket up, as TCP does.
const PIECES: usize = 2;

/// Takes messages until the connection ends, the client breaks the rules of the channels, or nobody reads what it sends.
/// The latter two end the session.
pub(super) async fn receive(mut stream: SplitStream<WebSocket>, incoming: MoverIn, counters: &Counters) {
    let mut channels = Channels { incoming, counters, ordered: None, large: None };
    loop {
        // Only silence while somebody listens: a client that has to wait for its pace is not lost.
        let taken = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(Message::Binary(message)))) => channels.take(&message).await,
            Ok(Some(Ok(Message::Text(_)))) => Err(Refused::Violation("a text message".to_owned())),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Close(_)))) => return channels.incoming.ended(End::ByPeer),
            Ok(Some(Err(error))) => match violation(&error) {
                Some(what) => Err(Refused::Violation(what)),
                None => return channels.incoming.ended(End::Lost),
            },
            Ok(None) | Err(_) => return channels.incoming.ended(End::Lost),
        };
        match taken {
            Ok(()) => {}
            Err(Refused::Violation(what)) => return channels.incoming.violated(what),
            Err(Refused::Unread) => return,
        }
    }
}

struct Channels<'a> {
    incoming: MoverIn,
    counters: &'a Counters,
    ordered: Option<mpsc::Sender<Bytes>>,
    large: Option<mpsc::Sender<Bytes>>,
}

/// Why a message is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// Against the rules.
    Violation(String),
    /// Nobody reads its channel any more: the session leaves this connection.
    Unread,
}

impl From<ChannelError> for Refused {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::TooLarge(_) => Self::Violation(too_large()),
            other => Self::Violation(other.to_string()),
        }
    }
}

impl Channels<'_> {
    async fn take(&mut self, message: &Bytes) -> Result<(), Refused> {
        let (channel, bytes) = split(message)?;
        if bytes.is_empty() && channel != Channel::Datagram {
            return Ok(());
        }
        match channel {
            Channel::Control => self.incoming.control.send(bytes).await.map_err(|_| Refused::Unread),
            Channel::Ordered => lane(&mut self.ordered, Lane::Ordered, &self.incoming, bytes).await,
            Channel::Large => lane(&mut self.large, Lane::Large, &self.incoming, bytes).await,
            Channel::Datagram => {
                // Full: the session does not keep up, and later ones matter more than earlier ones only to it.
                if let Err(TrySendError::Full(_)) = self.incoming.datagrams.try_send(bytes) {
                    self.counters.datagrams_behind.add(1);
                }
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
            incoming.streams.send(stream).await.map_err(|_| Refused::Unread)?;
            queue.insert(sender)
        }
    };
    match queue.try_send(piece) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(Refused::Unread),
        Err(TrySendError::Full(piece)) => {
            // Heartbeats behind it cannot be heard meanwhile.
            let _hold_up = incoming.hold_up();
            queue.send(piece).await.map_err(|_| Refused::Unread)
        }
    }
}

fn too_large() -> String {
    format!("a message above {MAX_WEBSOCKET_MESSAGE} bytes")
}

/// What the client did wrong, or nothing when it was the connection that broke. (A proxy that restarts ends TCP without a
/// close.)
fn violation(error: &Error) -> Option<String> {
    use WebSocketError::{AlreadyClosed, Capacity, ConnectionClosed, Io, Protocol};
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        match error.downcast_ref() {
            Some(AlreadyClosed | ConnectionClosed | Io(_) | Protocol(ResetWithoutClosingHandshake)) => return None,
            Some(Capacity(_)) => return Some(too_large()),
            _ => source = error.source(),
        }
    }
    Some(format!("what no WebSocket sends: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::queues;
    use atoll_proto::channel::join;
    use std::net::{IpAddr, Ipv4Addr};

    #[tokio::test]
    async fn datagrams_that_find_no_place_are_counted() {
        let (_session, _streams, _datagrams, mover) = queues(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let counters = Counters::default();
        let mut channels = Channels { incoming: mover.incoming, counters: &counters, ordered: None, large: None };
        for _ in 0..70 {
            assert_eq!(channels.take(&join(Channel::Datagram, b"!")).await, Ok(()));
        }
        assert_eq!(counters.datagrams_behind.value(), 6);
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_message_is_told() {
        let (_session, _streams, _datagrams, mover) = queues(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let counters = Counters::default();
        let mut channels = Channels { incoming: mover.incoming, counters: &counters, ordered: None, large: None };
        for (message, what) in [
            (Bytes::new(), "an empty message"),
            (Bytes::from_static(&[9, 1]), "unknown channel 9"),
            (vec![2; MAX_WEBSOCKET_MESSAGE + 1].into(), "a message above 66560 bytes"),
        ] {
            assert_eq!(channels.take(&message).await, Err(Refused::Violation(what.to_owned())));
        }
    }
}
