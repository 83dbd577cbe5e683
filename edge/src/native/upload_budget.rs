//! Memory for large messages on their way in, of all clients together.
//!
//! It is paid for as bytes arrive; an announcement holds nothing. When it is exhausted, those give way that hold some and
//! do not go on: their connections end, and their clients send the message again when they have resumed. Those that go on
//! are never asked to. One of them at a time, the elder, may use a reserve of one whole message: so they cannot all hold
//! a part and wait for each other.

use atoll_proto::lanes::MAX_LARGE;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes of large messages of all clients: those that have arrived and were not passed on yet.
pub(super) const UPLOAD_BUDGET: usize = 64 << 20;

/// What only the elder may use.
const RESERVE: usize = MAX_LARGE;

/// Bytes a second with which a message goes on, whoever else waits.
const GOOD_RATE: usize = 32 * 1024;

/// For so long a message goes on at first, and at most when it came faster than it has to.
const GRACE: Duration = Duration::from_secs(2);

/// How long a message may take beside what its bytes may.
const SETUP: Duration = Duration::from_secs(10);

/// Bytes a second with which a message may come while nobody waits for its memory.
const SLOWEST: usize = 16 * 1024;

/// How long a message may wait for memory.
const WAIT: Duration = Duration::from_secs(30);

/// Time between two looks at who goes on.
const LOOK: Duration = Duration::from_millis(250);

/// What all clients together may hold.
#[derive(Debug)]
pub(super) struct UploadBudget {
    most: usize,
    state: Mutex<State>,
    /// Told when somebody gave memory back.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    /// By their age.
    uploads: BTreeMap<u64, Entry>,
    next: u64,
    elder: Option<u64>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    length: usize,
    held: usize,
    /// It goes on until then, if nothing more comes.
    good_until: Instant,
    /// When all of it has to be there.
    due: Instant,
    /// Since when it waits for memory. Its own clocks stand still meanwhile.
    waiting: Option<Instant>,
    gives_way: bool,
    /// Told when one of the above changed.
    told: Arc<Notify>,
}

/// A large message from its header until it was passed on. What it holds is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Upload {
    budget: Arc<UploadBudget>,
    id: u64,
    told: Arc<Notify>,
}

/// Why a message is not read on. Its client may send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum GaveWay {
    /// It took longer than its length allows.
    #[error("a large message came slower than {} KiB a second", SLOWEST / 1024)]
    Slow,
    /// It held memory, did not go on, and others waited.
    #[error("a large message stood still, and others needed its room")]
    Still,
    /// Others held everything and went on.
    #[error("no room for a large message in {} seconds", WAIT.as_secs())]
    NoRoom,
}

