//! News for a client that is behind: the newest update of each member, and the latest events.

use crate::counters::RoomCounters;
use atoll_proto::PacketKind;
use atoll_proto::datagram::Alias;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// Events, voice among them, that wait for a client that is behind, and their bytes. The oldest go.
pub(crate) const EVENTS: usize = 256;
const EVENT_BYTES: usize = 128 * 1024;

/// Bytes of updates that wait for such a client: the latest positions of a thousand members. Of whom there is no place for, it
/// hears when it has caught up.
pub(crate) const UPDATE_BYTES: usize = 128 * 1024;

/// News for a client that is behind.
#[derive(Default)]
pub(crate) struct Late {
    /// The newest update of each sender and kind.
    updates: BTreeMap<(Alias, PacketKind), Bytes>,
    update_bytes: usize,
    /// Whose turn it was: everybody's comes, however often those before it say something new.
    last: Option<(Alias, PacketKind)>,
    /// What went out last was an update: an event is next, if there is any.
    was_update: bool,
    events: VecDeque<(Alias, Bytes)>,
    event_bytes: usize,
}

impl Late {
    pub(crate) fn add(&mut self, from: Alias, update: Option<PacketKind>, frame: Bytes, counters: &RoomCounters) {
        // A copy: a slice would keep the batch that it is of.
        let frame = Bytes::copy_from_slice(&frame);
        if let Some(kind) = update {
            return self.add_update((from, kind), frame, counters);
        }
        self.event_bytes += frame.len();
        self.events.push_back((from, frame));
        while (self.events.len() > EVENTS || self.event_bytes > EVENT_BYTES)
            && let Some((_, oldest)) = self.events.pop_front()
        {
            self.event_bytes -= oldest.len();
            counters.dropped.add(1);
        }
    }

    fn add_update(&mut self, key: (Alias, PacketKind), frame: Bytes, counters: &RoomCounters) {
        let replaced = self.updates.remove(&key);
        self.update_bytes -= replaced.as_ref().map_or(0, Bytes::len);
        if replaced.is_some() {
            counters.replaced.add(1);
        }
        if self.update_bytes + frame.len() > UPDATE_BYTES {
            return counters.dropped.add(1);
        }
        self.update_bytes += frame.len();
        self.updates.insert(key, frame);
    }

    /// An update and an event by turns.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        self.was_update = !self.was_update;
        match self.was_update {
            true => self.pop_update().or_else(|| self.pop_event()),
            false => self.pop_event().or_else(|| self.pop_update()),
        }
    }

    fn pop_update(&mut self) -> Option<Bytes> {
        let next = self.last.and_then(|last| self.updates.range((Excluded(last), Unbounded)).next());
        let key = *next.or_else(|| self.updates.first_key_value())?.0;
        self.last = Some(key);
        let frame = self.updates.remove(&key)?;
        self.update_bytes -= frame.len();
        Some(frame)
    }

    fn pop_event(&mut self) -> Option<Bytes> {
        let (_, frame) = self.events.pop_front()?;
        self.event_bytes -= frame.len();
        Some(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.events.is_empty()
    }

    pub(crate) fn forget(&mut self, left: &[Alias]) {
        self.updates.retain(|(from, _), _| !left.contains(from));
        self.update_bytes = self.updates.values().map(Bytes::len).sum();
        self.events.retain(|(from, _)| !left.contains(from));
        self.event_bytes = self.events.iter().map(|(_, frame)| frame.len()).sum();
    }
}
