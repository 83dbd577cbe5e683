//! What a region counts.

use crate::archipelago::service::{ArchipelagoStatus, Watch};
use crate::counter::Counter;
use crate::room::{Report, SendError};
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) logins: Counter,
    pub(super) heartbeats: Counter,
    pub(super) rooms: Counter,
    pub(super) seats: Counter,
    pub(super) packets_in: Counter,
    pub(super) bus_lost: Counter,
    pub(super) bus_dropped: Counter,
    pub(super) bus_malformed: Counter,
    pub(super) archipelago: Watch,
    pub(super) topic_subscriptions: Counter,
    pub(super) topics_published: Counter,
    pub(super) topics_delivered: Counter,
    pub(super) topics_dropped: Arc<Counter>,
    ticks: Counter,
    delivered: Counter,
    links_behind: Counter,
    links_too_large: Counter,
    links_gone: Counter,
    no_seat: Counter,
    stale: Counter,
    too_fast: Counter,
    too_large: Counter,
}

/// What a region holds now and has done since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Logged-in peers.
    pub sessions: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Sessions that had to go for others, because the region was full.
    pub sessions_evicted: u64,
    /// Heartbeats taken.
    pub heartbeats: u64,
    /// Rooms with at least one link.
    pub rooms: u64,
    /// Members of all rooms.
    pub seats: u64,
    /// Ticks of all rooms.
    pub ticks: u64,
    /// Packets taken from members.
    pub packets_in: u64,
    /// Packets handed to links; a receiver's own are not counted.
    pub packets_out: u64,
    /// Batches and voice frames a link was skipped for because it was behind.
    pub links_behind: u64,
    /// Ordered packets that a link was not given because its connection does not carry so much; one for each link.
    pub links_too_large: u64,
    /// Links dropped because their connection had ended or was not read.
    pub links_gone: u64,
    /// Packets not taken, by reason.
    pub packets_refused: PacketsRefused,
    /// What went wrong on the bus.
    pub bus: BusStatus,
    /// Topics.
    pub topics: TopicsStatus,
    /// The archipelago service of this region.
    pub archipelago: ArchipelagoStatus,
}

/// Packets a room did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PacketsRefused {
    /// From a sender without a seat (any more).
    pub no_seat: u64,
    /// Updates older than the last of their sender and kind.
    pub stale: u64,
    /// More updates, events or voice frames than a member may send.
    pub too_fast: u64,
    /// Payloads above the limit.
    pub too_large: u64,
}

/// Messages of topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicsStatus {
    /// Subscriptions of all sessions now.
    pub subscriptions: u64,
    /// Messages of this region's peers.
    pub published: u64,
    /// Messages that subscribers took; one for each of them.
    pub delivered: u64,
    /// Messages dropped because a subscriber did not take what came before, or too much waited for all.
    pub dropped: u64,
    /// Bytes that wait for subscribers now, where shared payloads count for each.
    pub waiting_bytes: u64,
}

/// What went wrong on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusStatus {
    /// Messages of this region that the bus did not take.
    pub lost: u64,
    /// Island changes dropped because this region was slow.
    pub dropped: u64,
    /// Island changes that could not be read.
    pub malformed: u64,
}

impl Counters {
    pub(super) fn refused(&self, error: SendError) {
        let counter = match error {
            SendError::NoSeat => &self.no_seat,
            SendError::Stale => &self.stale,
            SendError::TooFast => &self.too_fast,
            SendError::TooLarge(_) => &self.too_large,
        };
        counter.add(1);
    }

    pub(super) fn ticked(&self, report: Report) {
        self.ticks.add(1);
        self.pushed(report);
    }

    pub(super) fn pushed(&self, report: Report) {
        self.delivered.add(report.delivered);
        self.links_behind.add(report.behind as u64);
        self.links_too_large.add(report.too_large as u64);
        self.links_gone.add(report.gone as u64);
    }

    pub(super) fn status(&self, sessions: usize, sessions_evicted: u64, waiting_bytes: usize) -> Status {
        Status {
            sessions: sessions as u64,
            logins: self.logins.value(),
            sessions_evicted,
            heartbeats: self.heartbeats.value(),
            rooms: self.rooms.value(),
            seats: self.seats.value(),
            ticks: self.ticks.value(),
            packets_in: self.packets_in.value(),
            packets_out: self.delivered.value(),
            links_behind: self.links_behind.value(),
            links_too_large: self.links_too_large.value(),
            links_gone: self.links_gone.value(),
            packets_refused: PacketsRefused {
                no_seat: self.no_seat.value(),
                stale: self.stale.value(),
                too_fast: self.too_fast.value(),
                too_large: self.too_large.value(),
            },
            bus: BusStatus {
                lost: self.bus_lost.value(),
                dropped: self.bus_dropped.value(),
                malformed: self.bus_malformed.value(),
            },
            topics: TopicsStatus {
                subscriptions: self.topic_subscriptions.value(),
                published: self.topics_published.value(),
                delivered: self.topics_delivered.value(),
                dropped: self.topics_dropped.value(),
                waiting_bytes: waiting_bytes as u64,
            },
            archipelago: self.archipelago.status(),
        }
    }
}
