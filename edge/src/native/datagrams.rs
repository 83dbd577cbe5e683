//! Datagrams from a client, on their way to its seat.

use super::counters::Counters;
use super::refusals::Refusals;
use super::seats::{Found, Seats};
use atoll_core::room::Delivery;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::datagram::{DatagramError, Kind, Up};
use bytes::Bytes;
use std::sync::Arc;

/// Reads datagrams; whatever is wrong with one costs that one.
pub(super) struct UpDatagrams {
    counters: Arc<Counters>,
    refusals: Arc<Refusals>,
}

impl UpDatagrams {
    pub(super) fn new(counters: Arc<Counters>, refusals: Arc<Refusals>) -> Self {
        Self { counters, refusals }
    }

    /// Passes a datagram on to the seat in its room. `None` is one of a foreign WebTransport session: dropped and
    /// counted, because the client that has this session may not be the one who wrote it.
    pub(super) fn take(&self, datagram: Option<Bytes>, seats: &Seats) {
        let Some(datagram) = datagram else {
            self.counters.foreign_datagrams.add(1);
            return;
        };
        let up = match Up::decode(datagram) {
            Ok(up) => up,
            Err(DatagramError::PayloadTooLarge(_)) => return self.refusals.add(ErrorCode::PayloadTooLarge),
            Err(DatagramError::Truncated | DatagramError::UnknownKind(_)) => {
                return self.refusals.add(ErrorCode::MalformedDatagram);
            }
        };
        if !seats.ever_seated() {
            return self.refusals.add(ErrorCode::NoSeat);
        }
        let (seat, delivery) = match (seats.find(up.tag), up.kind) {
            (Found::Current(seat), Kind::Update) => (seat, Delivery::Update),
            (Found::Current(seat), Kind::Voice) => (seat, Delivery::Voice),
            (Found::Current(seat) | Found::Left(seat), Kind::Event) => (seat, Delivery::Event),
            // Sent before the client heard of its move: not its fault, and the next one carries what matters.
            (Found::Left(_), Kind::Update | Kind::Voice) | (Found::None, _) => {
                self.counters.wrong_tag.add(1);
                return;
            }
        };
        if seat.send(delivery, Some(up.sequence), up.payload).is_err() {
            self.refusals.add(ErrorCode::TooFast);
        }
    }
}
