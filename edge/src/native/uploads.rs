//! Numbered messages from a client, read off its streams: no faster than they may come, and within what the edge can hold.

use super::ending::Ending;
use super::streams::{ByteSource, IncomingStream, Lane, SourceEnd};
use super::upload_budget::{GaveWay, Upload, UploadBudget};
use atoll_core::limit::Pace;
use atoll_proto::atoll::{Large, LargeHeader, Ordered, OrderedMessage, large_header, ordered_message};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::Tag;
use atoll_proto::framing::take_frame;
use atoll_proto::lanes::{
    LARGE_STREAM, MAX_LARGE, MAX_LARGE_HEADER, MAX_LARGE_STREAMS, MAX_ORDERED, MAX_ORDERED_FRAME, ORDERED_STREAM,
};
use bytes::{Buf, Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Bytes taken from a stream at a time.
const CHUNK: usize = 16 * 1024;

/// Bytes by which the room for a payload grows.
const SLICE: usize = 64 * 1024;

/// Messages that wait for the session, beside those being read.
const WAITING: usize = 2;

/// How long a stream whose message has come may take to end.
const LAST_WORD: Duration = Duration::from_secs(10);

/// Something that came on a lane.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) lane: Lane,
    pub(super) news: News,
    /// What a large payload holds until it has been passed on.
    pub(super) held: Option<Held>,
}

/// The place of a large message in what the edge can hold, and in what its client may have under way.
#[derive(Debug)]
pub(super) struct Held {
    _upload: Upload,
    _turn: OwnedSemaphorePermit,
}

/// What came.
#[derive(Debug)]
pub(super) enum News {
    /// A message, for the room with this tag.
    Message { tag: Tag, number: u64, payload: Bytes },
    /// Messages that the client had to drop.
    Gap { first: u64, last: u64 },
}

/// The streams of one connection that are being read. Dropping this stops it all.
pub(super) struct Uploads {
    readers: JoinSet<()>,
    shared: Shared,
    arrived: mpsc::Receiver<Result<Arrived, Ending>>,
}

/// What every reader has.
#[derive(Clone)]
struct Shared {
    pace: Pace,
    /// What all clients together may hold.
    budget: Arc<UploadBudget>,
    /// How many large messages of this client are read, or wait to be passed on, at the same moment.
    large: Arc<Semaphore>,
    /// The one ordered stream, until it is opened.
    ordered: Arc<Semaphore>,
    queue: mpsc::Sender<Result<Arrived, Ending>>,
}

impl Uploads {
    pub(super) fn new(pace: Pace, budget: Arc<UploadBudget>) -> Self {
        let (queue, arrived) = mpsc::channel(WAITING);
        let large = Arc::new(Semaphore::new(MAX_LARGE_STREAMS));
        let ordered = Arc::new(Semaphore::new(1));
        Self { readers: JoinSet::new(), shared: Shared { pace, budget, large, ordered, queue }, arrived }
    }

    /// Reads a stream that the client opened.
    pub(super) fn read(&mut self, stream: IncomingStream) {
        while self.readers.try_join_next().is_some() {}
        self.readers.spawn(read(stream, self.shared.clone()));
    }

    /// What came next, or why the session has to end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Arrived, Ending> {
        match self.arrived.recv().await {
            Some(arrived) => arrived,
            // This holds a sender itself, so the queue never ends.
            None => std::future::pending().await,
        }
    }
}

async fn read(stream: IncomingStream, shared: Shared) {
    let queue = shared.queue.clone();
    let ended = match stream {
        IncomingStream::Typed(bytes) => read_typed(Reader::new(bytes), shared).await,
        IncomingStream::Lane(Lane::Ordered, bytes) => read_ordered(Reader::new(bytes), shared).await,
        IncomingStream::Lane(Lane::Large, bytes) => read_all_large(Reader::new(bytes), shared).await,
    };
    // A stream that merely ends is no fault: what it did not bring will come again, or the connection is gone.
    if let Err(Fault::Session(ending)) = ended {
        let _ = queue.send(Err(ending)).await;
    }
}

async fn read_typed(mut reader: Reader, shared: Shared) -> Result<(), Fault> {
    match reader.byte().await? {
        ORDERED_STREAM => read_ordered(reader, shared).await,
        LARGE_STREAM => {
            read_large(&mut reader, &shared).await?;
            reader.end().await;
            Ok(())
        }
        _ => {
            reader.stream.stop();
            Ok(())
        }
    }
}

async fn read_ordered(mut reader: Reader, shared: Shared) -> Result<(), Fault> {
    match Arc::clone(&shared.ordered).try_acquire_owned() {
        Ok(permit) => permit.forget(),
        Err(_) => return Err(malformed("a second ordered stream")),
    }
    loop {
        let frame = reader.frame(MAX_ORDERED_FRAME, &shared.pace).await?;
        let message: OrderedMessage = atoll_proto::decode(&frame).map_err(malformed)?;
        let news = match message.message {
            Some(ordered_message::Message::Ordered(ordered)) => {
                let Ordered { tag, number, payload, .. } = ordered;
                if payload.len() > MAX_ORDERED {
                    return Err(malformed("an ordered message above 64 KiB"));
                }
                News::Message { tag: Tag(tag), number, payload: payload.into() }
            }
            Some(ordered_message::Message::Gap(gap)) => News::Gap { first: gap.first, last: gap.last },
            // A message of a later version.
            None => continue,
        };
        let arrived = Arrived { lane: Lane::Ordered, news, held: None };
        shared.queue.send(Ok(arrived)).await.map_err(|_| Fault::Stream)?;
    }
}

