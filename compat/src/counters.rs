//! What the doors of this crate count.

use crate::ended::Ended;
use crate::rpc::Tally;
use atoll_core::Counter;
use atoll_core::region::LoginError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Counts by name. Names with a count of 0 are left out.
pub type ByName = BTreeMap<&'static str, u64>;

/// What all doors count.
#[derive(Debug, Default)]
pub struct Counters {
    bff: Arc<DoorCounters>,
    archipelago: Arc<DoorCounters>,
    signed_login: Arc<DoorCounters>,
    ws_room: Arc<DoorCounters>,
    livekit: Arc<DoorCounters>,
    pub(crate) rooms: Arc<RoomCounters>,
    pub(crate) calls: Arc<Tally>,
    /// Those of the port of LiveKit's media and data, once its door is open.
    pub(crate) ice: OnceLock<Arc<IceCounters>>,
    pub(crate) api: Arc<ApiCounters>,
}

/// A door, as counts and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DoorName {
    Bff,
    Archipelago,
    SignedLogin,
    WsRoom,
    Livekit,
}

/// What is counted of packets between peers in WebSocket rooms.
#[derive(Debug, Default)]
pub(crate) struct RoomCounters {
    pub(crate) replaced: Counter,
    pub(crate) dropped: Counter,
    pub(crate) untranslated: Counter,
    pub(crate) refused: Counter,
    pub(crate) unread: Counter,
}

/// What is counted at the port of LiveKit's media and data.
#[derive(Debug, Default)]
pub(crate) struct IceCounters {
    pub(crate) unknown: Counter,
    pub(crate) behind: Counter,
    pub(crate) tcp_unknown: Counter,
    pub(crate) tcp_crowded: Counter,
}

/// What is counted of LiveKit's server API.
#[derive(Debug, Default)]
pub(crate) struct ApiCounters {
    pub(crate) answered: Counter,
    pub(crate) refused: Counter,
    pub(crate) webhooks_delivered: Counter,
    pub(crate) webhooks_retried: Counter,
    pub(crate) webhooks_failed: Counter,
    pub(crate) webhooks_shed: Counter,
}

/// What one door counts.
#[derive(Debug, Default)]
pub(crate) struct DoorCounters {
    sockets: Counter,
    waiting: Counter,
    pub(crate) logins: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    refused: [Counter; REFUSALS.len()],
    closed: [Counter; Ended::NAMES.len()],
}

/// Why somebody did not come to be logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A page of an origin that may not open sessions.
    Origin,
    /// Too many of its place wait to log in.
    Crowded,
    /// No address, or an auth chain that does not hold.
    Unauthorized,
    /// The region is full.
    Full,
    /// What had to be asked did not answer.
    Unavailable,
}

const REFUSALS: [(Refusal, &str); 5] = [
    (Refusal::Origin, "origin"),
    (Refusal::Crowded, "crowded"),
    (Refusal::Unauthorized, "unauthorized"),
    (Refusal::Full, "full"),
    (Refusal::Unavailable, "unavailable"),
];

/// What the doors hold and have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelStatus {
    /// `/rpc` and `/bff/rpc`.
    pub bff: DoorStatus,
    /// `/archipelago/ws` and `/ws`.
    pub archipelago: DoorStatus,
    /// `/signed-login`, which has no sockets; its logins are the requests that held.
    pub signed_login: DoorStatus,
    /// `/rooms/<name>` and `/ws-rooms/<name>`.
    pub ws_room: DoorStatus,
    /// `/rtc` and `/rtc/v1`.
    pub livekit: DoorStatus,
    /// The port of LiveKit's media and data.
    pub livekit_ice: IceStatus,
    /// LiveKit's server API.
    pub livekit_api: ApiStatus,
    /// Packets between peers in rooms by these two.
    pub ws_room_packets: RoomPacketsStatus,
    /// Remote procedure calls.
    pub rpc_calls: u64,
    /// Calls, and questions for ports and modules, that were answered with an error.
    pub rpc_errors: u64,
}

