//! The right to a seat.

use crate::room::{RoomId, Sender, SessionId};

/// A verified right to one seat.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(super) room: RoomId,
    pub(super) sender: Sender,
    pub(super) session: Option<SessionId>,
    pub(super) generation: u64,
}

impl Grant {
    /// The room it is for.
    pub fn room(&self) -> &RoomId {
        &self.room
    }
}

/// Why a seat was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinFailed {
    /// The session has been put elsewhere since the grant, or has ended.
    #[error("the grant is out of date")]
    Stale,
    /// The room has as many members as it may.
    #[error("the room is full")]
    Full,
    /// The region is ending.
    #[error("the region is ending")]
    Ending,
}
