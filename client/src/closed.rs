//! How a connection came to its end.

use atoll_proto::close::{CloseCode, RetryAdvice};

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The edge closed it, by a numbered code (docs/protocol.md section 8) that this version may not know.
    #[error("closed by the edge: {code} {reason}")]
    Edge {
        /// The number on the wire.
        code: u64,
        /// For a person to read.
        reason: String,
    },
    /// This client closed it.
    #[error("closed by this client")]
    Local,
    /// The edge was silent for too long.
    #[error("the edge was silent for too long")]
    TimedOut,
    /// The transport failed: a reset, a TLS alert, a violation of QUIC or HTTP/3.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The program did not take its events, and no more control events could be kept.
    #[error("the events of this client were not taken in time")]
    Lagged,
}

impl Closed {
    /// The code, when the edge closed with one this version knows.
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Edge { code, .. } => CloseCode::from_code(*code),
            _ => None,
        }
    }

    /// What to do next: the code's advice, else to try again unless this client closed.
    pub fn advice(&self) -> RetryAdvice {
        match self {
            Self::Local => RetryAdvice::DoNotRetry,
            _ => self.code().map_or(RetryAdvice::Retry, CloseCode::advice),
        }
    }

    /// A word for counting: the code's name, `code_<number>`, or the kind of failure.
    pub fn label(&self) -> String {
        match self {
            Self::Edge { code, .. } => match CloseCode::from_code(*code) {
                Some(known) => known.name().to_owned(),
                None => format!("code_{code}"),
            },
            Self::Local => "local".to_owned(),
            Self::TimedOut => "timed_out".to_owned(),
            Self::Lost(_) => "lost".to_owned(),
            Self::Lagged => "lagged".to_owned(),
        }
    }

    pub(crate) fn from_code(code: CloseCode, reason: &str) -> Self {
        Self::Edge { code: code.code().into(), reason: reason.to_owned() }
    }
}

impl From<quinn::ConnectionError> for Closed {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError::{ApplicationClosed, LocallyClosed, TimedOut};
        match error {
            ApplicationClosed(close) => Self::Edge {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            LocallyClosed => Self::Local,
            TimedOut => Self::TimedOut,
            other => Self::Lost(other.to_string()),
        }
    }
}

impl From<wtransport::error::ConnectionError> for Closed {
    /// A close capsule carries the session's code as it is; a bare QUIC close carries it in HTTP/3's number space.
    fn from(error: wtransport::error::ConnectionError) -> Self {
        use wtransport::error::ConnectionError::{ApplicationClosed, LocallyClosed, TimedOut};
        match error {
            ApplicationClosed(close) => Self::Edge {
                code: session_code(close.code().into_inner()),
                reason: String::from_utf8_lossy(close.reason()).into_owned(),
            },
            LocallyClosed => Self::Local,
            TimedOut => Self::TimedOut,
            other => Self::Lost(other.to_string()),
        }
    }
}

/// Where WebTransport's 2^32 application codes begin among HTTP/3's; every 31st number is left out
/// (draft-ietf-webtrans-http3, section on resetting data streams).
const FIRST_HTTP3_CODE: u64 = 0x52e4_a40f_a8db;

/// The HTTP/3 code that stands for a session's code.
pub(crate) fn http3_code(code: u32) -> u64 {
    let code = u64::from(code);
    FIRST_HTTP3_CODE + code + code / 0x1e
}

/// The session's code that an HTTP/3 code stands for; other numbers stay as they are.
fn session_code(code: u64) -> u64 {
    match code.checked_sub(FIRST_HTTP3_CODE) {
        Some(shifted) if code <= http3_code(u32::MAX) => shifted - shifted / 0x1f,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_codes_survive_http3() {
        for code in [0, 1, 29, 30, 31, 4002, 4011, u32::MAX] {
            assert_eq!(session_code(http3_code(code)), u64::from(code));
        }
        // HTTP/3's own codes and a capsule's plain ones are not moved.
        assert_eq!(session_code(0x100), 0x100);
        assert_eq!(session_code(4002), 4002);
    }

    #[test]
    fn codes_tell_what_to_do() {
        let kicked = Closed::from_code(CloseCode::Kicked, "");
        assert_eq!((kicked.code(), kicked.advice()), (Some(CloseCode::Kicked), RetryAdvice::DoNotRetry));
        assert_eq!(kicked.label(), "kicked");
        let unknown = Closed::Edge { code: 4999, reason: String::new() };
        assert_eq!((unknown.code(), unknown.advice()), (None, RetryAdvice::Retry));
        assert_eq!(unknown.label(), "code_4999");
    }
}
