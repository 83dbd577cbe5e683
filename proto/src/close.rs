//! Why a session ends: the close codes of `atoll/1`.

/// A numbered reason for ending a session.
///
/// The same number is the QUIC application error code, the WebTransport close code and the name in `/status`.
/// The table in docs/protocol.md section 8 is checked against this one by a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// The client itself closed.
    Closed,
    /// The edge ends.
    ShuttingDown,
    /// A fault in the edge.
    Internal,
    /// The address logged in elsewhere.
    Kicked,
    /// No welcome within the time a login may take.
    LoginTimeout,
    /// No such path.
    NotFound,
    /// None of the offered subprotocols is known.
    UnsupportedProtocol,
    /// A frame or message that cannot be read, or a closed control stream.
    Malformed,
    /// A control message above the limit.
    TooLarge,
    /// A message out of order.
    UnexpectedMessage,
    /// The auth chain was refused.
    Unauthorized,
    /// The client does not read its control stream, or sends a large message too slowly.
    TooSlow,
    /// The edge has no room for another session.
    Overloaded,
    /// No heartbeat for as long as a peer may be silent.
    Silent,
    /// The session goes on over another connection.
    Resumed,
}

/// What a client should do after a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAdvice {
    /// Connect again, after a pause.
    Retry,
    /// Connect to another edge of the region, or here after a longer pause.
    RetryElsewhere,
    /// The same attempt would end the same way.
    DoNotRetry,
}

use RetryAdvice::{DoNotRetry, Retry, RetryElsewhere};

impl CloseCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 15] = [
        Self::Closed,
        Self::ShuttingDown,
        Self::Internal,
        Self::Kicked,
        Self::LoginTimeout,
        Self::NotFound,
        Self::UnsupportedProtocol,
        Self::Malformed,
        Self::TooLarge,
        Self::UnexpectedMessage,
        Self::Unauthorized,
        Self::TooSlow,
        Self::Overloaded,
        Self::Silent,
        Self::Resumed,
    ];

    const fn row(self) -> (u32, &'static str, RetryAdvice) {
        match self {
            Self::Closed => (0, "closed", DoNotRetry),
            Self::ShuttingDown => (4000, "shutting_down", Retry),
            Self::Internal => (4001, "internal", Retry),
            Self::Kicked => (4002, "kicked", DoNotRetry),
            Self::LoginTimeout => (4003, "login_timeout", Retry),
            Self::NotFound => (4004, "not_found", DoNotRetry),
            Self::UnsupportedProtocol => (4005, "unsupported_protocol", DoNotRetry),
            Self::Malformed => (4006, "malformed", DoNotRetry),
            Self::TooLarge => (4007, "too_large", DoNotRetry),
            Self::UnexpectedMessage => (4008, "unexpected_message", DoNotRetry),
            Self::Unauthorized => (4009, "unauthorized", DoNotRetry),
            Self::TooSlow => (4010, "too_slow", Retry),
            Self::Overloaded => (4011, "overloaded", RetryElsewhere),
            Self::Silent => (4012, "silent", Retry),
            Self::Resumed => (4013, "resumed", DoNotRetry),
        }
    }

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self.row().0
    }

    /// The name in `/status` and in logs.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// What the client should do.
    pub const fn advice(self) -> RetryAdvice {
        self.row().2
    }

    /// The reason with this number, if this version knows it.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| u64::from(known.code()) == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_holds_the_same_table() {
        let document = include_str!("../../docs/protocol.md");
        for code in CloseCode::ALL {
            let row = format!("| {} | {} |", code.code(), code.name());
            let line = document.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("docs/protocol.md lacks {row}"));
            let advice = match code.advice() {
                _ if code == CloseCode::Closed => "| |",
                Retry => "| retry |",
                RetryElsewhere => "| retry elsewhere |",
                DoNotRetry => "| not retry |",
            };
            assert!(line.ends_with(advice), "{line}");
        }
    }

    #[test]
    fn numbers_lead_back() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_code(code.code().into()), Some(code));
        }
        assert_eq!(CloseCode::from_code(4999), None);
    }
}
