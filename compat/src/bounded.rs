//! How much of a client's message is read before it is known to be worth it.
//!
//! A WebSocket library takes a message of any size up to one limit that is set once. Here the limit is another one before the
//! login than after it, and a large message needs one of a few places: the stream below the library is looked at while it
//! goes by, and ends at the header of a frame that is too much.

use atoll_core::auth::MAX_CHAIN_BYTES;
use atoll_core::limit::Crowd;
use bytes::{Buf, Bytes};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest message that anybody may send at any time, in bytes: the longest auth chain that is read, and what is around it.
pub(crate) const SMALL: u64 = MAX_CHAIN_BYTES as u64 + 1024;

/// Longest header of a frame.
const MAX_HEADER: usize = 14;

/// Why a stream ended before its client ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A message above the limit of the moment, in bytes.
    #[error("a message above {0} bytes")]
    TooLarge(u64),
    /// Others send large messages, and come from less crowded places.
    #[error("too many large messages")]
    Crowded,
}

/// How large a message may be now, in bytes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Limit(Arc<AtomicU64>);

impl Limit {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Holds for frames whose header comes from now on.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A client's stream of WebSocket frames.
pub(crate) struct Bounded<S> {
    stream: S,
    limit: Limit,
    /// Who sends a large message now.
    large: Arc<Crowd>,
    from: IpAddr,
    frames: Frames,
    /// Resolves when others need the place of the large message that is under way.
    evicted: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Nothing is read any more.
    refused: Option<Refused>,
    /// Whole frames that were encoded elsewhere. Nothing else is written before they are.
    shared: Bytes,
}

impl<S> Bounded<S> {
    /// The frames of a client at `from`.
    pub(crate) fn new(stream: S, limit: Limit, large: Arc<Crowd>, from: IpAddr) -> Self {
        Self {
            stream,
            limit,
            large,
            from,
            frames: Frames::default(),
            evicted: None,
            refused: None,
            shared: Bytes::new(),
        }
    }

    /// Has frames written that are encoded already, before what is written from now on. Whatever was written before has to
    /// be flushed, so that they come between two frames, and so have those of the last time.
    pub(crate) fn put_shared(&mut self, frames: Bytes) {
        debug_assert!(self.shared.is_empty(), "the last ones are still on their way");
        self.shared = frames;
    }

    fn look_at(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let limit = self.limit.bytes();
        let (large, from, evicted) = (&self.large, self.from, &mut self.evicted);
        self.frames.pass(bytes, |message| {
            if message > limit {
                return Err(Refused::TooLarge(limit));
            }
            if message > SMALL && evicted.is_none() {
                let spot = large.enter(from).ok_or(Refused::Crowded)?;
                *evicted = Some(Box::pin(async move { spot.evicted().await }));
            }
            Ok(())
        })
    }

    fn refuse<T>(&mut self, refused: Refused) -> Poll<io::Result<T>> {
        self.refused = Some(refused);
        Poll::Ready(Err(io::Error::other(refused)))
    }
}

impl<S: AsyncWrite + Unpin> Bounded<S> {
    /// Writes the frames of [`Bounded::put_shared`] on.
    pub(crate) fn poll_shared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.shared.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.shared))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.shared.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(refused) = this.refused {
            return this.refuse(refused);
        }
        // Nobody asks for more before what came was used.
        if this.frames.is_between_messages() {
            this.evicted = None;
        }
        if let Some(evicted) = &mut this.evicted
            && evicted.as_mut().poll(cx).is_ready()
        {
            return this.refuse(Refused::Crowded);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if let Err(refused) = this.look_at(&buffer.filled()[before..]) {
            buffer.set_filled(before);
            return this.refuse(refused);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_shared(cx))?;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Where in a stream of frames a reader is (RFC 6455, section 5.2).
#[derive(Debug, Default)]
struct Frames {
    header: [u8; MAX_HEADER],
    /// Bytes of the header that have come.
    have: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// Bytes of the message that the frames so far announced.
    message: u64,
    /// The message ends with the present frame.
    is_last: bool,
}

impl Frames {
    /// Goes on by `bytes`. `admit` is asked at the header of each frame, with the size of the message so far.
    fn pass<E>(&mut self, mut bytes: &[u8], mut admit: impl FnMut(u64) -> Result<(), E>) -> Result<(), E> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let payload = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= payload as u64;
                bytes = &bytes[payload..];
                self.end_of_frame();
                continue;
            }
            bytes = rest;
            self.header[self.have] = *first;
            self.have += 1;
            if let Some(header) = Header::read(&self.header[..self.have]) {
                self.have = 0;
                self.left = header.length;
                let before = if header.is_control { 0 } else { self.message };
                let size = before.saturating_add(header.length);
                admit(size)?;
                if !header.is_control {
                    (self.message, self.is_last) = (size, header.is_last);
                }
                self.end_of_frame();
            }
        }
        Ok(())
    }

    fn end_of_frame(&mut self) {
        if self.left == 0 && self.is_last {
            (self.message, self.is_last) = (0, false);
        }
    }

    fn is_between_messages(&self) -> bool {
        self.left == 0 && self.have == 0 && self.message == 0
    }
}

