//! The payloads whose writing depends on who reads them.

use super::subjects::Kind;
use crate::Coordinates;
use atoll_proto::archipelago as floats;
use atoll_proto::archipelago_2022 as doubles;
use bytes::Bytes;
use prost::Message as _;
use serde_json::{Value, json};

/// A payload that was read, to be written in either way.
pub(super) enum Payload {
    Heartbeat(floats::Heartbeat),
    IslandChanged(floats::IslandChangedMessage),
    Islands(floats::IslandStatusMessage),
    Discovery(floats::ServiceDiscoveryMessage),
    Other(Bytes),
}

/// The payload is not what its subject says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what its subject says")]
pub(super) struct Malformed;

/// Longest name of an island, in bytes.
const MAX_NAME: usize = 256;

/// Largest payload of a kind, in bytes. An island of a thousand members has 90 KiB.
fn most(kind: Kind) -> usize {
    match kind {
        Kind::Heartbeat | Kind::Discovery => 4 * 1024,
        Kind::IslandChanged | Kind::Islands | Kind::Other => 8 << 20,
    }
}

impl Payload {
    /// Reads what another process wrote.
    pub(super) fn read(kind: Kind, bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() > most(kind) {
            return Err(Malformed);
        }
        fn decode<M: atoll_proto::Decode>(bytes: &[u8]) -> Result<M, Malformed> {
            atoll_proto::decode(bytes).map_err(|_| Malformed)
        }
        Ok(match kind {
            Kind::Heartbeat => Self::Heartbeat(decode(&bytes)?),
            Kind::IslandChanged => {
                let changed: floats::IslandChangedMessage = decode(&bytes)?;
                let names = [Some(&changed.island_id), changed.from_island_id.as_ref()];
                if !names.into_iter().flatten().all(|name| is_name(name)) {
                    return Err(Malformed);
                }
                Self::IslandChanged(changed)
            }
            Kind::Islands => Self::Islands(decode(&bytes)?),
            Kind::Discovery => Self::Discovery(decode(&bytes)?),
            Kind::Other => Self::Other(bytes),
        })
    }

    /// Reads what this process wrote on its own bus, where discovery is JSON.
    pub(super) fn read_own(kind: Kind, bytes: Bytes) -> Result<Self, Malformed> {
        match kind {
            Kind::Discovery => discovery(&bytes).map(Self::Discovery).ok_or(Malformed),
            _ => Self::read(kind, bytes),
        }
    }

    /// Writes it as it goes over this process's own bus.
    pub(super) fn write_own(&self) -> Bytes {
        match self {
            Self::Discovery(message) => discovery_json(message).to_string().into(),
            _ => self.write(Coordinates::Float),
        }
    }

    /// Writes it for others.
    pub(super) fn write(&self, coordinates: Coordinates) -> Bytes {
        let bytes = match (self, coordinates) {
            (Self::Other(bytes), _) => return bytes.clone(),
            (Self::Heartbeat(message), Coordinates::Float) => message.encode_to_vec(),
            (Self::Heartbeat(floats::Heartbeat { position, desired_room }), Coordinates::Double) => {
                let position = position.map(wide);
                doubles::Heartbeat { position, desired_room: desired_room.clone() }.encode_to_vec()
            }
            (Self::IslandChanged(message), Coordinates::Float) => message.encode_to_vec(),
            (Self::IslandChanged(message), Coordinates::Double) => wide_island(message).encode_to_vec(),
            (Self::Islands(message), Coordinates::Float) => message.encode_to_vec(),
            (Self::Islands(message), Coordinates::Double) => wide_islands(message).encode_to_vec(),
            (Self::Discovery(message), _) => message.encode_to_vec(),
        };
        bytes.into()
    }
}

/// Whether an island may be called so: it stands in subjects and connection strings.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn wide(position: floats::Position) -> doubles::Position3DMessage {
    doubles::Position3DMessage { x: position.x.into(), y: position.y.into(), z: position.z.into() }
}

