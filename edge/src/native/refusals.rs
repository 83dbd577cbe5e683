//! Refused items on their way to the client: counted by code, told at most once a second.

use super::counters::{Counters, REFUSALS};
use atoll_proto::atoll::{Error, ErrorCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time between two reports to one client.
const PAUSE: Duration = Duration::from_secs(1);

/// Refused items of one session. A flood of bad input costs counting, not messages.
pub(super) struct Refusals {
    counters: Arc<Counters>,
    unreported: [AtomicU32; REFUSALS.len()],
    news: Notify,
}

impl Refusals {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, unreported: Default::default(), news: Notify::new() }
    }

    /// Counts a refused item.
    pub(super) fn add(&self, code: ErrorCode) {
        self.counters.refused(code, 1);
        let at = REFUSALS.iter().position(|known| *known == code);
        if let Some(unreported) = at.and_then(|at| self.unreported.get(at)) {
            unreported.fetch_add(1, Ordering::Relaxed);
            self.news.notify_one();
        }
    }

    fn take(&self) -> Vec<Error> {
        let counts = self.unreported.iter().map(|count| count.swap(0, Ordering::Relaxed));
        let refused = REFUSALS.into_iter().zip(counts).filter(|(_, count)| *count > 0);
        refused.map(|(code, count)| Error { code: code.into(), reason: reason(code).to_owned(), count }).collect()
    }
}

/// When the session's loop should report next.
pub(super) struct Reports {
    refusals: Arc<Refusals>,
    /// News that waits for the pause to end.
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Reports {
    pub(super) fn new(refusals: Arc<Refusals>) -> Self {
        Self { refusals, due: None, last: None }
    }

    /// Waits for refused items, and for the pause since the last report to end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Vec<Error> {
        let due = match self.due {
            Some(due) => due,
            None => {
                self.refusals.news.notified().await;
                let now = Instant::now();
                let due = self.last.map_or(now, |last| now.max(last + PAUSE));
                *self.due.insert(due)
            }
        };
        tokio::time::sleep_until(due).await;
        self.due = None;
        self.last = Some(Instant::now());
        self.refusals.take()
    }
}

fn reason(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Unspecified => "",
        ErrorCode::InvalidPosition => {
            "a heartbeat needs a position with finite coordinates within 1,000 km of the origin"
        }
        ErrorCode::PayloadTooLarge => "a datagram's payload is above the limit in welcome",
        ErrorCode::MalformedDatagram => "a datagram is shorter than its header, or of an unknown kind",
        ErrorCode::NoSeat => "a datagram or message came before the first island_changed",
        ErrorCode::TooFast => {
            "more heartbeats, datagrams, topic messages or joins than are taken; the newest were dropped"
        }
        ErrorCode::RoomFull => "the room has no seat left",
        ErrorCode::InvalidRoom => "a desired room has a name of at most 64 bytes",
        ErrorCode::Unsupported => "this room does not offer that kind of datagram, or there is no such scope of topics",
        ErrorCode::LeftRoom => "an ordered or large message is for a room left more than 2 s ago; it reached nobody",
        ErrorCode::InvalidTopic => "the text is no topic to publish to, or one that belongs to the region",
        ErrorCode::TooManySubscriptions => "more subscriptions than a session may have",
        ErrorCode::InvalidConnectionString => {
            "a room is joined by quic:<room> or ws-room:<url>/rooms/<room>, perhaps with ?access_token=<token>"
        }
        ErrorCode::RoomRefused => "there is no room of this name for this client, or its token does not hold",
        ErrorCode::RoomLost => "somebody else proved the address to the room that was joined",
        ErrorCode::NotForAll => {
            "a message was left out for members whose transport does not carry so much; the others have it"
        }
        ErrorCode::ResumeRefused => "the resume token is unknown, used or too old",
    }
}
