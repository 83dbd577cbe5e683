//! Sessions that have no seat in their island's room: they are told of the island again.
//!
//! A kernel takes a seat with the token in its island's connection string. Once the seat is gone and the token too old, it
//! would stand in its island unheard until the next one, so it gets a fresh string. One that is merely slow is left alone for
//! longer: kernels drop what they have when they are told of an island.

use super::session::SessionEvent;
use super::{Capabilities, Inner, Region};
use crate::census::Peer;
use crate::room::{RoomId, SessionId};
use atoll_proto::Address;
use atoll_proto::archipelago::island_changed_message::PeersEntry;
use atoll_proto::archipelago::{IslandChangedMessage, Position};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a session that had a seat is without one before it is told, and then before each further time; the last for good.
const WAITS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(60),
];

/// How long one that has not come yet may take, instead of the first of [`WAITS`], and at which of them it goes on.
const FIRST_VISIT: Duration = Duration::from_secs(30);
const AFTER_FIRST_VISIT: usize = 3;

/// How often it is looked who is overdue.
const EVERY: Duration = Duration::from_secs(1);

/// Sessions told under one lock.
const AT_ONCE: usize = 256;

/// The seats of a session in the room of its island, and when it is to be told that it has none.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    seats: usize,
    has_come: bool,
    /// It was told how to come, by a string that can be written again.
    expected: bool,
    due: Option<Duration>,
    /// Which of [`WAITS`] comes next.
    step: usize,
}

impl Attendance {
    /// It was told of its island.
    pub(super) fn expect(&mut self, now: Duration) {
        self.expected = true;
        if self.seats > 0 {
            return;
        }
        if self.has_come {
            return self.miss(now);
        }
        (self.due, self.step) = (Some(now + FIRST_VISIT), AFTER_FIRST_VISIT);
    }

    /// It has a seat, or one more.
    pub(super) fn come(&mut self) {
        self.seats += 1;
        self.has_come = true;
        self.due = None;
    }

    /// It has a seat less.
    pub(super) fn leave(&mut self, now: Duration) {
        self.seats = self.seats.saturating_sub(1);
        if self.seats == 0 && self.expected {
            self.miss(now);
        }
    }

    /// Its seat was taken away by whoever governs the room: it is not told of the island again, until archipelago tells it.
    pub(super) fn dismiss(&mut self) {
        (self.expected, self.due) = (false, None);
    }

    /// It was told again.
    pub(super) fn remind(&mut self, now: Duration) {
        let wait = WAITS.get(self.step).or(WAITS.last()).copied().unwrap_or(EVERY);
        (self.due, self.step) = (Some(now + wait), self.step + 1);
    }

    /// When it is to be told.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    fn miss(&mut self, now: Duration) {
        self.step = 0;
        self.remind(now);
    }
}

/// Counts a seat of a session in its island's room, as long as it lives.
#[derive(Debug)]
pub(super) struct Present {
    region: Weak<Inner>,
    address: Address,
    session: SessionId,
    /// Which of the session's islands: how often it had moved.
    moves: u64,
}

impl Present {
    /// `None` when the session has moved on, or ended.
    pub(super) fn new(region: &Arc<Inner>, address: Address, session: SessionId, moves: u64) -> Option<Self> {
        let counts = region.registry.attend(address, session, moves, Attendance::come);
        counts.then(|| Self { region: Arc::downgrade(region), address, session, moves })
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let Some(region) = self.region.upgrade() else { return };
        let now = region.host.monotonic();
        region.registry.attend(self.address, self.session, self.moves, |attendance| attendance.leave(now));
    }
}

/// Whether who has this string takes its seat with a token.
pub(super) fn is_token_bound(connection_string: &str) -> bool {
    connection_string.contains("access_token=")
}