fn wide_island(message: &floats::IslandChangedMessage) -> doubles::IslandChangedMessage {
    let entry = |peer: &floats::island_changed_message::PeersEntry| doubles::island_changed_message::PeersEntry {
        key: peer.key.clone(),
        value: peer.value.map(wide),
    };
    doubles::IslandChangedMessage {
        island_id: message.island_id.clone(),
        conn_str: message.conn_str.clone(),
        from_island_id: message.from_island_id.clone(),
        peers: message.peers.iter().map(entry).collect(),
    }
}

fn wide_islands(message: &floats::IslandStatusMessage) -> doubles::IslandStatusMessage {
    let island = |island: &floats::IslandData| doubles::IslandData {
        id: island.id.clone(),
        peers: island.peers.clone(),
        max_peers: island.max_peers,
        center: island.center.map(wide),
        radius: island.radius,
    };
    doubles::IslandStatusMessage { data: message.data.iter().map(island).collect() }
}

fn discovery(json: &[u8]) -> Option<floats::ServiceDiscoveryMessage> {
    let told: Value = serde_json::from_slice(json).ok()?;
    let status = &told["status"];
    Some(floats::ServiceDiscoveryMessage {
        server_name: told["serverName"].as_str()?.to_owned(),
        status: Some(floats::ServiceStatus {
            current_time: status["currentTime"].as_u64().unwrap_or_default(),
            commit_hash: status["commitHash"].as_str().map(str::to_owned),
            user_count: status["userCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        }),
    })
}

fn discovery_json(message: &floats::ServiceDiscoveryMessage) -> Value {
    let status = message.status.clone().unwrap_or_default();
    let mut told = json!({ "currentTime": status.current_time, "userCount": status.user_count });
    if let Some(hash) = status.commit_hash {
        told["commitHash"] = hash.into();
    }
    json!({ "serverName": message.server_name, "status": told })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_heartbeat_of_either_type_is_written_in_both() {
        // Made with the message codecs of clients of both times.
        let in_floats = [0x0a, 0x0a, 0x0d, 0, 0, 0x80, 0x3f, 0x1d, 0, 0, 0x20, 0xc0];
        let read = Payload::read(Kind::Heartbeat, Bytes::copy_from_slice(&in_floats)).unwrap();
        assert_eq!(hex(&read.write(Coordinates::Float)), hex(&in_floats));
        let in_doubles = read.write(Coordinates::Double);
        assert_eq!(hex(&in_doubles), "0a1209000000000000f03f1900000000000004c0");
        let again = Payload::read(Kind::Heartbeat, in_doubles).unwrap();
        assert_eq!(hex(&again.write_own()), hex(&in_floats));
    }

    #[test]
    fn discovery_is_json_here_and_protobuf_there() {
        let json = br#"{"serverName":"archipelago","status":{"commitHash":"abc","currentTime":7,"userCount":2}}"#;
        let read = Payload::read_own(Kind::Discovery, Bytes::from_static(json)).unwrap();
        let there = read.write(Coordinates::Float);
        let back = Payload::read(Kind::Discovery, there).unwrap().write_own();
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        assert_eq!(parse(&back), parse(json));
        assert!(Payload::read_own(Kind::Discovery, Bytes::from_static(b"{}")).is_err());
    }

    #[test]
    fn what_is_too_large_or_something_else_is_refused() {
        let garbage = Bytes::from_static(&[0xff; 9]);
        for kind in [Kind::Heartbeat, Kind::IslandChanged, Kind::Islands, Kind::Discovery] {
            assert!(Payload::read(kind, garbage.clone()).is_err(), "{kind:?}");
        }
        assert!(Payload::read(Kind::Heartbeat, vec![0x12; 5000].into()).is_err());
        for name in [String::new(), "x".repeat(257), "a b".to_owned(), "a\u{1b}[2J".to_owned()] {
            let changed = floats::IslandChangedMessage { island_id: name, ..Default::default() };
            assert!(Payload::read(Kind::IslandChanged, changed.encode_to_vec().into()).is_err());
        }
        assert!(Payload::read(Kind::Other, garbage).is_ok());
    }
}
