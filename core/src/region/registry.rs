//! Who is logged in, and which island each session stands in.

use super::life::Life;
use super::session::SessionEvent;
use super::{Capabilities, Transport};
use crate::limit::{AmongEquals, Crowd, Spot};
use crate::room::{RoomId, SessionId};
use atoll_proto::Address;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
}

#[derive(Debug)]
struct Entry {
    id: SessionId,
    capabilities: Capabilities,
    events: mpsc::Sender<SessionEvent>,
    kicked: Arc<AtomicBool>,
    spot: Arc<Spot>,
    island: Option<(RoomId, u64)>,
    /// Counts the moves from one island to another, for those who have its seats.
    moves: watch::Sender<u64>,
}

impl Registry {
    /// For so many sessions. Their numbers go on from `start`, which should differ from process to process: tokens name them.
    pub(super) fn new(max_sessions: usize, start: u32) -> Self {
        let crowd = Arc::new(Crowd::new(max_sessions, None, AmongEquals::NewcomerLeaves));
        // JSON has 53 bits.
        let sessions = Sessions { last_id: u64::from(start) << 20, by_address: HashMap::new() };
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