async fn read_all_large(mut reader: Reader, shared: Shared) -> Result<(), Fault> {
    loop {
        read_large(&mut reader, &shared).await?;
    }
}

async fn read_large(reader: &mut Reader, shared: &Shared) -> Result<(), Fault> {
    // Never closed, so that a permit comes.
    let turn = Arc::clone(&shared.large).acquire_owned().await.map_err(|_| Fault::Stream)?;
    let header = reader.frame(MAX_LARGE_HEADER, &shared.pace).await?;
    let header: LargeHeader = atoll_proto::decode(&header).map_err(malformed)?;
    let (news, held) = match header.message {
        Some(large_header::Message::Large(large)) => {
            let Large { tag, number, length, .. } = large;
            let length = length as usize;
            if length > MAX_LARGE {
                return Err(malformed("a large message above 1 MiB"));
            }
            // Nothing is held while the client has to wait for its own pace.
            shared.pace.wait(length).await;
            let upload = shared.budget.begin(length);
            let payload = tokio::select! {
                biased;
                fault = upload.gives_way() => return Err(fault.into()),
                payload = reader.payload(length, &upload) => payload?,
            };
            (News::Message { tag: Tag(tag), number, payload }, Some(Held { _upload: upload, _turn: turn }))
        }
        Some(large_header::Message::Gap(gap)) => (News::Gap { first: gap.first, last: gap.last }, None),
        // Of a later version: how long it is, nobody knows here.
        None => return Err(malformed("a large message of an unknown kind")),
    };
    let arrived = Arrived { lane: Lane::Large, news, held };
    shared.queue.send(Ok(arrived)).await.map_err(|_| Fault::Stream)
}

/// Why a stream is read no more.
#[derive(Debug)]
enum Fault {
    /// It ended.
    Stream,
    /// What it brought ends the session.
    Session(Ending),
}

impl From<SourceEnd> for Fault {
    fn from(_: SourceEnd) -> Self {
        Self::Stream
    }
}

/// The connection is of no more use, but the session is: its client resumes and sends the message again.
impl From<GaveWay> for Fault {
    fn from(fault: GaveWay) -> Self {
        Self::Session(Ending::new(CloseCode::TooSlow, fault))
    }
}

fn malformed(reason: impl ToString) -> Fault {
    Fault::Session(Ending::new(CloseCode::Malformed, reason))
}

/// A stream, and what was read of it beyond what was taken.
struct Reader {
    stream: ByteSource,
    buffer: BytesMut,
}

impl Reader {
    fn new(stream: ByteSource) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    async fn byte(&mut self) -> Result<u8, SourceEnd> {
        while self.buffer.is_empty() {
            self.more(CHUNK).await?;
        }
        Ok(self.buffer.get_u8())
    }

    /// The next frame. Waits for its pace before it reads on.
    async fn frame(&mut self, limit: usize, pace: &Pace) -> Result<Bytes, Fault> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, limit).map_err(malformed)? {
                pace.wait_for_message(frame.len()).await;
                return Ok(frame);
            }
            self.more(CHUNK).await?;
        }
    }

    /// The payload of a large message, paid for as it comes.
    async fn payload(&mut self, length: usize, upload: &Upload) -> Result<Bytes, SourceEnd> {
        let mut payload = Vec::new();
        while payload.len() < length {
            let missing = length - payload.len();
            let piece = self.piece(missing).await?;
            upload.pay(piece.len()).await;
            if payload.capacity() - payload.len() < piece.len() {
                // What is announced is not taken before it comes, but for a slice.
                payload.reserve_exact(missing.min(SLICE.max(piece.len())));
            }
            payload.extend_from_slice(&piece);
        }
        Ok(payload.into())
    }

    /// The next bytes, at most `most` of them.
    async fn piece(&mut self, most: usize) -> Result<Bytes, SourceEnd> {
        if !self.buffer.is_empty() {
            let length = self.buffer.len().min(most);
            return Ok(self.buffer.split_to(length).freeze());
        }
        let mut bytes = self.stream.read(most.min(CHUNK)).await?;
        let piece = bytes.split_to(bytes.len().min(most));
        self.buffer.extend_from_slice(&bytes);
        Ok(piece)
    }

    /// Waits for the end of a stream that should bring nothing more. Let go before it, QUIC would stop the stream, and a
    /// client that is about to end it would take that for a failure.
    async fn end(&mut self) {
        if self.buffer.is_empty() {
            // What comes instead of the end, or does not come at all, is stopped.
            let _ = tokio::time::timeout(LAST_WORD, self.stream.read(1)).await;
        }
    }

    async fn more(&mut self, most: usize) -> Result<(), SourceEnd> {
        let bytes = self.stream.read(most).await?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