impl UploadBudget {
    /// For at most `most` bytes, of which the last [`MAX_LARGE`] are the reserve.
    pub(super) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), freed: Notify::new() }
    }

    /// A message of so many bytes begins to come.
    pub(super) fn begin(self: &Arc<Self>, length: usize) -> Upload {
        let now = Instant::now();
        let told = Arc::<Notify>::default();
        let entry = Entry {
            length,
            held: 0,
            good_until: now + GRACE,
            due: now + SETUP + time_for(length, SLOWEST),
            waiting: None,
            gives_way: false,
            told: Arc::clone(&told),
        };
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.uploads.insert(id, entry);
        Upload { budget: Arc::clone(self), id, told }
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.lock().held
    }

    /// Takes memory for so many bytes that have arrived, if there is some.
    fn take(&self, id: u64, bytes: usize) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        if !state.has_room(id, bytes, self.most) {
            if let Some(entry) = state.uploads.get_mut(&id) {
                entry.wait(now);
            }
            state.look(now, self.most);
            // It may be the elder now.
            if !state.has_room(id, bytes, self.most) {
                return false;
            }
        }
        let Some(entry) = state.uploads.get_mut(&id) else { return true };
        entry.take(now, bytes);
        let whole = entry.is_whole();
        state.held += bytes;
        if whole {
            state.retire(id);
        }
        true
    }

    fn give_back(&self, id: u64) {
        let mut state = self.lock();
        state.retire(id);
        let Some(entry) = state.uploads.remove(&id) else { return };
        state.held -= entry.held;
        drop(state);
        self.freed.notify_waiters();
    }

    /// Whether that message has to give way, or else when it will have to.
    fn verdict(&self, id: u64) -> Result<Instant, GaveWay> {
        let now = Instant::now();
        let state = self.lock();
        let Some(entry) = state.uploads.get(&id) else { return Err(GaveWay::Still) };
        if entry.gives_way {
            return Err(GaveWay::Still);
        }
        let (until, fault) = match entry.waiting {
            Some(since) => (since + WAIT, GaveWay::NoRoom),
            None => (entry.due, GaveWay::Slow),
        };
        if now >= until { Err(fault) } else { Ok(until) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, id: u64, bytes: usize, most: usize) -> bool {
        let reserve = if self.elder == Some(id) { 0 } else { RESERVE };
        self.held + bytes + reserve <= most
    }

    /// Finds who goes on, and asks as many others to give way as those who wait need. Not too often: it costs.
    fn look(&mut self, now: Instant, most: usize) {
        if self.looked.is_some_and(|looked| now < looked + LOOK) {
            return;
        }
        self.looked = Some(now);
        self.elder = self.uploads.iter().find(|(_, entry)| entry.goes_on(now)).map(|(id, _)| *id);
        let sum = |part: fn(&Entry) -> usize| self.uploads.values().map(part).sum::<usize>();
        let coming_back = sum(|entry| if entry.gives_way { entry.held } else { 0 });
        let wanted =
            sum(|entry| if entry.waiting.is_some() && !entry.gives_way { entry.length - entry.held } else { 0 });
        let mut missing = (self.held - coming_back + wanted + RESERVE).saturating_sub(most);
        let mut still: Vec<&mut Entry> =
            self.uploads.values_mut().filter(|entry| entry.held > 0 && entry.stands_still(now)).collect();
        // Those first that hold much for long.
        still.sort_by_key(|entry| std::cmp::Reverse(entry.held as u128 * entry.behind(now).as_millis()));
        for entry in still {
            if missing == 0 {
                return;
            }
            missing = missing.saturating_sub(entry.held);
            entry.gives_way = true;
            entry.told.notify_one();
        }
    }

    /// Lets another one be the elder, at the next look, which may then be at once.
    fn retire(&mut self, id: u64) {
        if self.elder == Some(id) {
            self.elder = None;
            self.looked = None;
        }
    }
}

impl Entry {
    fn take(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.due += now - since;
            self.good_until += now - since;
            self.told.notify_one();
        }
        self.held += bytes;
        self.good_until = (self.good_until.max(now) + time_for(bytes, GOOD_RATE)).min(now + GRACE);
    }

    fn wait(&mut self, now: Instant) {
        if self.waiting.is_none() {
            self.waiting = Some(now);
            self.told.notify_one();
        }
    }

    fn is_whole(&self) -> bool {
        self.held >= self.length
    }

    /// How long ago it should have gone on.
    fn behind(&self, now: Instant) -> Duration {
        self.waiting.unwrap_or(now).saturating_duration_since(self.good_until)
    }

    fn goes_on(&self, now: Instant) -> bool {
        !self.is_whole() && !self.gives_way && self.behind(now).is_zero()
    }

    fn stands_still(&self, now: Instant) -> bool {
        !self.is_whole() && !self.gives_way && !self.behind(now).is_zero()
    }
}

impl Upload {
    /// Pays for bytes of the message that have arrived; waits while there is no room for them. Whoever waits here has
    /// to mind [`Upload::gives_way`] as well.
    pub(super) async fn pay(&self, bytes: usize) {
        loop {
            // Before it is tried, so that nothing that is given back meanwhile is missed.
            let freed = self.budget.freed.notified();
            if self.budget.take(self.id, bytes) {
                return;
            }
            // By then others may stand still.
            let _ = timeout(LOOK, freed).await;
        }
    }

    /// Waits until the message must not be read on.
    pub(super) async fn gives_way(&self) -> GaveWay {
        loop {
            match self.budget.verdict(self.id) {
                Err(fault) => return fault,
                Ok(until) => tokio::select! {
                    () = self.told.notified() => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.budget.give_back(self.id);
    }
}

/// How long so many bytes take at so many a second.
fn time_for(bytes: usize, rate: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / rate as u64)
}

#[cfg(test)]
#[path = "upload_budget_tests.rs"]
mod tests;
