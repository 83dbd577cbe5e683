//! What waits for one participant: from its room, and from LiveKit's clients there.

use super::data::Words;
use super::notice::Notice;
use crate::counters::RoomCounters;
use crate::late::Late;
use atoll_core::limit::{Budget, Share};
use atoll_core::room::{Batch, CloseReason, MemberList, Ordered};
use atoll_proto::datagram::Alias;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Largest message of a data channel, in bytes: clients refuse larger ones.
pub(super) const MAX_MESSAGE: usize = 65_535;

/// Bytes of what may not be lost that may wait for one participant: each of the others may say 2 MiB at once, which no data channel
/// carries at once. What waits for all counts against one budget.
const MAX_WAITING: usize = 16 << 20;

/// Those that may wait for one whose client takes nothing.
const MAX_STANDING: usize = 4 << 20;

/// What one message counts beside its bytes.
const OVERHEAD: usize = 128;

/// Batches that wait as they are; with one more, newer updates replace older ones.
const BATCHES: usize = 4;

/// Packets of media, and notices of who speaks, that may wait: half a second of some speakers. The oldest go.
const MEDIA: usize = 256;

/// Something that may not be lost, or not before what follows it.
#[derive(Debug)]
pub(super) enum Mail {
    /// Who is here.
    Members(MemberList),
    /// A packet.
    Ordered(Arc<Ordered>),
    /// Something from a client of this door.
    Notice(Notice),
    /// The room has let go of the link.
    Closed(CloseReason),
}

/// Between a room and one participant. The room puts in and never waits.
pub(super) struct Mailbox {
    counters: Arc<RoomCounters>,
    words: Words,
    state: Mutex<State>,
    news: Notify,
}

struct State {
    share: Share,
    /// What is told by signals.
    signals: VecDeque<Mail>,
    /// Whose names, metadata or tracks have changed: told once, however often they did.
    changed: BTreeSet<Alias>,
    /// What goes through the reliable channel.
    data: VecDeque<Mail>,
    cost: usize,
    media: VecDeque<Notice>,
    batches: VecDeque<Arc<Batch>>,
    late: Late,
    own: Option<Alias>,
    is_too_slow: bool,
    is_closed: bool,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(super) fn new(words: Words, budget: Arc<Budget>, counters: Arc<RoomCounters>) -> Self {
        let state = State {
            share: Share::new(budget),
            signals: VecDeque::new(),
            changed: BTreeSet::new(),
            data: VecDeque::new(),
            cost: 0,
            media: VecDeque::new(),
            batches: VecDeque::new(),
            late: Late::default(),
            own: None,
            is_too_slow: false,
            is_closed: false,
        };
        Self { counters, words, state: Mutex::new(state), news: Notify::new() }
    }

    /// Something that may not be lost. With more of it than may wait the participant is too slow, and nothing more is taken.
    pub(super) fn push(&self, mail: Mail) {
        let mut state = self.lock();
        if state.is_too_slow || state.is_closed {
            return;
        }
        match &mail {
            Mail::Notice(Notice::Changed(alias)) => {
                state.changed.insert(*alias);
                drop(state);
                return self.news.notify_one();
            }
            Mail::Members(MemberList::Snapshot { own, .. }) => state.own = *own,
            Mail::Members(MemberList::Change { left, .. }) => state.late.forget(left),
            _ => {}
        }
        state.is_closed = matches!(mail, Mail::Closed(_));
        state.cost += mail.cost();
        let cost = state.cost;
        state.share.set(cost);
        match mail {
            Mail::Ordered(_) | Mail::Notice(Notice::Data { .. }) => state.data.push_back(mail),
            Mail::Members(_) | Mail::Notice(_) | Mail::Closed(_) => state.signals.push_back(mail),
        }
        if cost > MAX_WAITING || state.share.is_too_much() {
            state.is_too_slow = true;
            state.forget();
        }
        drop(state);
        self.news.notify_one();
    }

    /// A packet of media, or news of who speaks.
    pub(super) fn push_media(&self, notice: Notice) {
        let mut state = self.lock();
        if state.is_too_slow || state.is_closed {
            return;
        }
        if state.media.len() >= MEDIA {
            state.media.pop_front();
            self.counters.dropped.add(1);
        }
        state.media.push_back(notice);
        drop(state);
        self.news.notify_one();
    }

