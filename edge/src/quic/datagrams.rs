//! Datagrams from a client, on their way to its seat.

use super::counters::Counters;
use super::refusals::Refusals;
use atoll_core::region::Seat;
use atoll_core::room::Delivery;
use atoll_proto::atoll::ErrorCode;
use atoll_proto::datagram::{DatagramError, Kind, Up};
use bytes::Bytes;
use std::sync::Arc;

/// Reads datagrams; whatever is wrong with one costs that one.
pub(super) struct Datagrams {
    counters: Arc<Counters>,
    refusals: Arc<Refusals>,
}

impl Datagrams {
    pub(super) fn new(counters: Arc<Counters>, refusals: Arc<Refusals>) -> Self {
        Self { counters, refusals }
    }

    /// Passes a datagram on to `seat`. `None` is one of a foreign WebTransport session: dropped and counted, because the
    /// client that has this session may not be the one who wrote it.
    pub(super) fn take(&self, datagram: Option<Bytes>, seat: Option<&Seat>) {
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
        let Some(seat) = seat else {
            return self.refusals.add(ErrorCode::NoSeat);
        };
        // Sent before the client heard of its move: not its fault, and the next one carries what matters.
        if seat.tag() != up.tag {
            self.counters.wrong_tag.add(1);
            return;
        }
        let delivery = match up.kind {
            Kind::Update => Delivery::Update,
            Kind::Event => Delivery::Event,
            Kind::Voice => Delivery::Voice,
        };
        if seat.send(delivery, up.sequence, up.payload).is_err() {
            self.refusals.add(ErrorCode::TooFast);
        }
    }
}
