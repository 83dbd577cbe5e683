//! Island changes from the bus to the sessions of this region.

use super::session::SessionEvent;
use super::{Capabilities, Inner, Region};
use crate::archipelago::service::ATOLL_HEADER;
use crate::bus::{Bus, Message, Pattern, Subscription};
use crate::room::{RoomId, SessionId};
use atoll_proto::Address;
use atoll_proto::archipelago::IslandChangedMessage;
use std::sync::Weak;

/// Island changes that may wait for this region: a join storm of ten thousand peers, with room to spare.
const CAPACITY: usize = 32_768;

pub(super) fn subscribe(bus: &dyn Bus) -> Subscription {
    let patterns: Vec<Pattern> = Pattern::new("client-proto.*.island_changed").into_iter().collect();
    bus.subscribe(&patterns, CAPACITY)
}

/// Passes island changes on until the region or the bus ends.
pub(super) async fn route(region: Weak<Inner>, mut changes: Subscription) {
    while let Some(message) = changes.next().await {
        let Some(inner) = region.upgrade() else { return };
        inner.counters.bus_dropped.set(changes.dropped());
        Region { inner }.island_changed(&message);
    }
}

impl Region {
    fn island_changed(&self, message: &Message) {
        let address = message.subject.levels().nth(1).and_then(|level| level.parse::<Address>().ok());
        let decoded = atoll_proto::decode::<IslandChangedMessage>(&message.payload).ok();
        let (Some(address), Some(island)) = (address, decoded) else {
            self.inner.counters.bus_malformed.add(1);
            return;
        };
        let ours = message.header(ATOLL_HEADER).is_some();
        let room = RoomId::new(&island.island_id);
        self.inner.registry.move_to(address, room, |session, client| {
            let told = !ours || self.inner.settings.connection_strings.tells_of_islands(client);
            told.then(|| {
                SessionEvent::IslandChanged(self.with_connection_string(island, ours, (address, session), client))
            })
        });
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