    /// The news of one tick. Those of a participant that is behind are put together.
    pub(super) fn push_batch(&self, batch: Arc<Batch>) {
        let mut state = self.lock();
        if state.is_too_slow || state.is_closed {
            return;
        }
        state.batches.push_back(batch);
        if state.batches.len() > BATCHES || !state.late.is_empty() {
            state.put_together(self.words, &self.counters);
        }
        drop(state);
        self.news.notify_one();
    }

    /// What the participant understands.
    pub(super) fn words(&self) -> Words {
        self.words
    }

    /// Waits until there may be something in it. Cancel-safe.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes nothing in any more, and forgets what waits: the participant has gone, even if its seat has not.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.forget();
    }

    /// Whether more waits than may while nothing is taken.
    pub(super) fn is_much(&self) -> bool {
        self.lock().cost > MAX_STANDING
    }

    /// Whether more has come than the participant could take in.
    pub(super) fn is_too_slow(&self) -> bool {
        self.lock().is_too_slow
    }

    /// The next that is told by signals.
    pub(super) fn pop_signal(&self) -> Option<Mail> {
        let mut state = self.lock();
        if let Some(mail) = state.signals.pop_front() {
            return state.paid(Some(mail));
        }
        state.changed.pop_first().map(|alias| Mail::Notice(Notice::Changed(alias)))
    }

    /// The next that goes through the reliable channel. Nothing while signals wait: they tell of who said it.
    pub(super) fn pop_data(&self) -> Option<Mail> {
        let mut state = self.lock();
        if !state.signals.is_empty() {
            return None;
        }
        let mail = state.data.pop_front();
        state.paid(mail)
    }

    /// It did not go out: it is the next again.
    pub(super) fn put_back(&self, mail: Mail) {
        let mut state = self.lock();
        if state.is_too_slow {
            return;
        }
        state.cost += mail.cost();
        let cost = state.cost;
        state.share.set(cost);
        state.data.push_front(mail);
    }

    /// All media.
    pub(super) fn take_media(&self) -> VecDeque<Notice> {
        std::mem::take(&mut self.lock().media)
    }

    /// The next batch, unless signals wait, and whose news in it the participant does not hear.
    pub(super) fn pop_batch(&self) -> Option<(Arc<Batch>, Option<Alias>)> {
        let mut state = self.lock();
        if !state.signals.is_empty() {
            return None;
        }
        let own = state.own;
        state.batches.pop_front().map(|batch| (batch, own))
    }

    /// The next of what has waited for long.
    pub(super) fn pop_late(&self) -> Option<Bytes> {
        let mut state = self.lock();
        if state.signals.is_empty() { state.late.pop() } else { None }
    }

    /// The rest of a batch did not go out.
    pub(super) fn keep(&self, batch: &Batch, from: usize) {
        let mut state = self.lock();
        let own = state.own;
        for (sender, update, message) in self.words.batch(batch).each().skip(from) {
            if Some(sender) != own {
                state.late.add(sender, update, message, &self.counters);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self) {
        self.signals.clear();
        self.changed.clear();
        self.data.clear();
        self.cost = 0;
        self.share.set(0);
        self.media.clear();
        self.batches.clear();
        self.late = Late::default();
    }

    fn paid(&mut self, mail: Option<Mail>) -> Option<Mail> {
        self.cost -= mail.as_ref().map_or(0, Mail::cost);
        let cost = self.cost;
        self.share.set(cost);
        mail
    }

    fn put_together(&mut self, words: Words, counters: &RoomCounters) {
        for batch in self.batches.drain(..) {
            for (from, update, message) in words.batch(&batch).each() {
                if Some(from) != self.own {
                    self.late.add(from, update, message, counters);
                }
            }
        }
    }
}

impl Mail {
    fn cost(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Members(MemberList::Snapshot { members, .. }) => members.len() * OVERHEAD,
                Self::Members(MemberList::Change { joined, left }) => (joined.len() + left.len()) * OVERHEAD,
                Self::Ordered(ordered) => ordered.payload().map_or(0, Bytes::len),
                Self::Notice(Notice::Data { message, .. }) => message.len(),
                Self::Notice(_) | Self::Closed(_) => 0,
            }
    }
}

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
