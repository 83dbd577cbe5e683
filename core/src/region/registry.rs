//! Who is logged in, and which island each session stands in.

use super::attendance::Attendance;
use super::life::Life;
use super::session::SessionEvent;
use super::{Capabilities, Transport};
use crate::limit::{AmongEquals, Crowd, Spot};
use crate::room::{RoomId, SessionId};
use atoll_proto::Address;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The sessions of a region, at most one for each address. Locked for look-ups only, never while packets flow.
#[derive(Debug)]
pub(super) struct Registry {
    crowd: Arc<Crowd>,
    sessions: Mutex<Sessions>,
}

#[derive(Debug)]
struct Sessions {
    last_id: u64,
    by_address: HashMap<Address, Entry>,
    /// Who may be due to be told of its island again, and when. Whether it is, its attendance says.
    absent: BTreeSet<(Duration, Address)>,
}

#[derive(Debug)]
struct Entry {
    id: SessionId,
    capabilities: Capabilities,
    events: mpsc::Sender<SessionEvent>,
    kicked: Arc<AtomicBool>,
    spot: Arc<Spot>,
    island: Option<(RoomId, u64)>,
    attendance: Attendance,
    /// Counts the moves from one island to another, for those who have its seats.
    moves: watch::Sender<u64>,
}

impl Registry {
    /// For so many sessions. Their numbers go on from `start`, which should differ from process to process: tokens name them.
    pub(super) fn new(max_sessions: usize, start: u32) -> Self {
        let crowd = Arc::new(Crowd::new(max_sessions, None, AmongEquals::NewcomerLeaves));
        // JSON has 53 bits.
        let sessions =
            Sessions { last_id: u64::from(start) << 20, by_address: HashMap::new(), absent: BTreeSet::new() };
        Self { crowd, sessions: Mutex::new(sessions) }
    }

    /// Enters a session; an older one of the address is told that it was kicked. In a full region another session may have
    /// to go for it. `None` when none has to.
    pub(super) fn open(
        &self,
        address: Address,
        from: IpAddr,
        capabilities: Capabilities,
        events: mpsc::Sender<SessionEvent>,
        kicked: Arc<AtomicBool>,
    ) -> Option<(SessionId, Arc<Spot>)> {
        let mut sessions = self.lock();
        if let Some(replaced) = sessions.by_address.get(&address) {
            // So that there is a spot for its successor, unless it was evicted; then it ends anyway. Others come in under
            // this lock only.
            replaced.spot.leave();
        }
        let spot = Arc::new(self.crowd.enter(from)?);
        sessions.last_id += 1;
        let id = SessionId(sessions.last_id);
        let entry = Entry {
            id,
            capabilities,
            events,
            kicked,
            spot: Arc::clone(&spot),
            island: None,
            attendance: Attendance::default(),
            moves: watch::Sender::new(0),
        };
        let replaced = sessions.by_address.insert(address, entry);
        if let Some(replaced) = replaced {
            // It ends with its queue, whose only sender goes here; the flag tells it why.
            replaced.kicked.store(true, Ordering::Relaxed);
        }
        Some((id, spot))
    }

    /// Removes a session and calls `announce`, unless a newer one has taken its place. No login of the address comes
    /// between the two.
    pub(super) fn close(&self, address: Address, id: SessionId, announce: impl FnOnce()) {
        let mut sessions = self.lock();
        if sessions.by_address.get(&address).is_some_and(|entry| entry.id == id) {
            sessions.by_address.remove(&address);
            announce();
        }
    }

    /// The island of a session and the generation of that fact; `None` when it has none or has been replaced.
    pub(super) fn island(&self, address: Address, id: SessionId) -> Option<(RoomId, u64)> {
        let sessions = self.lock();
        sessions.by_address.get(&address).filter(|entry| entry.id == id)?.island.clone()
    }

    /// The session of an address.
    pub(super) fn current(&self, address: Address) -> Option<SessionId> {
        self.lock().by_address.get(&address).map(|entry| entry.id)
    }

    /// Whether an address's session is that of a native client.
    pub(super) fn is_native(&self, address: Address) -> bool {
        self.lock().by_address.get(&address).is_some_and(|entry| entry.capabilities.includes(Transport::Quic))
    }

    /// What the client of a session can use.
    pub(super) fn capabilities(&self, address: Address, id: SessionId) -> Option<Capabilities> {
        self.lock().by_address.get(&address).filter(|entry| entry.id == id).map(|entry| entry.capabilities)
    }

    /// What ends a seat of a session, taken now. `None` when the session has ended, or when the seat is in its island and
    /// this is not the `generation` of that fact any more.
    pub(super) fn life(&self, address: Address, id: SessionId, generation: Option<u64>) -> Option<Life> {
        let sessions = self.lock();
        let entry = sessions.by_address.get(&address).filter(|entry| entry.id == id)?;
        let now = entry.island.as_ref().map(|(_, generation)| *generation);
        let is_current = generation.is_none() || now == generation;
        is_current.then(|| Life::new(&entry.moves, generation.is_some(), Arc::clone(&entry.kicked)))
    }

