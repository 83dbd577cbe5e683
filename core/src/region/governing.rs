//! What an operator does to rooms.

use super::named::is_room_name;
use super::visits::RoomWatch;
use super::{Region, SendFailed};
use crate::room::{CloseReason, Delivery, Outgoing, RoomId, Sender};
use atoll_proto::datagram::{Alias, Tag};
use std::sync::Arc;

impl Region {
    /// Has `watch` told who comes to rooms and goes, beginning with those who are there. One watch is kept: the last.
    pub fn watch_rooms(&self, watch: &Arc<dyn RoomWatch>) {
        self.inner.shards.iter().for_each(|shard| shard.watch(Arc::clone(watch)));
    }

    /// The room that a name alone stands for: that of a rule, if one has such rooms, else an island's. `None` when no room may be
    /// called so.
    pub fn room_named(&self, name: &str) -> Option<RoomId> {
        let is_named = self.settings().rooms.access(name).is_some();
        is_room_name(name).then(|| if is_named { RoomId::named(name) } else { RoomId::new(name) })
    }

    /// Takes seats away: those of `members`, or all. Their links hear [`CloseReason`]. How many there were.
    ///
    /// Nothing keeps their clients from coming again with what they came with; but nobody is told again of an island whose seat
    /// was taken away.
    pub async fn dismiss(&self, room: &RoomId, tag: Tag, members: Option<Vec<Alias>>, reason: CloseReason) -> usize {
        let dismissed = self.shard_of(room).dismiss(tag, members, reason).await;
        for (sender, session) in &dismissed {
            if let (Sender::Peer(address), Some(session)) = (sender, session) {
                self.inner.registry.dismiss(*address, *session, room);
            }
        }
        dismissed.len()
    }

    /// Says something to a room by a server that has no seat there: it is heard as a hidden member is. Waits until there is place
    /// for it. What is for a room that has ended meanwhile is counted as that of a sender without a seat.
    ///
    /// # Errors
    /// [`SendFailed`]: it was not taken.
    pub async fn announce(
        &self,
        room: &RoomId,
        tag: Tag,
        server: &str,
        delivery: Delivery,
        said: impl Into<Outgoing>,
    ) -> Result<(), SendFailed> {
        let sender = Sender::Server(server.into());
        self.shard_of(room).announce(tag, sender, delivery, said.into()).await
    }
}
