//! Why a kernel's connection ended.

use tokio_tungstenite::tungstenite::error::ProtocolError;

/// Why a connection ended. The originals close without a code, and their clients look at none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// It closed, or was lost.
    #[error("the client left")]
    Left,
    #[error("the client did not answer a ping")]
    Silent,
    #[error("the client does not read")]
    Clogged,
    #[error("a text message")]
    Text,
    /// What no client sends.
    #[error("{0}")]
    Violation(String),
    /// What no WebSocket sends.
    #[error("{0}")]
    Broken(ProtocolError),
    /// A message above this limit, in bytes.
    #[error("a message above {0} bytes")]
    TooLarge(u64),
    #[error("no login in time")]
    LoginTimeout,
    #[error("the auth chain, or the token, was refused")]
    Refused,
    #[error("the address logged in elsewhere")]
    Replaced,
    #[error("others need the place")]
    Evicted,
    #[error("the edge ends")]
    Ending,
    /// It reads, but not as fast as its room speaks.
    #[error("the client reads too slowly")]
    TooSlow,
    #[error("the session goes on over another connection")]
    Reseated,
    #[error("the session has ended, or is elsewhere")]
    SessionOver,
    #[error("no such room for this address")]
    NoRoom,
    #[error("the room is full")]
    RoomFull,
    #[error("whoever governs the room took the seat away")]
    Removed,
}
