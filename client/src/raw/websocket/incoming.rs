//! What arrives on a WebSocket, cut into streams and datagrams.

use super::streams::RecvStream;
use super::{Datagrams, RECEIVE_BUFFER, lock};
use atoll_proto::atoll::{LargeHeader, large_header};
use atoll_proto::channel::{Channel, split};
use atoll_proto::framing::{put_frame, take_frame};
use atoll_proto::lanes::{LARGE_STREAM, MAX_LARGE, MAX_LARGE_HEADER, ORDERED_STREAM};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces of one stream that may wait to be read.
const PIECES: usize = 8;

/// Hands out what arrives. It waits where a stream is not read, and so does the edge then.
pub(super) struct Incoming {
    control: mpsc::Sender<Bytes>,
    /// The ordered stream, once its first bytes came.
    ordered: Option<mpsc::Sender<Bytes>>,
    large: Large,
    streams: mpsc::Sender<RecvStream>,
    datagrams: Arc<Datagrams>,
}

/// The large channel: one message after the other, each ends where its length says.
#[derive(Default)]
struct Large {
    /// Bytes of a header that is not whole yet.
    header: BytesMut,
    /// The message whose payload is coming, and how many bytes of it are missing.
    open: Option<(mpsc::Sender<Bytes>, usize)>,
}

/// Bytes that no edge of this protocol sends.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(String);

impl Incoming {
    /// The other end of `streams` is told of each new stream; the stream returned is the control stream.
    pub(super) fn new(streams: mpsc::Sender<RecvStream>, datagrams: Arc<Datagrams>) -> (Self, RecvStream) {
        let (control, pieces) = mpsc::channel(PIECES);
        let incoming = Self { control, ordered: None, large: Large::default(), streams, datagrams };
        (incoming, RecvStream::new(Bytes::new(), pieces))
    }

    pub(super) async fn message(&mut self, message: &Bytes) -> Result<(), Malformed> {
        let (channel, bytes) = split(message).map_err(malformed)?;
        match channel {
            // A stream that nobody reads any more is passed over.
            Channel::Control => drop(self.control.send(bytes).await),
            Channel::Ordered => self.ordered(bytes).await,
            Channel::Large => self.large(bytes).await?,
            Channel::Datagram => {
                lock(&self.datagrams.incoming).push(bytes, RECEIVE_BUFFER);
                self.datagrams.arrived.notify_one();
            }
        }
        Ok(())
    }

    async fn ordered(&mut self, bytes: Bytes) {
        if self.ordered.is_none() {
            self.ordered = Some(self.open(Bytes::from_static(&[ORDERED_STREAM])).await);
        }
        if let Some(stream) = &self.ordered {
            let _ = stream.send(bytes).await;
        }
    }

    async fn large(&mut self, mut bytes: Bytes) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if let Some((stream, missing)) = &mut self.large.open {
                let piece = bytes.split_to(bytes.len().min(*missing));
                *missing -= piece.len();
                let _ = stream.send(piece).await;
                if *missing == 0 {
                    self.large.open = None;
                }
                continue;
            }
            self.large.header.extend_from_slice(&std::mem::take(&mut bytes));
            let Some(frame) = take_frame(&mut self.large.header, MAX_LARGE_HEADER).map_err(malformed)? else {
                break;
            };
            bytes = self.large.header.split().freeze();
            self.begin_large(&frame).await?;
        }
        Ok(())
    }

    /// Opens the stream of a large message whose header is whole. An unknown header has no payload.
    async fn begin_large(&mut self, frame: &[u8]) -> Result<(), Malformed> {
        let header: LargeHeader = atoll_proto::decode(frame).map_err(malformed)?;
        let length = match &header.message {
            Some(large_header::Message::Large(large)) => large.length as usize,
            _ => 0,
        };
        if length > MAX_LARGE {
            return Err(Malformed(format!("a large message of {length} bytes")));
        }
        let mut first = BytesMut::from(&[LARGE_STREAM][..]);
        put_frame(&header, &mut first);
        let stream = self.open(first.freeze()).await;
        self.large.open = (length > 0).then_some((stream, length));
        Ok(())
    }

    /// Begins a stream with `first`.
    async fn open(&self, first: Bytes) -> mpsc::Sender<Bytes> {
        let (stream, pieces) = mpsc::channel(PIECES);
        let _ = self.streams.send(RecvStream::new(first, pieces)).await;
        stream
    }
}

fn malformed(error: impl ToString) -> Malformed {
    Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::atoll::{Gap, Large};
    use atoll_proto::channel::join;
    use large_header::Message;

    fn header(message: Message) -> BytesMut {
        let mut bytes = BytesMut::new();
        put_frame(&LargeHeader { message: Some(message) }, &mut bytes);
        bytes
    }

    async fn rest_of(mut stream: RecvStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = stream.read_chunk(1000).await {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    #[tokio::test]
    async fn large_messages_are_told_apart_however_they_are_cut() {
        let large = |number, length| Message::Large(Large { number, length, ..Large::default() });
        let messages = [
            (header(large(1, 5)), &b"first"[..]),
            (header(Message::Gap(Gap { first: 2, last: 3 })), b""),
            (header(large(4, 0)), b""),
            (header(large(5, 6)), b"second"),
        ];
        let bytes: Vec<u8> = messages.iter().flat_map(|(header, payload)| [header, *payload].concat()).collect();
        for step in 1..bytes.len() {
            let (sender, mut streams) = mpsc::channel(8);
            let (mut incoming, _control) = Incoming::new(sender, Arc::default());
            let reading = async {
                for (header, payload) in &messages {
                    let expected = [&[LARGE_STREAM], &header[..], payload].concat();
                    assert_eq!(rest_of(streams.recv().await.unwrap()).await, expected, "cut by {step}");
                }
            };
            let arriving = async {
                for piece in bytes.chunks(step) {
                    incoming.message(&join(Channel::Large, piece)).await.unwrap();
                }
            };
            tokio::join!(reading, arriving);
        }
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_is_refused() {
        let (sender, _streams) = mpsc::channel(8);
        let (mut incoming, _control) = Incoming::new(sender, Arc::default());
        let giant = header(Message::Large(Large { length: 1 + MAX_LARGE as u32, ..Large::default() }));
        for message in [Bytes::new(), Bytes::from_static(&[9, 1]), join(Channel::Large, &giant)] {
            assert!(incoming.message(&message).await.is_err(), "{message:?}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_stopped_holds_nothing_up() {
        let (sender, mut streams) = mpsc::channel(8);
        let (mut incoming, mut control) = Incoming::new(sender, Arc::default());
        control.stop();
        for _ in 0..3 * PIECES {
            incoming.message(&join(Channel::Control, b"x")).await.unwrap();
        }
        incoming.message(&join(Channel::Ordered, b"abc")).await.unwrap();
        drop(incoming);
        assert_eq!(rest_of(streams.recv().await.unwrap()).await, [&[ORDERED_STREAM], &b"abc"[..]].concat());
    }
}
