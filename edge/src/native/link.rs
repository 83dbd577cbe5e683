//! How a room reaches a native client.

use super::carrier::Carrier;
use super::control::ControlWriter;
use super::counters::Counters;
use super::members::{self, Place};
use super::outbox::{Down, Outbox};
use super::refusals::Refusals;
use super::streams::Sent;
use atoll_core::room::{Batch, CloseReason, Frame, Link, MemberList, Pressure, SendError};
use atoll_proto::atoll::ErrorCode;
use atoll_proto::datagram::Tag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What all links of a session share.
#[derive(Clone)]
pub(super) struct Ways {
    pub(super) outbox: Arc<Outbox>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) counters: Arc<Counters>,
}

/// Makes a link tell nothing but ordered messages.
#[derive(Clone, Default)]
pub(super) struct Hush(Arc<AtomicBool>);

impl Hush {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether somebody else has the seat.
#[derive(Clone, Default)]
pub(super) struct Lost(Arc<AtomicBool>);

impl Lost {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The link of one seat of a native session. It outlives its connection: ordered messages go to the session's outbox.
pub(super) struct NativeLink {
    ways: Ways,
    /// The connection it was made for, until that fails.
    connection: Option<(Carrier, ControlWriter)>,
    hush: Hush,
    /// Told with the snapshot of members, so that the client hears of both as one.
    place: Option<Place>,
    /// Told when somebody else has the seat, if that is of a room which was joined.
    lost: Option<Lost>,
}

impl NativeLink {
    /// A link for `connection`; without one it only collects what may not be missed.
    pub(super) fn new(ways: Ways, connection: Option<(Carrier, ControlWriter)>, hush: Hush, place: Place) -> Self {
        let place = connection.is_some().then_some(place);
        Self { ways, connection, hush, place, lost: None }
    }

    /// It, of a room that the client has joined.
    pub(super) fn joined(self, lost: Lost) -> Self {
        Self { lost: Some(lost), ..self }
    }

    fn members(&mut self, tag: Tag, list: MemberList) -> Pressure {
        let Some((_, control)) = self.connection.as_ref().filter(|_| !self.hush.is_set()) else {
            return Pressure::Behind;
        };
        let messages = match list {
            MemberList::Snapshot { own, members } => members::snapshot(tag, own, self.place.take(), &members),
            MemberList::Change { joined, left } => members::change(tag, &joined, &left),
        };
        for message in messages {
            if control.send(message).is_err() {
                // The writer tells the session. Until it resumes there is nobody to tell.
                self.connection = None;
                return Pressure::Behind;
            }
        }
        Pressure::Flowing
    }

    fn batch(&mut self, batch: &Batch) -> Pressure {
        let Some((carrier, _)) = self.connection.as_ref().filter(|_| !self.hush.is_set()) else {
            return Pressure::Behind;
        };
        match carrier.send_batch(batch) {
            Sent::Flowing { too_large } => {
                if too_large > 0 {
                    self.ways.counters.chunks_too_large.add(too_large as u64);
                }
                Pressure::Flowing
            }
            Sent::Behind => Pressure::Behind,
            Sent::Cut { dropped } => {
                self.ways.counters.chunks_behind.add(dropped as u64);
                Pressure::Behind
            }
            Sent::Gone => {
                self.connection = None;
                Pressure::Behind
            }
        }
    }

    fn refused(&self, error: SendError) {
        let code = match error {
            SendError::Stale => return,
            SendError::NoSeat => ErrorCode::NoSeat,
            SendError::TooFast => ErrorCode::TooFast,
            SendError::TooLarge(_) => ErrorCode::PayloadTooLarge,
        };
        self.ways.refusals.add(code);
    }
}

impl Link for NativeLink {
    fn push(&mut self, tag: Tag, frame: Frame) -> Pressure {
        match frame {
            Frame::Members(list) => self.members(tag, list),
            Frame::Batch(batch) | Frame::Voice(batch) => self.batch(&batch),
            Frame::Ordered(ordered) => {
                // What only older clients can read is not for this one.
                if let Some(payload) = ordered.payload().cloned() {
                    self.ways.outbox.push(Down { tag, from: ordered.from, sender: ordered.sender.clone(), payload });
                }
                Pressure::Flowing
            }
            Frame::Refused { error, .. } => {
                self.refused(error);
                Pressure::Flowing
            }
            Frame::NotForAll { .. } => {
                self.ways.refusals.add(ErrorCode::NotForAll);
                Pressure::Flowing
            }
            // A kicked session hears of it from the region, a resumed one knows. In a room that was joined an address can be
            // proved without a session. Of a seat that was taken away nobody else tells.
            Frame::Closed(reason) => {
                let is_removed = matches!(reason, CloseReason::Removed | CloseReason::Deleted);
                let lost = self.lost.take().filter(|_| is_removed || reason == CloseReason::Kicked);
                if is_removed || lost.is_some() {
                    self.ways.refusals.add(ErrorCode::RoomLost);
                }
                if let Some(lost) = lost {
                    lost.set();
                }
                Pressure::Gone
            }
        }
    }
}
