//! A virtual connection: queues of the real session code on one side, a model client on the other, and between them
//! delay, loss, disorder, repetition, blackouts and an end that each side notices in its own time.

use super::judge::Shared;
use super::random::Random;
use super::tap::Tap;
use crate::native::streams::ByteSource;
use crate::native::{Carrier, Door, End, IncomingStream, LOGIN_TIME, Lane, Mover, queues, serve};
use atoll_proto::close::CloseCode;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

/// Pieces of an upstream stream that the edge may leave unread.
const PIECES: usize = 4;

/// When a piece that found no room is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// Bytes for a client that is not there any more, after which the edge finds no room.
const VOID: usize = 64 * 1024;

/// How a network treats what it carries.
#[derive(Clone, Copy)]
pub(super) struct Quality {
    /// Percent of datagrams lost.
    pub(super) loss: u64,
    /// Percent of datagrams that come twice.
    pub(super) twice: u64,
    /// Shortest delay, in milliseconds.
    pub(super) delay: u64,
    /// What may be added to it, in milliseconds. It is what brings datagrams out of order.
    pub(super) jitter: u64,
}

impl Quality {
    pub(super) const CALM: Self = Self { loss: 0, twice: 0, delay: 20, jitter: 0 };

    pub(super) fn any(random: &mut Random) -> Self {
        let (loss, twice) = (random.between(0, 20), random.between(0, 20));
        Self { loss, twice, delay: random.between(1, 60), jitter: random.between(0, 120) }
    }
}

/// Something that reaches the client.
#[derive(Debug)]
pub(super) enum Down {
    Control(Bytes),
    Ordered(Bytes),
    Large(Bytes),
    Datagram(Bytes),
    Closed(CloseCode),
}

/// An upstream: the control stream, a lane, or on QUIC one large message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Up {
    Control,
    Ordered,
    Large,
}

struct UpStream {
    kind: Up,
    sender: Option<mpsc::Sender<Bytes>>,
    pieces: VecDeque<(Instant, Bytes)>,
    /// Pieces follow each other.
    last: Instant,
    finished: bool,
}

pub(super) struct Wire {
    pub(super) number: u32,
    /// Streams as QUIC has them, not as WebSocket does.
    pub(super) quic: bool,
    random: Random,
    quality: Quality,
    order: u64,
    /// Nothing comes through before.
    blackout: Instant,
    /// The client reads nothing before.
    stall: Instant,
    /// From here on nothing comes through.
    cut: bool,
    ignored: bool,
    lost_at: Option<Instant>,
    mover: Option<Mover>,
    /// When the edge's end was dropped.
    pub(super) gone_at: Option<Instant>,
    down: BTreeMap<(Instant, u64), Down>,
    down_last: [Instant; 3],
    datagrams: BTreeMap<(Instant, u64), Bytes>,
    streams: Vec<UpStream>,
    void: usize,
    tap: Tap,
}