/// What programs have asked by LiveKit's server API, and what they were told by webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApiStatus {
    /// Calls that did what they ask for.
    pub answered: u64,
    /// Calls that were answered with an error.
    pub refused: u64,
    /// Events that a receiver took; one for each of them.
    pub webhooks_delivered: u64,
    /// Further tries to tell one.
    pub webhooks_retried: u64,
    /// Events that a receiver refused, or did not take however often it was told.
    pub webhooks_failed: u64,
    /// Events that were not told because too many waited for the receiver.
    pub webhooks_shed: u64,
}

/// What became of datagrams of media and data that did not reach a participant, and of TCP connections that were none's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IceStatus {
    /// Datagrams for nobody who is here, or from more addresses than one participant may have.
    pub datagrams_unknown: u64,
    /// Datagrams for participants that had too many waiting.
    pub datagrams_behind: u64,
    /// TCP connections that did not begin with a request for somebody who is here, or not in time.
    pub tcp_unknown: u64,
    /// TCP connections refused because there were too many, in all or from their place, or closed for others.
    pub tcp_crowded: u64,
}

/// What became of packets between peers that did not go their usual way through a WebSocket room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomPacketsStatus {
    /// Updates for clients that were behind, which newer ones replaced.
    pub replaced: u64,
    /// Events and voice frames for clients that were behind for too long.
    pub dropped: u64,
    /// Packets that the other generation of clients has no words for: one for each that was sent, or was to be received.
    pub untranslated: u64,
    /// Packets of clients that the room did not take.
    pub refused: u64,
    /// Messages of clients in a room that could not be read, or are of no meaning there.
    pub unread: u64,
}

/// What one door holds and has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoorStatus {
    /// Sockets open now.
    pub sockets: u64,
    /// Those of them without a session.
    pub waiting: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Bytes of messages from clients.
    pub bytes_in: u64,
    /// Bytes of messages to clients.
    pub bytes_out: u64,
    /// Logins that did not succeed, and sockets that were not opened, by reason.
    pub refused: ByName,
    /// Sockets closed, by reason.
    pub closed: ByName,
}

impl Counters {
    /// What the doors hold and have done.
    pub fn status(&self) -> KernelStatus {
        KernelStatus {
            bff: self.bff.status(),
            archipelago: self.archipelago.status(),
            signed_login: self.signed_login.status(),
            ws_room: self.ws_room.status(),
            livekit: self.livekit.status(),
            livekit_ice: self.ice.get().map(|ice| ice.status()).unwrap_or_default(),
            livekit_api: self.api.status(),
            ws_room_packets: self.rooms.status(),
            rpc_calls: self.calls.calls(),
            rpc_errors: self.calls.errors(),
        }
    }

    pub(crate) fn of(&self, door: DoorName) -> &Arc<DoorCounters> {
        match door {
            DoorName::Bff => &self.bff,
            DoorName::Archipelago => &self.archipelago,
            DoorName::SignedLogin => &self.signed_login,
            DoorName::WsRoom => &self.ws_room,
            DoorName::Livekit => &self.livekit,
        }
    }
}

impl IceCounters {
    fn status(&self) -> IceStatus {
        IceStatus {
            datagrams_unknown: self.unknown.value(),
            datagrams_behind: self.behind.value(),
            tcp_unknown: self.tcp_unknown.value(),
            tcp_crowded: self.tcp_crowded.value(),
        }
    }
}

impl ApiCounters {
    fn status(&self) -> ApiStatus {
        ApiStatus {
            answered: self.answered.value(),
            refused: self.refused.value(),
            webhooks_delivered: self.webhooks_delivered.value(),
            webhooks_retried: self.webhooks_retried.value(),
            webhooks_failed: self.webhooks_failed.value(),
            webhooks_shed: self.webhooks_shed.value(),
        }
    }
}

