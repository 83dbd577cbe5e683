//! What a session's client can use.

/// A way to the room of an island, by the scheme of its connection string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `quic:`: the session's own connection.
    Quic,
    /// `ws-room:` of the first generation: a token in the URL, and nothing but relayed messages (July to October 2022).
    FirstWsRoom,
    /// `ws-room:` since then (RFC-5).
    WsRoom,
    /// `livekit:`.
    Livekit,
    /// `p2p:`.
    P2p,
}

/// The transports that a session's client can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u8);

impl Capabilities {
    /// No transport at all.
    pub const NONE: Self = Self(0);

    /// These, and `transport`.
    #[must_use]
    pub const fn with(self, transport: Transport) -> Self {
        Self(self.0 | Self::bit(transport))
    }

    /// Whether `transport` is among them.
    pub const fn includes(self, transport: Transport) -> bool {
        self.0 & Self::bit(transport) != 0
    }

    const fn bit(transport: Transport) -> u8 {
        1 << transport as u8
    }
}
