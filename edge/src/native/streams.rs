//! The streams and datagrams of a connection, whichever way its client came in.

use crate::quic::{QuicCarrier, QuicSink, QuicSource};
use atoll_proto::channel::LARGE_SLICE;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;

/// How a connection ended that this side did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client closed it.
    ByPeer,
    /// Without a word: silence, a reset, a broken transport.
    Lost,
}

/// The two lanes of numbered messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// One stream of small messages.
    Ordered,
    /// One large message after the other.
    Large,
}

/// What became of a batch on its way to one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it is on its way, except chunks that are larger than the path carries.
    Flowing {
        /// Chunks dropped because of their size.
        too_large: usize,
    },
    /// Earlier data still waits: nothing was sent.
    Behind,
    /// It filled the queue of its client.
    Cut {
        /// Chunks dropped.
        dropped: usize,
    },
    /// The connection has ended.
    Gone,
}

/// Datagrams from the client.
pub(crate) enum Datagrams {
    /// Of a QUIC connection.
    Quic(QuicCarrier),
    /// As a task queues them.
    Queue(mpsc::Receiver<Bytes>),
}

impl Datagrams {
    /// The next one; the inner `None` is one of a foreign WebTransport session. `None` once the connection has ended.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Option<Bytes>> {
        match self {
            Self::Quic(quic) => quic.read_datagram().await,
            Self::Queue(queue) => queue.recv().await.map(Some),
        }
    }
}

/// Streams that the client opens.
pub(crate) enum Streams {
    /// Of a QUIC connection.
    Quic(QuicCarrier),
    /// As a task queues them: the control stream, then lanes as they are used.
    Queue {
        /// The control stream, until it is taken.
        control: Option<(ByteSink, ByteSource)>,
        /// The lanes.
        lanes: mpsc::Receiver<IncomingStream>,
    },
}

/// A unidirectional stream from the client.
pub(crate) enum IncomingStream {
    /// It begins with a type byte, and holds at most one large message.
    Typed(ByteSource),
    /// Everything of one lane, without a type byte; large messages follow each other.
    Lane(Lane, ByteSource),
}

impl Streams {
    /// The client's first bidirectional stream. `None` when the connection ends before.
    pub(crate) async fn control(&mut self) -> Option<(ByteSink, ByteSource)> {
        match self {
            Self::Quic(quic) => {
                let (send, receive) = quic.accept_control().await?;
                Some((ByteSink::Quic(send), ByteSource::Quic(receive)))
            }
            Self::Queue { control, .. } => control.take(),
        }
    }

    /// The next unidirectional stream. `None` once the connection has ended. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<IncomingStream> {
        match self {
            Self::Quic(quic) => {
                quic.accept_stream().await.map(|stream| IncomingStream::Typed(ByteSource::Quic(stream)))
            }
            Self::Queue { lanes, .. } => lanes.recv().await,
        }
    }
}

/// The receiving end of a stream.
pub(crate) enum ByteSource {
    /// A QUIC stream.
    Quic(QuicSource),
    /// Pieces of it as a task queues them. The end of the queue is the end of the stream.
    Queue(mpsc::Receiver<Bytes>),
}

/// Why a stream gives no more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceEnd {
    /// It was finished.
    Finished,
    /// It was reset, or the connection ended.
    Broken,
}

impl ByteSource {
    /// The next bytes, at most `most` of them on QUIC. Cancel-safe.
    pub(crate) async fn read(&mut self, most: usize) -> Result<Bytes, SourceEnd> {
        match self {
            Self::Quic(stream) => match stream.read_chunk(most, true).await {
                Ok(Some(chunk)) => Ok(chunk.bytes),
                Ok(None) => Err(SourceEnd::Finished),
                Err(_) => Err(SourceEnd::Broken),
            },
            Self::Queue(queue) => queue.recv().await.ok_or(SourceEnd::Finished),
        }
    }

    /// Tells the client that nothing more of it is read.
    pub(crate) fn stop(&mut self) {
        match self {
            // Fails when the stream has ended, which is as good.
            Self::Quic(stream) => drop(stream.stop(0)),
            Self::Queue(queue) => queue.close(),
        }
    }
}

/// The sending end of a stream.
pub(crate) enum ByteSink {
    /// A QUIC stream.
    Quic(QuicSink),
    /// Pieces of it for a task to send.
    Queue(mpsc::Sender<Bytes>),
}

/// The client reads no more of a stream, or the connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream is read no more")]
pub(crate) struct SinkGone;

impl ByteSink {
    /// Writes all of `bytes`. Not to be cancelled: a part of them may have been written.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), SinkGone> {
        match self {
            Self::Quic(stream) => stream.write_chunk(bytes).await.map_err(|_| SinkGone),
            Self::Queue(queue) => {
                // A message of a WebSocket has a bound, and other streams want to pass.
                while !bytes.is_empty() {
                    let piece = bytes.split_to(bytes.len().min(LARGE_SLICE));
                    queue.send(piece).await.map_err(|_| SinkGone)?;
                }
                Ok(())
            }
        }
    }

    /// Ends the stream and waits, at most `patience`, until the client has read it. (What carries queues sends what is
    /// in them before it closes.)
    pub(crate) async fn finish(self, patience: Duration) {
        let Self::Quic(mut stream) = self else { return };
        // Dropped unfinished, the stream would be reset and lose what is still on its way.
        if stream.finish().is_ok() && !patience.is_zero() {
            let _ = tokio::time::timeout(patience, stream.stopped()).await;
        }
    }
}