impl RoomCounters {
    fn status(&self) -> RoomPacketsStatus {
        RoomPacketsStatus {
            replaced: self.replaced.value(),
            dropped: self.dropped.value(),
            untranslated: self.untranslated.value(),
            refused: self.refused.value(),
            unread: self.unread.value(),
        }
    }
}

impl DoorCounters {
    pub(crate) fn refused(&self, refusal: Refusal) {
        for ((known, _), counter) in REFUSALS.iter().zip(&self.refused) {
            if *known == refusal {
                counter.add(1);
            }
        }
    }

    pub(crate) fn closed(&self, ended: &Ended) {
        for (name, counter) in Ended::NAMES.iter().zip(&self.closed) {
            if *name == ended.name() {
                counter.add(1);
            }
        }
    }

    /// Counts a socket until the answer is dropped.
    pub(crate) fn socket(self: &Arc<Self>) -> Counted {
        Counted::new(self, |counters| &counters.sockets)
    }

    /// Counts a socket without a session until the answer is dropped.
    pub(crate) fn waiting(self: &Arc<Self>) -> Counted {
        Counted::new(self, |counters| &counters.waiting)
    }

    fn status(&self) -> DoorStatus {
        let refused = REFUSALS.iter().map(|(_, name)| *name).zip(&self.refused);
        let closed = Ended::NAMES.iter().copied().zip(&self.closed);
        DoorStatus {
            sockets: self.sockets.value(),
            waiting: self.waiting.value(),
            logins: self.logins.value(),
            bytes_in: self.bytes_in.value(),
            bytes_out: self.bytes_out.value(),
            refused: by_name(refused),
            closed: by_name(closed),
        }
    }
}

impl Refusal {
    pub(crate) fn of(error: &LoginError) -> Self {
        match error {
            LoginError::Full => Self::Full,
            LoginError::NoEthereumNode(_) | LoginError::Busy | LoginError::Ending | LoginError::Internal => {
                Self::Unavailable
            }
            _ => Self::Unauthorized,
        }
    }
}

/// One of those that a gauge counts.
pub(crate) struct Counted {
    counters: Arc<DoorCounters>,
    gauge: fn(&DoorCounters) -> &Counter,
}

impl Counted {
    fn new(counters: &Arc<DoorCounters>, gauge: fn(&DoorCounters) -> &Counter) -> Self {
        gauge(counters).add(1);
        Self { counters: Arc::clone(counters), gauge }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.counters).subtract(1);
    }
}

fn by_name<'a>(counts: impl Iterator<Item = (&'static str, &'a Counter)>) -> ByName {
    counts.map(|(name, counter)| (name, counter.value())).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented_and_counted() {
        let page = include_str!("../../docs/metrics.md");
        let counters = DoorCounters::default();
        for (refusal, name) in REFUSALS {
            counters.refused(refusal);
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        for ended in [
            Ended::Left,
            Ended::Silent,
            Ended::Clogged,
            Ended::Text,
            Ended::Violation(String::new()),
            Ended::TooLarge(1),
            Ended::LoginTimeout,
            Ended::Refused,
            Ended::Replaced,
            Ended::Evicted,
            Ended::Ending,
            Ended::TooSlow,
            Ended::Reseated,
            Ended::SessionOver,
            Ended::NoRoom,
            Ended::RoomFull,
            Ended::Removed,
        ] {
            counters.closed(&ended);
            assert!(page.contains(&format!("`{}`", ended.name())), "{ended}");
        }
        assert!(page.contains("`no_websocket`"));
        let status = counters.status();
        assert!(status.refused.values().all(|count| *count == 1) && status.refused.len() == REFUSALS.len());
        assert!(status.closed.values().all(|count| *count == 1) && status.closed.len() == Ended::NAMES.len() - 1);
    }
}