/// Tells the absent, until the region ends.
pub(super) async fn run(region: Weak<Inner>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(inner) = region.upgrade() else { return };
        let region = Region { inner };
        let now = region.now();
        if !region.inner.registry.has_overdue(now) {
            continue;
        }
        let peers = region.peers_by_island();
        let again =
            |address, session, client, room: &RoomId| region.island_again(&peers, address, session, client, room);
        while region.inner.registry.remind_overdue(now, AT_ONCE, again) {
            tokio::task::yield_now().await;
        }
    }
}

impl Region {
    /// The island as it is now, with a fresh connection string.
    fn island_again(
        &self,
        peers: &HashMap<String, Vec<PeersEntry>>,
        address: Address,
        session: SessionId,
        client: Capabilities,
        room: &RoomId,
    ) -> SessionEvent {
        let island_id = room.as_str().to_owned();
        let conn_str = self.inner.settings.connection_strings.write(&island_id, address, session, client);
        let peers = peers.get(&island_id).cloned().unwrap_or_default();
        tracing::debug!(%address, island = island_id, "told of its island again: it has no seat there");
        SessionEvent::IslandChanged(IslandChangedMessage { island_id, conn_str, from_island_id: None, peers })
    }

    fn peers_by_island(&self) -> HashMap<String, Vec<PeersEntry>> {
        let islands = self.census(|census| census.islands());
        let entry = |peer: Peer| {
            let crate::archipelago::Position { x, y, z } = peer.position;
            let value = Position { x: x as f32, y: y as f32, z: z as f32 };
            PeersEntry { key: peer.address.to_string(), value: Some(value) }
        };
        islands.into_iter().map(|island| (island.id, island.peers.into_iter().map(entry).collect())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// When it is told, if it never comes again.
    fn told(attendance: &mut Attendance, times: usize) -> Vec<u64> {
        let mut told = Vec::new();
        for _ in 0..times {
            let Some(due) = attendance.due() else { break };
            attendance.remind(due);
            told.push(due.as_secs());
        }
        told
    }

    #[test]
    fn who_lost_its_seat_is_told_soon_and_then_less_and_less() {
        let mut attendance = Attendance::default();
        attendance.expect(seconds(0));
        attendance.come();
        attendance.come();
        attendance.leave(seconds(90));
        assert_eq!(attendance.due(), None, "it has another");
        attendance.leave(seconds(100));
        assert_eq!(told(&mut attendance, 7), [105, 115, 135, 175, 235, 295, 355]);
        attendance.come();
        assert_eq!(attendance.due(), None);
        attendance.leave(seconds(400));
        assert_eq!(told(&mut attendance, 2), [405, 415], "from the beginning");
    }

    #[test]
    fn who_never_came_has_more_time() {
        let mut attendance = Attendance::default();
        attendance.expect(seconds(100));
        assert_eq!(told(&mut attendance, 4), [130, 170, 230, 290]);
        attendance.expect(seconds(300));
        assert_eq!(attendance.due(), Some(seconds(330)), "told afresh by archipelago");
    }

    #[test]
    fn whose_seat_was_taken_away_is_not_told_again() {
        let mut attendance = Attendance::default();
        attendance.expect(seconds(0));
        attendance.come();
        attendance.leave(seconds(1));
        attendance.dismiss();
        assert_eq!(attendance.due(), None, "it left first");
        attendance.come();
        attendance.dismiss();
        attendance.leave(seconds(2));
        assert_eq!(attendance.due(), None, "or last");
        attendance.expect(seconds(3));
        assert_eq!(attendance.due(), Some(seconds(8)), "archipelago told it");
    }

    #[test]
    fn who_was_not_told_of_a_token_is_left_alone() {
        let mut attendance = Attendance::default();
        attendance.come();
        attendance.leave(seconds(1));
        assert_eq!(attendance.due(), None);
        for (string, bound) in
            [("livekit:wss://x?access_token=y", true), ("ws-room:wss://x/rooms/I1?access_token=y", true)]
                .into_iter()
                .chain(
                    ["quic:I1", "offline:offline", "p2p:I1.0x1", "ws-room:wss://x/rooms/I1"].map(|text| (text, false)),
                )
        {
            assert_eq!(is_token_bound(string), bound, "{string}");
        }
    }
}
