//! What a room is loaded with.

/// Who comes into the room, and what each of them says.
#[derive(Debug, Clone, Copy)]
pub struct RoomPlan {
    /// How many come over WebSockets.
    pub kernels: usize,
    /// Whether these come with TLS.
    pub tls: bool,
    /// How many come over WebTransport.
    pub native: usize,
    /// Updates a second from each.
    pub rate: f64,
    /// The payload of an update, in bytes.
    pub payload: usize,
}
