//! Who comes to rooms and goes, for whoever tells others of it.

use crate::room::{RoomId, Visit};
use atoll_proto::datagram::Tag;

/// Hears who takes and leaves seats, of every room and by whatever door.
///
/// It is called on the rooms' tasks, in the order in which things happen to a room: it must not block, nor wait for the region.
pub trait RoomWatch: Send + Sync + 'static {
    /// These came to a room, or left it. The one who joins has not been told of its seat yet.
    fn visits(&self, room: &RoomId, tag: Tag, visits: &[Visit]);
}
