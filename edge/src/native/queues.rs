//! A carrier made of queues, for what is not QUIC. A task moves them: to a WebSocket, or in a test to a virtual network.

use super::ending::Ending;
use super::streams::{ByteSink, ByteSource, Datagrams, End, IncomingStream, Lane, Sent, Streams};
use atoll_core::room::{Batch, WEBTRANSPORT_PREFIX, WebTransport};
use atoll_proto::close::CloseCode;
use bytes::{Buf, Bytes};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Chunks that wait to be sent: one tick of 1,000 members with 120 bytes each. More are dropped and counted.
const DATAGRAMS_OUT: usize = 128;

/// Waiting chunks at which a client is skipped: as many bytes as on QUIC.
const BEHIND: usize = 3;

/// Datagrams of a client that wait for its session; more are dropped. As many bytes as QUIC keeps.
const DATAGRAMS_IN: usize = 64;

/// Pieces of a stream that wait on either side. A full queue holds its writer up.
const PIECES: usize = 4;

/// How long a closed connection may take to send what is queued.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The session's side: where it puts what is to be sent, and its end.
#[derive(Clone)]
pub(crate) struct Queues(Arc<Outgoing>);

struct Outgoing {
    remote: IpAddr,
    datagrams: mpsc::Sender<Bytes>,
    ordered: mpsc::Sender<Bytes>,
    large: mpsc::Sender<Bytes>,
    close: watch::Sender<Option<(CloseCode, String)>>,
    end: watch::Receiver<Option<End>>,
    news: Arc<News>,
}

/// What the mover tells of the client beside what that sends.
#[derive(Default)]
struct News {
    violation: OnceLock<String>,
    hold: Mutex<Hold>,
}

#[derive(Default)]
struct Hold {
    on: bool,
    ended: Option<Instant>,
}

/// The other side: what a task moves. Streams go out in pieces, in order; dropping this is the connection's end.
pub(crate) struct Mover {
    /// The control stream to the client.
    pub(crate) control: mpsc::Receiver<Bytes>,
    /// The ordered stream to the client.
    pub(crate) ordered: mpsc::Receiver<Bytes>,
    /// Whole datagrams to the client.
    pub(crate) datagrams: mpsc::Receiver<Bytes>,
    /// Large messages to the client, one after the other.
    pub(crate) large: mpsc::Receiver<Bytes>,
    /// What the client sends.
    pub(crate) incoming: MoverIn,
    /// With which code, and why, the session closes. What is in `control` goes before.
    pub(crate) close: watch::Receiver<Option<(CloseCode, String)>>,
}

/// Where a task puts what the client sends.
pub(crate) struct MoverIn {
    /// The control stream.
    pub(crate) control: mpsc::Sender<Bytes>,
    /// Datagrams; a full queue drops.
    pub(crate) datagrams: mpsc::Sender<Bytes>,
    /// Streams that the client opens.
    pub(crate) streams: mpsc::Sender<IncomingStream>,
    /// Told when the connection ends.
    end: watch::Sender<Option<End>>,
    news: Arc<News>,
}

/// While this is there, nothing is taken from the client.
pub(crate) struct HoldUp(Arc<News>);

/// Makes a connection of queues and what moves them.
pub(crate) fn queues(remote: IpAddr) -> (Queues, Streams, Datagrams, Mover) {
    let (control_out, control_queue) = mpsc::channel(PIECES);
    let (ordered_out, ordered_queue) = mpsc::channel(PIECES);
    let (large_out, large_queue) = mpsc::channel(1);
    let (datagrams_out, datagram_queue) = mpsc::channel(DATAGRAMS_OUT);
    // Before the login, this is all that a client can fill.
    let (control_in, control_source) = mpsc::channel(1);
    let (datagrams_in, datagram_source) = mpsc::channel(DATAGRAMS_IN);
    let (streams_in, streams) = mpsc::channel(PIECES);
    let (close, closing) = watch::channel(None);
    let (end, ended) = watch::channel(None);
    let news = Arc::<News>::default();

    let control = (ByteSink::Queue(control_out), ByteSource::Queue(control_source));
    let streams = Streams::Queue { control: Some(control), lanes: streams };
    let outgoing = Outgoing {
        remote,
        datagrams: datagrams_out,
        ordered: ordered_out,
        large: large_out,
        close,
        end: ended,
        news: news.clone(),
    };
    let mover = Mover {
        control: control_queue,
        ordered: ordered_queue,
        datagrams: datagram_queue,
        large: large_queue,
        incoming: MoverIn { control: control_in, datagrams: datagrams_in, streams: streams_in, end, news },
        close: closing,
    };
    (Queues(Arc::new(outgoing)), streams, Datagrams::Queue(datagram_source), mover)
}

impl Queues {
    pub(super) fn remote(&self) -> IpAddr {
        self.0.remote
    }

    pub(super) fn sink(&self, lane: Lane) -> mpsc::Sender<Bytes> {
        match lane {
            Lane::Ordered => self.0.ordered.clone(),
            Lane::Large => self.0.large.clone(),
        }
    }

    pub(super) fn send_batch(&self, batch: &Batch) -> Sent {
        let queue = &self.0.datagrams;
        if queue.is_closed() {
            return Sent::Gone;
        }
        if queue.max_capacity() - queue.capacity() >= BEHIND {
            return Sent::Behind;
        }
        let chunks = batch.encoded::<WebTransport>();
        for (sent, chunk) in chunks.iter().enumerate() {
            let mut chunk = chunk.clone();
            chunk.advance(WEBTRANSPORT_PREFIX.len());
            if queue.try_send(chunk).is_err() {
                return Sent::Cut { dropped: chunks.len() - sent };
            }
        }
        Sent::Flowing { too_large: 0 }
    }

    pub(super) fn ended(&self) -> Option<End> {
        let told = *self.0.end.borrow();
        told.or_else(|| self.0.datagrams.is_closed().then_some(End::Lost))
    }

    /// What the client did against the rules of what carries it.
    pub(super) fn violation(&self) -> Option<Ending> {
        self.0.news.violation.get().map(|what| Ending::new(CloseCode::Malformed, what))
    }

    /// Until when the client was last held up: now, while it is.
    pub(super) fn held_up(&self) -> Option<Instant> {
        let hold = self.0.news.hold();
        if hold.on { Some(Instant::now()) } else { hold.ended }
    }

    pub(super) async fn close(&self, code: CloseCode, reason: &str) {
        self.0.close.send_if_modified(|close| {
            let first = close.is_none();
            close.get_or_insert_with(|| (code, reason.to_owned()));
            first
        });
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.0.datagrams.closed()).await;
    }
}

impl MoverIn {
    /// Tells how the connection ended. The session hears of it when this is dropped.
    pub(crate) fn ended(&self, end: End) {
        self.end.send_replace(Some(end));
    }

    /// Tells what the client did against the rules. The session ends when this is dropped, and says so.
    pub(crate) fn violated(&self, what: impl ToString) {
        // The first one counts.
        let _ = self.news.violation.set(what.to_string());
    }

    /// Tells that the client has to wait until what it sent is read, and cannot be heard. One at a time.
    pub(crate) fn hold_up(&self) -> HoldUp {
        self.news.hold().on = true;
        HoldUp(Arc::clone(&self.news))
    }
}

impl News {
    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HoldUp {
    fn drop(&mut self) {
        *self.0.hold() = Hold { on: false, ended: Some(Instant::now()) };
    }
}
