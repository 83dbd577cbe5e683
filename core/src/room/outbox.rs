//! What one member sends: its limits, its numbers, and what waits for the tick.

use super::batch::Batch;
use super::{Outgoing, Payload, SendError};
use crate::limit::Bucket;
use atoll_proto::archipelago::Position;
use atoll_proto::datagram::{Alias, Kind, MAX_PAYLOAD, Sequence};
use atoll_proto::{PacketKind, peek};
use std::time::Duration;

/// Updates of one member in a second, and at once: several times what the fastest client sends. Where packets wait for a
/// tick the newer replaces the older; rooms that send at once need this limit.
const UPDATES: u32 = 128;

/// Events of one member in a second, and at once.
const EVENTS: u32 = 128;

/// Voice frames of one member in a second, and at once: frames of 20 ms, with room for what a slow path bunches up.
const VOICE: u32 = 64;

/// Most bytes of events of one member in one tick.
const MAX_EVENT_BYTES: usize = 16 * MAX_PAYLOAD;

/// An event for some, with its number.
pub(super) type Addressed = (Alias, Sequence, Outgoing);

/// What one member sends. Bounded: one slot per update kind, [`EVENTS`] events of [`MAX_EVENT_BYTES`].
#[derive(Debug)]
pub(super) struct Outbox {
    slots: Vec<Slot>,
    events: Vec<(Sequence, Outgoing)>,
    event_bytes: usize,
    /// The newest number, for packets that come without one.
    last: Sequence,
    place: Option<Position>,
    update_limit: Bucket,
    event_limit: Bucket,
    voice_limit: Bucket,
}

/// The latest update of one packet kind.
#[derive(Debug)]
struct Slot {
    kind: PacketKind,
    last: Sequence,
    unsent: Option<Payload>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            events: Vec::new(),
            event_bytes: 0,
            last: Sequence::default(),
            place: None,
            update_limit: Bucket::new(UPDATES, UPDATES),
            event_limit: Bucket::new(EVENTS, EVENTS),
            voice_limit: Bucket::new(VOICE, VOICE),
        }
    }

    /// Takes an update: it replaces an unsent older one of its kind. A payload that is no update becomes an event, and so does
    /// one for some or about something.
    pub(super) fn update(
        &mut self,
        now: Duration,
        sequence: Option<Sequence>,
        said: Outgoing,
    ) -> Result<(), SendError> {
        let peeked = peek(said.payload.any());
        let kind = peeked.kind;
        if !kind.is_update() || !said.is_plain() {
            self.event(now, sequence, said)?;
            self.place = peeked.position.or(self.place);
            return Ok(());
        }
        let payload = said.payload;
        let slot = self.slots.iter().position(|slot| slot.kind == kind);
        let last = slot.and_then(|at| self.slots.get(at)).map(|slot| slot.last);
        if sequence.zip(last).is_some_and(|(sequence, last)| !sequence.is_newer_than(last)) {
            return Err(SendError::Stale);
        }
        self.update_limit.take(now, 1).map_err(|_| SendError::TooFast)?;
        self.place = peeked.position.or(self.place);
        let last = self.number(sequence);
        match slot.and_then(|at| self.slots.get_mut(at)) {
            Some(slot) => *slot = Slot { kind, last, unsent: Some(payload) },
            None => self.slots.push(Slot { kind, last, unsent: Some(payload) }),
        }
        Ok(())
    }

    /// Where its updates say that it stands.
    pub(super) fn place(&self) -> Option<Position> {
        self.place
    }

    /// Takes an event.
    pub(super) fn event(&mut self, now: Duration, sequence: Option<Sequence>, said: Outgoing) -> Result<(), SendError> {
        if self.event_bytes + said.size() > MAX_EVENT_BYTES {
            return Err(SendError::TooFast);
        }
        self.event_limit.take(now, 1).map_err(|_| SendError::TooFast)?;
        self.event_bytes += said.size();
        let sequence = self.number(sequence);
        self.events.push((sequence, said));
        Ok(())
    }

    /// Takes a voice frame, for its number.
    pub(super) fn voice(&mut self, now: Duration, sequence: Option<Sequence>) -> Result<Sequence, SendError> {
        self.voice_limit.take(now, 1).map_err(|_| SendError::TooFast)?;
        Ok(self.number(sequence))
    }

    /// Moves the unsent updates to `batch`.
    pub(super) fn drain_updates(&mut self, alias: Alias, batch: &mut Batch) {
        for slot in &mut self.slots {
            if let Some(payload) = slot.unsent.take() {
                batch.push(alias, Kind::Update, slot.last, payload.into());
            }
        }
    }

    /// Moves the events to `batch`, and those for some to `addressed`.
    pub(super) fn drain_events(&mut self, alias: Alias, batch: &mut Batch, addressed: &mut Vec<Addressed>) {
        for (sequence, said) in self.events.drain(..) {
            match said.to {
                Some(_) => addressed.push((alias, sequence, said)),
                None => batch.push(alias, Kind::Event, sequence, said),
            }
        }
        self.event_bytes = 0;
    }

    /// The packet's own number, or the next after the newest.
    fn number(&mut self, sequence: Option<Sequence>) -> Sequence {
        let sequence = sequence.unwrap_or_else(|| self.last.next());
        if sequence.is_newer_than(self.last) {
            self.last = sequence;
        }
        sequence
    }
}
