//! What the bus tells the sessions of this region: island changes, and that an address logged in at another edge.

use super::attendance::is_token_bound;
use super::session::SessionEvent;
use super::{Capabilities, Inner, Region};
use crate::archipelago::service::{ASK, ATOLL_HEADER};
use crate::bus::{Bus, Message, Pattern, Subscription};
use crate::room::{RoomId, SessionId};
use atoll_proto::Address;
use atoll_proto::archipelago::{IslandChangedMessage, IslandStatusMessage};
use bytes::Bytes;
use std::sync::Weak;

/// Island changes that may wait for this region: a join storm of ten thousand peers, with room to spare.
const CAPACITY: usize = 32_768;

/// In one queue, so that all islands are not told of before the changes that led there.
const SUBJECTS: [&str; 3] = ["client-proto.*.island_changed", "peer.*.connect", "archipelago.islands"];

pub(super) fn subscribe(bus: &dyn Bus) -> Subscription {
    let patterns: Vec<Pattern> = SUBJECTS.iter().filter_map(|text| Pattern::new(text).ok()).collect();
    bus.subscribe(&patterns, CAPACITY)
}

/// Passes island changes on until the region or the bus ends.
pub(super) async fn route(region: Weak<Inner>, mut changes: Subscription) {
    while let Some(message) = changes.next().await {
        let Some(inner) = region.upgrade() else { return };
        inner.counters.bus_dropped.set(changes.dropped());
        Region { inner }.hear(&message);
    }
}

impl Region {
    /// Asks archipelago for all islands. For who was away from the bus: a session that stands elsewhere than archipelago
    /// says is announced again, and hears of its island afresh.
    pub fn catch_up(&self) {
        self.inner.publish(ASK, Bytes::new());
    }

    fn hear(&self, message: &Message) {
        match message.subject.levels().next() {
            Some("peer") => self.logged_in_elsewhere(message),
            Some("archipelago") => self.islands(message),
            _ => self.island_changed(message),
        }
    }

    fn logged_in_elsewhere(&self, message: &Message) {
        let address = message.subject.levels().nth(1).and_then(|level| level.parse::<Address>().ok());
        if let Some(address) = address.filter(|_| message.is_from_elsewhere) {
            self.inner.registry.kick(address);
        }
    }

    fn islands(&self, message: &Message) {
        let Ok(islands) = atoll_proto::decode::<IslandStatusMessage>(&message.payload) else {
            return self.inner.counters.bus_malformed.add(1);
        };
        for island in islands.data {
            let addresses = island.peers.iter().filter_map(|peer| peer.parse::<Address>().ok());
            for address in addresses.filter(|address| self.inner.registry.is_elsewhere(*address, &island.id)) {
                self.inner.announce(address);
            }
        }
    }

    fn island_changed(&self, message: &Message) {
        let address = message.subject.levels().nth(1).and_then(|level| level.parse::<Address>().ok());
        let decoded = atoll_proto::decode::<IslandChangedMessage>(&message.payload).ok();
        let (Some(address), Some(island)) = (address, decoded) else {
            self.inner.counters.bus_malformed.add(1);
            return;
        };
        let ours = message.header(ATOLL_HEADER).is_some();
        let room = RoomId::new(&island.island_id);
        let mut expected = None;
        self.inner.registry.move_to(address, room, |session, client| {
            let told = !ours || self.inner.settings.connection_strings.tells_of_islands(client);
            told.then(|| {
                let island = self.with_connection_string(island, ours, (address, session), client);
                expected = (ours && is_token_bound(&island.conn_str)).then_some(session);
                SessionEvent::IslandChanged(island)
            })
        });
        if let Some(session) = expected {
            self.inner.registry.expect(address, session, self.inner.host.monotonic());
        }
    }

    /// The edge that holds a session writes its connection string; a foreign archipelago's is passed on as it came.
    fn with_connection_string(
        &self,
        mut island: IslandChangedMessage,
        ours: bool,
        (address, session): (Address, SessionId),
        client: Capabilities,
    ) -> IslandChangedMessage {
        if ours {
            island.conn_str = self.inner.settings.connection_strings.write(&island.island_id, address, session, client);
        }
        island
    }
}
