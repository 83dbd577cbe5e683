//! How a client behaves, beyond where it goes.

use crate::target::Way;
use crate::trust::{CertificateDigest, Trust};
use std::time::Duration;

/// How a client behaves, beyond where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which certificates are believed.
    pub trust: Trust,
    /// How the client proves who it is.
    pub proof: Proof,
    /// How long connecting and logging in may take together.
    pub connect_timeout: Duration,
    /// How long after the last sign of life a connection counts as lost. QUIC keep-alives go out at a third of it.
    pub idle_timeout: Duration,
    /// How many received packets wait for [`next_event`](crate::Client::next_event) before the oldest are dropped.
    pub packet_queue: usize,
    /// The WebTransport and WebSocket subprotocols offered, best first; none is taken as `atoll.1`.
    pub subprotocols: Vec<String>,
    /// Whether the client connects again after a loss and takes its session up, and moves to QUIC when it can. When it
    /// is false, the first loss is the end: [`Event::Closed`](crate::Event::Closed).
    pub reconnect: bool,
    /// Which of the two QUIC ways is used where both are known: [`Way::Quic`], or [`Way::WebTransport`].
    pub quic_way: Way,
    /// How long QUIC is alone in the race before the WebSocket starts, too.
    pub head_start: Duration,
    /// How often QUIC is tried again while a WebSocket is in use and QUIC is known.
    pub quic_retry: Duration,
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By signing a text of its own making, in one round trip. When the edge refuses it (a clock that is wrong, for
    /// one), the challenge is used instead.
    SignedFetch {
        /// The edge's name: `configurations.realmName` in its `/about`.
        server: String,
    },
    /// By signing a text that the edge gives: one round trip more, and no clock is needed.
    Challenge,
}

impl Options {
    /// The defaults for one known way in: login by challenge, 10 s to log in, 15 s idle, 1,024 packets, subprotocol
    /// `atoll.1`, no reconnecting.
    ///
    /// [`Discovery::options`](crate::Discovery::options) gives those of an edge that was asked.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            proof: Proof::Challenge,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            packet_queue: 1024,
            subprotocols: vec!["atoll.1".to_owned()],
            reconnect: false,
            quic_way: Way::Quic,
            head_start: Duration::from_millis(500),
            quic_retry: Duration::from_secs(30),
        }
    }

    /// The defaults, believing the one certificate with this digest.
    pub fn pinned(digest: CertificateDigest) -> Self {
        Self::new(Trust::CertificateSha256(digest))
    }
}
