//! What one member has sent since the last tick.

use super::SendError;
use atoll_proto::datagram::{Alias, Entry, Kind, MAX_PAYLOAD, Sequence};
use atoll_proto::{PacketKind, peek};
use bytes::Bytes;

/// Most events of one member in one tick. At 50 ticks a second this is far above what a client sends.
const MAX_EVENTS: usize = 64;

/// Most bytes of events of one member in one tick.
const MAX_EVENT_BYTES: usize = 16 * MAX_PAYLOAD;

/// What one member has sent since the last tick. Bounded: one slot per update kind, [`MAX_EVENTS`] events.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    slots: Vec<Slot>,
    events: Vec<(Sequence, Bytes)>,
    event_bytes: usize,
}

/// The latest update of one packet kind.
#[derive(Debug)]
struct Slot {
    kind: PacketKind,
    last: Sequence,
    unsent: Option<Bytes>,
}

impl Outbox {
    /// Takes an update: it replaces an unsent older one of its kind. A payload that is no update becomes an event.
    pub(super) fn update(&mut self, sequence: Sequence, payload: Bytes) -> Result<(), SendError> {
        let kind = peek(&payload).kind;
        if !kind.is_update() {
            return self.event(sequence, payload);
        }
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.kind == kind) else {
            self.slots.push(Slot { kind, last: sequence, unsent: Some(payload) });
            return Ok(());
        };
        if !sequence.is_newer_than(slot.last) {
            return Err(SendError::Stale);
        }
        slot.last = sequence;
        slot.unsent = Some(payload);
        Ok(())
    }

    /// Takes an event.
    pub(super) fn event(&mut self, sequence: Sequence, payload: Bytes) -> Result<(), SendError> {
        if self.events.len() == MAX_EVENTS || self.event_bytes + payload.len() > MAX_EVENT_BYTES {
            return Err(SendError::TooFast);
        }
        self.event_bytes += payload.len();
        self.events.push((sequence, payload));
        Ok(())
    }

    /// Moves the unsent updates to `entries`.
    pub(super) fn drain_updates(&mut self, alias: Alias, entries: &mut Vec<Entry>) {
        for slot in &mut self.slots {
            if let Some(payload) = slot.unsent.take() {
                entries.push(Entry { alias, kind: Kind::Update, sequence: slot.last, payload });
            }
        }
    }

    /// Moves the events to `entries`.
    pub(super) fn drain_events(&mut self, alias: Alias, entries: &mut Vec<Entry>) {
        for (sequence, payload) in self.events.drain(..) {
            entries.push(Entry { alias, kind: Kind::Event, sequence, payload });
        }
        self.event_bytes = 0;
    }
}
