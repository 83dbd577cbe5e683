//! Why a client did not get in.

use crate::closed::Closed;
use crate::raw::ReadError;
use atoll_proto::DecodeError;
use atoll_proto::close::CloseCode;
use std::io;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has no address.
    #[error("cannot resolve {host}: {error}")]
    Resolve {
        /// The host asked for.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No UDP socket could be opened, or no TCP or TLS connection for a WebSocket.
    #[error("cannot open a socket: {0}")]
    Socket(io::Error),
    /// The trusted roots or options cannot be used for TLS or QUIC.
    #[error("cannot set up the connection: {0}")]
    Setup(String),
    /// The edge refused the WebTransport session or the WebSocket by its HTTP status.
    #[error("the session was refused")]
    Refused,
    /// It took longer than [`Options::connect_timeout`](crate::Options::connect_timeout).
    #[error("no session in time")]
    TimedOut,
    /// The connection ended, in its handshake or during login.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The edge did not follow the protocol during login.
    #[error(transparent)]
    Login(LoginError),
}

impl ConnectError {
    /// The close code the edge gave, if it gave one that this version knows.
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed(closed) => closed.code(),
            _ => None,
        }
    }

    /// A word for counting: the code's name, or the kind of failure.
    pub fn label(&self) -> String {
        match self {
            Self::Closed(closed) => closed.label(),
            Self::Resolve { .. } => "resolve".to_owned(),
            Self::Socket(_) => "socket".to_owned(),
            Self::Setup(_) => "setup".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::TimedOut => "connect_timeout".to_owned(),
            Self::Login(_) => "protocol".to_owned(),
        }
    }
}

/// How the edge failed to follow the protocol during a login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It sent another message than the one it owed.
    #[error("the edge sent another message instead of {expected}")]
    Unexpected {
        /// The message that was due.
        expected: &'static str,
    },
    /// Its welcome names another peer.
    #[error("the edge welcomed {0:?} instead of this wallet's address")]
    WrongPeer(String),
    /// Its control stream cannot be read.
    #[error(transparent)]
    Stream(ReadError),
    /// A message of it cannot be read.
    #[error("a message of the edge cannot be read: {0}")]
    Malformed(DecodeError),
}
