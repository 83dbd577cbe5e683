//! Who is at the other end of a BFF connection, and what it can use.

use crate::Coordinates;
use atoll_core::region::{Capabilities, Transport};
use std::net::IpAddr;

/// The sub-protocol of kernels from July to October 2022. Those of August and September stop when they are told that
/// their address is connected already.
const FIRST_GENERATION: &str = "comms";

/// What an operator decides about later kernels: nothing on the wire tells those of winter 2022 from those of 2023.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether they are taken to have P2P, which kernels lost in January 2023.
    pub p2p: bool,
    /// How they are told coordinates.
    pub coordinates: Coordinates,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub(super) capabilities: Capabilities,
    pub(super) coordinates: Coordinates,
    /// Whether it can be told that its address has a session.
    pub(super) tells_already_connected: bool,
    pub(super) from: IpAddr,
}

impl Client {
    /// A kernel at `from` that offered this sub-protocol first.
    pub fn of(subprotocol: Option<&str>, from: IpAddr, settings: &Settings) -> Self {
        let livekit = Capabilities::NONE.with(Transport::Livekit);
        if subprotocol == Some(FIRST_GENERATION) {
            let capabilities = livekit.with(Transport::FirstWsRoom).with(Transport::P2p);
            return Self { capabilities, coordinates: Coordinates::Double, tells_already_connected: false, from };
        }
        let rooms = livekit.with(Transport::WsRoom);
        let capabilities = if settings.p2p { rooms.with(Transport::P2p) } else { rooms };
        Self { capabilities, coordinates: settings.coordinates, tells_already_connected: true, from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ALL: [Transport; 5] =
        [Transport::Quic, Transport::FirstWsRoom, Transport::WsRoom, Transport::Livekit, Transport::P2p];

    #[test]
    fn each_generation_has_its_transports_and_its_coordinates() {
        let (usual, other) = (Settings::default(), Settings { p2p: true, coordinates: Coordinates::Float });
        for (subprotocol, settings, transports, coordinates) in [
            (
                Some("comms"),
                &usual,
                &[Transport::FirstWsRoom, Transport::Livekit, Transport::P2p][..],
                Coordinates::Double,
            ),
            (Some("comms"), &other, &[Transport::FirstWsRoom, Transport::Livekit, Transport::P2p], Coordinates::Double),
            (Some("bff"), &usual, &[Transport::WsRoom, Transport::Livekit], Coordinates::Double),
            (Some("bff"), &other, &[Transport::WsRoom, Transport::Livekit, Transport::P2p], Coordinates::Float),
            (None, &usual, &[Transport::WsRoom, Transport::Livekit], Coordinates::Double),
        ] {
            let client = Client::of(subprotocol, Ipv4Addr::LOCALHOST.into(), settings);
            let has: Vec<_> = ALL.into_iter().filter(|transport| client.capabilities.includes(*transport)).collect();
            assert_eq!(has, transports, "{subprotocol:?} {settings:?}");
            assert_eq!(client.coordinates, coordinates);
            assert_eq!(client.tells_already_connected, subprotocol != Some("comms"));
        }
    }
}
