//! The native door: `atoll/1` over WebTransport and raw QUIC, on one UDP port. docs/protocol.md is its contract.

mod accept;
mod control;
mod counters;
mod datagrams;
mod door;
mod ending;
mod endpoint;
mod link;
mod login;
mod refusals;
mod session;
mod transport;

pub(crate) use counters::Counters;
pub use counters::{ByName, QuicStatus};
pub use endpoint::{EndpointError, QuicDoor};

/// The path of the WebTransport door.
pub const WEBTRANSPORT_PATH: &str = "/atoll";

/// The WebTransport subprotocol.
pub const SUBPROTOCOL: &str = "atoll.1";

/// The ALPN of the raw QUIC door.
pub const ALPN: &[u8] = b"atoll/1";