    /// Puts the session of `address` into an island and tells it what `event` makes of it and its capabilities, if anything. A
    /// session that does not read its events ends.
    pub(super) fn move_to(
        &self,
        address: Address,
        room: RoomId,
        event: impl FnOnce(SessionId, Capabilities) -> Option<SessionEvent>,
    ) {
        let mut sessions = self.lock();
        let Some(entry) = sessions.by_address.get_mut(&address) else { return };
        let former = entry.island.take();
        if former.as_ref().is_some_and(|(former, _)| *former != room) {
            entry.moves.send_modify(|moves| *moves += 1);
            entry.attendance = Attendance::default();
        }
        let generation = former.map_or(0, |(_, generation)| generation + 1);
        entry.island = Some((room, generation));
        let Some(event) = event(entry.id, entry.capabilities) else { return };
        if entry.events.try_send(event).is_err() {
            // The receiver sees the end of its queue once this, its only sender, is gone.
            let (closed, _) = mpsc::channel(1);
            entry.events = closed;
        }
    }

    /// Notes what became of a session's seat in the island where it stands since so many `moves`. False when it has moved on, or
    /// ended.
    pub(super) fn attend(
        &self,
        address: Address,
        id: SessionId,
        moves: u64,
        note: impl FnOnce(&mut Attendance),
    ) -> bool {
        self.note(address, |entry| {
            let is_there = entry.id == id && *entry.moves.borrow() == moves;
            is_there.then(|| note(&mut entry.attendance)).is_some()
        })
    }

    /// Notes that a session was told of its island by a string that can be written again.
    pub(super) fn expect(&self, address: Address, id: SessionId, now: Duration) {
        self.note(address, |entry| {
            if entry.id == id {
                entry.attendance.expect(now);
            }
            true
        });
    }

    /// Notes that a session's seat in the island of this name was taken away.
    pub(super) fn dismiss(&self, address: Address, id: SessionId, island: &RoomId) {
        self.note(address, |entry| {
            if entry.id == id && entry.island.as_ref().is_some_and(|(room, _)| room == island) {
                entry.attendance.dismiss();
            }
            true
        });
    }

    /// Whether somebody may be due to be told of its island again.
    pub(super) fn has_overdue(&self, now: Duration) -> bool {
        self.lock().absent.first().is_some_and(|(due, _)| *due <= now)
    }

    /// Tells those who are due, at most so many, what `event` makes of them. One that does not read is passed over.
    /// Whether there may be more.
    pub(super) fn remind_overdue(
        &self,
        now: Duration,
        most: usize,
        event: impl Fn(Address, SessionId, Capabilities, &RoomId) -> SessionEvent,
    ) -> bool {
        let mut sessions = self.lock();
        let sessions = &mut *sessions;
        for _ in 0..most {
            let Some(&(due, address)) = sessions.absent.first().filter(|(due, _)| *due <= now) else { return false };
            sessions.absent.pop_first();
            let entry = sessions.by_address.get_mut(&address);
            let Some(entry) = entry.filter(|entry| entry.attendance.due() == Some(due)) else { continue };
            entry.attendance.remind(now);
            sessions.absent.extend(entry.attendance.due().map(|due| (due, address)));
            // Its queue is kept for what is new.
            let reads = entry.events.capacity() > entry.events.max_capacity() / 2;
            if let Some((room, _)) = entry.island.as_ref().filter(|_| reads) {
                let _ = entry.events.try_send(event(address, entry.id, entry.capabilities, room));
            }
        }
        true
    }

    /// Changes the attendance of an address's session, if it has one, and sees to when it is due.
    fn note(&self, address: Address, change: impl FnOnce(&mut Entry) -> bool) -> bool {
        let mut sessions = self.lock();
        let sessions = &mut *sessions;
        let Some(entry) = sessions.by_address.get_mut(&address) else { return false };
        let former = entry.attendance.due();
        let noted = change(entry);
        let due = entry.attendance.due();
        if former != due {
            if let Some(former) = former {
                sessions.absent.remove(&(former, address));
            }
            sessions.absent.extend(due.map(|due| (due, address)));
        }
        noted
    }

    /// Ends the session of `address`, which has logged in at another edge. It is told that it was kicked.
    pub(super) fn kick(&self, address: Address) {
        if let Some(replaced) = self.lock().by_address.remove(&address) {
            replaced.kicked.store(true, Ordering::Relaxed);
            replaced.spot.leave();
        }
    }

    /// Whether the session of `address` believes to stand in another island than `island`.
    pub(super) fn is_elsewhere(&self, address: Address, island: &str) -> bool {
        let sessions = self.lock();
        let known = sessions.by_address.get(&address).and_then(|entry| entry.island.as_ref());
        known.is_some_and(|(room, _)| room.as_str() != island)
    }

    pub(super) fn contains(&self, address: Address) -> bool {
        self.lock().by_address.contains_key(&address)
    }

    /// Sessions that had to go for others so far.
    pub(super) fn evictions(&self) -> u64 {
        self.crowd.evictions()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().by_address.len()
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