struct Header {
    is_last: bool,
    is_control: bool,
    length: u64,
}

impl Header {
    /// The header, once all of it is there.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length, end) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let is_whole = bytes.len() == end + mask;
        is_whole.then_some(Self { is_last: first & 0x80 != 0, is_control: first & 0x08 != 0, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use atoll_core::limit::AmongEquals;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            126..65536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.resize(frame.len() + length, 7);
        frame
    }

    /// What is asked for while `bytes` go by in pieces of `piece`.
    fn asked(bytes: &[u8], piece: usize) -> Vec<u64> {
        let (mut frames, mut asked) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            let _: Result<(), ()> = frames.pass(piece, |size| {
                asked.push(size);
                Ok(())
            });
        }
        assert!(frames.is_between_messages());
        asked
    }

    #[test]
    fn messages_are_measured_over_their_fragments_however_they_come() {
        let stream = [
            frame(0x82, 5),
            frame(0x02, 200),
            frame(0x89, 3),
            frame(0x00, 70_000),
            frame(0x80, 0),
            frame(0x82, 0),
            frame(0x88, 2),
            frame(0x81, 125),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 1000, stream.len()] {
            assert_eq!(asked(&stream, piece), [5, 200, 3, 70_200, 70_200, 0, 2, 125], "{piece}");
        }
    }

    #[test]
    fn lengths_that_are_absurd_are_numbers_too() {
        let mut frames = Frames::default();
        let header = [[0x02, 0xff].as_slice(), &[0xff; 8], &[0; 4]].concat();
        let mut asked = Vec::new();
        let ok = |asked: &mut Vec<u64>, size| -> Result<(), ()> {
            asked.push(size);
            Ok(())
        };
        frames.pass(&header, |size| ok(&mut asked, size)).unwrap();
        frames.left = 0;
        frames.pass(&header, |size| ok(&mut asked, size)).unwrap();
        assert_eq!(asked, [u64::MAX; 2]);
    }

    /// Reads from a bounded stream until it ends or refuses.
    async fn read(bounded: &mut Bounded<tokio::io::DuplexStream>) -> Result<usize, Refused> {
        let mut all = Vec::new();
        match bounded.read_to_end(&mut all).await {
            Ok(read) => Ok(read),
            Err(error) => Err(*error.get_ref().and_then(|error| error.downcast_ref::<Refused>()).unwrap()),
        }
    }

    #[tokio::test]
    async fn the_limit_of_the_moment_holds() {
        let crowd = Arc::new(Crowd::new(1, None, AmongEquals::OldestLeaves));
        for (limit, ends) in [(SMALL, Err(Refused::TooLarge(SMALL))), (1 << 20, Ok(frame(0x82, 100_000).len()))] {
            let (mut client, server) = duplex(1 << 20);
            let set = Limit::new(0);
            let mut bounded = Bounded::new(server, set.clone(), Arc::clone(&crowd), Ipv4Addr::LOCALHOST.into());
            set.set(limit);
            client.write_all(&frame(0x82, 100_000)).await.unwrap();
            drop(client);
            assert_eq!(read(&mut bounded).await, ends);
            drop(bounded);
            assert!(crowd.is_empty());
        }
    }

    #[tokio::test]
    async fn large_messages_have_few_places_and_the_oldest_of_the_most_crowded_place_goes() {
        let crowd = Arc::new(Crowd::new(2, None, AmongEquals::OldestLeaves));
        let open = |host: u8| {
            let (client, server) = duplex(1 << 20);
            let from = Ipv4Addr::new(127, 0, 0, host).into();
            (client, Bounded::new(server, Limit::new(1 << 20), Arc::clone(&crowd), from))
        };
        let half = frame(0x82, 100_000)[..50_000].to_vec();
        let mut slow = [open(1), open(1)];
        let mut buffer = [0; 1000];
        for (client, bounded) in &mut slow {
            client.write_all(&half).await.unwrap();
            assert_eq!(bounded.read(&mut buffer).await.unwrap(), 1000);
        }
        assert_eq!(crowd.len(), 2);
        let (mut client, mut bounded) = open(2);
        client.write_all(&frame(0x82, 100_000)).await.unwrap();
        client.write_all(&frame(0x82, 1)).await.unwrap();
        let mut all = vec![0; frame(0x82, 100_000).len()];
        bounded.read_exact(&mut all).await.unwrap();
        // The place is free once more is asked for.
        bounded.read_exact(&mut [0; 1]).await.unwrap();
        let [(_first, first), (_second, second)] = &mut slow;
        assert_eq!(read(first).await, Err(Refused::Crowded));
        assert_eq!(second.read(&mut buffer).await.unwrap(), 1000);
        assert_eq!(crowd.len(), 1);
    }
}