impl Wire {
    /// Connects, and lets the real code serve the connection.
    pub(super) fn open(door: &Door, number: u32, quality: Quality, mut random: Random, judge: &Shared) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (queues, streams, datagrams, mover) = queues(ip);
        let place = door.enter(ip).unwrap();
        let now = Instant::now();
        let connection = door.connection(Carrier::Queues(queues), streams, datagrams);
        tokio::spawn(serve(door.clone(), connection, place, now + LOGIN_TIME));
        let control = UpStream {
            kind: Up::Control,
            sender: Some(mover.incoming.control.clone()),
            pieces: VecDeque::new(),
            last: now,
            finished: false,
        };
        Self {
            number,
            quic: random.percent(50),
            random,
            quality,
            order: 0,
            blackout: now,
            stall: now,
            cut: false,
            ignored: false,
            lost_at: None,
            mover: Some(mover),
            gone_at: None,
            down: BTreeMap::new(),
            down_last: [now; 3],
            datagrams: BTreeMap::new(),
            streams: vec![control],
            void: 0,
            tap: Tap::new(judge.clone()),
        }
    }

    /// Nothing comes through for a while.
    pub(super) fn black_out(&mut self, until: Instant) {
        self.blackout = until;
    }

    /// The client reads nothing for a while.
    pub(super) fn stall(&mut self, until: Instant) {
        self.stall = until;
    }

    pub(super) fn calm(&mut self) {
        self.quality = Quality::CALM;
    }

    /// From now on nothing comes through, in the middle of a piece perhaps; the edge notices at `lost_at`.
    pub(super) fn cut(&mut self, lost_at: Instant) {
        self.cut = true;
        self.lost_at = Some(lost_at);
        self.down.clear();
        for stream in &mut self.streams {
            stream.pieces.truncate(1);
            if let Some((_, piece)) = stream.pieces.front_mut() {
                let kept = self.random.between(0, piece.len() as u64) as usize;
                piece.truncate(kept);
            }
        }
        if self.random.percent(50) {
            self.datagrams.clear();
        }
    }

    /// The client closes; what it sent before arrives before.
    pub(super) fn close(&mut self, now: Instant) {
        let last = self.streams.iter().map(|stream| stream.last).max().unwrap_or(now);
        self.lost_at = Some(last.max(now) + Duration::from_millis(1));
        self.down.clear();
        self.void = VOID;
    }

    /// The client has gone to another connection and hears nothing of this one any more.
    pub(super) fn leave(&mut self) {
        self.ignored = true;
        self.down.clear();
    }

    pub(super) fn send(&mut self, now: Instant, kind: Up, bytes: Bytes) {
        if self.cut || bytes.is_empty() {
            return;
        }
        // A large message of QUIC has a stream of its own, which its last piece finishes.
        let alone = self.quic && kind == Up::Large;
        let at = self.streams.iter().position(|stream| stream.kind == kind).filter(|_| !alone);
        let at = at.unwrap_or_else(|| {
            let pieces = VecDeque::new();
            self.streams.push(UpStream { kind, sender: None, pieces, last: now, finished: alone });
            self.streams.len() - 1
        });
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = self.random.between(1, 16 * 1024).min(rest.len() as u64) as usize;
            let arrival = now.max(self.blackout) + self.delay();
            let stream = &mut self.streams[at];
            stream.last = stream.last.max(arrival);
            stream.pieces.push_back((stream.last, rest.split_to(length)));
        }
    }

    pub(super) fn send_datagram(&mut self, now: Instant, bytes: Bytes) {
        if self.cut || now < self.blackout {
            return;
        }
        for _ in 0..self.copies() {
            self.order += 1;
            let arrival = now + self.delay();
            self.datagrams.insert((arrival, self.order), bytes.clone());
        }
    }

    /// The next thing that has reached the client.
    pub(super) fn receive(&mut self, now: Instant) -> Option<Down> {
        let first = self.down.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When something happens by itself.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let down = self.down.keys().next().map(|(at, _)| *at);
        let Some(_) = &self.mover else { return down };
        let datagram = self.datagrams.keys().next().map(|(at, _)| *at);
        let pieces = self.streams.iter().filter_map(|stream| stream.pieces.front().map(|(at, _)| *at)).min();
        let stall = Some(self.stall).filter(|at| *at > now);
        [down, datagram, pieces, self.lost_at, stall].into_iter().flatten().min()
    }

    /// Brings to the edge what has arrived there.
    pub(super) fn deliver(&mut self, now: Instant) {
        let Some(mover) = &mut self.mover else { return };
        while let Some(first) = self.datagrams.first_entry().filter(|first| first.key().0 <= now) {
            let _ = mover.incoming.datagrams.try_send(first.remove());
        }
        for stream in &mut self.streams {
            stream.deliver(now, self.quic, mover);
        }
        self.streams.retain(|stream| !stream.is_done());
        if self.lost_at.is_some_and(|at| at <= now) {
            mover.incoming.ended(if self.cut { End::Lost } else { End::ByPeer });
            self.let_go(now);
            return;
        }
        let code = mover.close.borrow().as_ref().map(|(code, _)| *code);
        let Some(code) = code else { return };
        let _ = self.drain(&mut Context::from_waker(std::task::Waker::noop()), now);
        let last = self.down_last.iter().max().copied().unwrap_or(now).max(now);
        self.arrives(last, Down::Closed(code));
        self.let_go(now);
    }

    fn let_go(&mut self, now: Instant) {
        self.mover = None;
        self.streams.clear();
        self.gone_at = Some(now);
    }

    /// Takes what the edge has for the client, if there is anything.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        if now < self.stall || self.void >= VOID {
            return Poll::Pending;
        }
        let Some(mut mover) = self.mover.take() else { return Poll::Pending };
        let mut any = Poll::Pending;
        while let Poll::Ready(Some(bytes)) = mover.control.poll_recv(cx) {
            self.tap.control(&bytes, now);
            self.flows(0, now, Down::Control(bytes));
            any = Poll::Ready(());
        }
        while let Poll::Ready(Some(bytes)) = mover.ordered.poll_recv(cx) {
            self.flows(1, now, Down::Ordered(bytes));
            any = Poll::Ready(());
        }
        while let Poll::Ready(Some(bytes)) = mover.large.poll_recv(cx) {
            self.flows(2, now, Down::Large(bytes));
            any = Poll::Ready(());
        }
        while let Poll::Ready(Some(bytes)) = mover.datagrams.poll_recv(cx) {
            self.tap.datagram(&bytes, now);
            any = Poll::Ready(());
            if self.cut || now < self.blackout {
                continue;
            }
            for _ in 0..self.copies() {
                let arrival = now + self.delay();
                self.arrives(arrival, Down::Datagram(bytes.clone()));
            }
        }
        self.mover = Some(mover);
        any
    }

    fn flows(&mut self, stream: usize, now: Instant, down: Down) {
        if self.cut {
            if let Down::Control(bytes) | Down::Ordered(bytes) | Down::Large(bytes) = down {
                self.void += bytes.len();
            }
            return;
        }
        let arrival = now.max(self.blackout) + self.delay();
        self.down_last[stream] = self.down_last[stream].max(arrival);
        self.arrives(self.down_last[stream], down);
    }

    fn arrives(&mut self, at: Instant, down: Down) {
        if self.ignored {
            return;
        }
        self.order += 1;
        self.down.insert((at, self.order), down);
    }

    fn delay(&mut self) -> Duration {
        self.random.millis(self.quality.delay, self.quality.delay + self.quality.jitter)
    }

    fn copies(&mut self) -> u32 {
        if self.random.percent(self.quality.loss) {
            return 0;
        }
        1 + u32::from(self.random.percent(self.quality.twice))
    }
}

impl UpStream {
    fn deliver(&mut self, now: Instant, quic: bool, mover: &Mover) {
        while let Some((at, piece)) = self.pieces.front_mut() {
            if *at > now {
                return;
            }
            if self.sender.is_none() {
                let (sender, source) = mpsc::channel(PIECES);
                let source = ByteSource::Queue(source);
                let stream = match self.kind {
                    _ if quic => IncomingStream::Typed(source),
                    Up::Large => IncomingStream::Lane(Lane::Large, source),
                    Up::Control | Up::Ordered => IncomingStream::Lane(Lane::Ordered, source),
                };
                if let Err(TrySendError::Full(_)) = mover.incoming.streams.try_send(stream) {
                    *at = now + AGAIN;
                    return;
                }
                self.sender = Some(sender);
            }
            let sender = self.sender.as_ref().unwrap();
            if let Err(TrySendError::Full(_)) = sender.try_send(piece.clone()) {
                *at = now + AGAIN;
                return;
            }
            self.pieces.pop_front();
        }
    }

    fn is_done(&self) -> bool {
        self.finished && self.pieces.is_empty()
    }
}
