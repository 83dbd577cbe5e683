//! WebTransport and raw QUIC, on one UDP port: what carries native sessions (`crate::native`) to most clients.

mod accept;
mod carrier;
mod connection_ids;
mod endpoint;

pub(crate) use carrier::{QuicCarrier, QuicSink, QuicSource};
pub use endpoint::{EndpointError, QuicDoor, UdpBuffers};
pub(crate) use endpoint::{Identity, QuicSocket};

/// The path of the WebTransport door.
pub const WEBTRANSPORT_PATH: &str = "/atoll";

/// The ALPN of the raw QUIC door.
pub const ALPN: &[u8] = b"atoll/1";
