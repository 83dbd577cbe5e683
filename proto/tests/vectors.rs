//! Golden vectors: what the original implementations wrote and read, byte by byte.
//!
//! The folder is `ATOLL_VECTORS` when set, so that other recordings of the same formats can be tried.

#![allow(clippy::unwrap_used, reason = "this is a test, its helpers included")]

mod json;

use std::path::PathBuf;
use std::{env, fs};

use atoll_proto::translation::{Context, Translation, to_data, to_rfc4};
use atoll_proto::{Decode, archipelago, archipelago_2022, data, decode, rfc4, rfc5};
use prost::Message as _;
use serde_json::Value;

use crate::json::{Difference, Json, compare};

#[test]
fn vectors_rfc4() {
    let entries = read("rfc4.json");
    assert!(!entries.is_empty());
    for entry in &entries {
        check_rfc4(entry);
    }
}

#[test]
fn vectors_archipelago_proto() {
    let entries = read("archipelago_proto.json");
    assert!(!entries.is_empty());
    for entry in &entries {
        check_archipelago(entry);
    }
}

#[test]
fn vectors_rfc5() {
    let entries = read("rfc5.json");
    assert!(!entries.is_empty());
    for mut entry in entries {
        // A map's key of 0 is written out by the original. Readers take one that is left out for the same, and our aliases
        // begin at 1.
        if entry.value.as_ref().is_some_and(|value| value["peerIdentities"].get("0").is_some()) {
            entry.written = None;
        }
        check_rfc5(&entry);
    }
}

/// What the later generation says is said to the older one, and comes back with the same meaning.
#[test]
fn vectors_of_rfc4_are_translated_and_back() {
    use rfc4::packet::Message;

    let context = Context { unix_ms: 1_660_000_000_000, sender: 1 };
    let mut translated = 0;
    for entry in read("rfc4.json").iter().filter(|entry| entry.message.ends_with(".Packet")) {
        let packet = decode::<rfc4::Packet>(&entry.bytes).ok().and_then(|packet| packet.message);
        let there = to_data(&entry.bytes, context);
        let what = &entry.note;
        let expected = match packet {
            Some(Message::Position(position)) => {
                Message::Position(rfc4::Position { index: 166_000_000_000_u64 as u32, ..position })
            }
            Some(Message::Scene(scene)) if String::from_utf8(scene.data.clone()).is_err() => {
                assert_eq!(there, Translation::None, "{what}");
                continue;
            }
            Some(same @ (Message::ProfileVersion(_) | Message::Chat(_) | Message::Scene(_))) => same,
            Some(_) => {
                assert_eq!(there, Translation::None, "{what}");
                continue;
            }
            None => {
                assert_eq!(there, Translation::Unknown, "{what}");
                continue;
            }
        };
        let Translation::Packet(there) = there else { panic!("{what}: no translation") };
        assert!(decode::<data::Data>(&there).unwrap().message.is_some(), "{what}");
        let Translation::Packet(back) = to_rfc4(&there) else { panic!("{what}: no way back") };
        let expected = rfc4::Packet { message: Some(expected) };
        assert_eq!(back, expected.encode_to_vec(), "{what}");
        translated += 1;
    }
    assert!(translated > 0);
}

fn check_rfc5(entry: &Entry) {
    use rfc5::*;

    match entry.message.strip_prefix("decentraland.kernel.comms.rfc5.") {
        Some("WsPacket") => check::<WsPacket>(entry),
        Some("WsWelcome") => check::<WsWelcome>(entry),
        Some("WsPeerJoin") => check::<WsPeerJoin>(entry),
        Some("WsPeerLeave") => check::<WsPeerLeave>(entry),
        Some("WsPeerUpdate") => check::<WsPeerUpdate>(entry),
        Some("WsChallengeRequired") => check::<WsChallengeRequired>(entry),
        Some("WsSignedChallenge") => check::<WsSignedChallenge>(entry),
        Some("WsIdentification") => check::<WsIdentification>(entry),
        Some("WsKicked") => check::<WsKicked>(entry),
        _ => panic!("no type for {}", entry.message),
    }
}

fn check_rfc4(entry: &Entry) {
    use rfc4::*;

    match entry.message.strip_prefix("decentraland.kernel.comms.rfc4.") {
        Some("Packet") => check::<Packet>(entry),
        Some("Position") => check::<Position>(entry),
        Some("AnnounceProfileVersion") => check::<AnnounceProfileVersion>(entry),
        Some("ProfileRequest") => check::<ProfileRequest>(entry),
        Some("ProfileResponse") => check::<ProfileResponse>(entry),
        Some("Chat") => check::<Chat>(entry),
        Some("Scene") => check::<Scene>(entry),
        Some("Voice") => check::<Voice>(entry),
        _ => panic!("no type for {}", entry.message),
    }
}

fn check_archipelago(entry: &Entry) {
    use archipelago::*;

    let name = match entry.message.as_str() {
        "decentraland.bff.Heartbeat" => "Heartbeat",
        "decentraland.common.Position" => "Position",
        name => name.strip_prefix("decentraland.kernel.comms.v3.").unwrap_or(name),
    };
    match (name, entry.generation.as_str()) {
        ("Position3DMessage", "A") => check_declared::<archipelago_2022::Position3DMessage>(entry, Declared::Double),
        ("IslandChangedMessage", "A") => {
            check_declared::<archipelago_2022::IslandChangedMessage>(entry, Declared::Double);
        }
        ("IslandData", "A") => check_declared::<archipelago_2022::IslandData>(entry, Declared::Double),
        ("IslandStatusMessage", "A") => {
            check_declared::<archipelago_2022::IslandStatusMessage>(entry, Declared::Double);
        }
        ("Position", _) => check::<Position>(entry),
        ("Heartbeat", _) => check::<Heartbeat>(entry),
        ("IslandChangedMessage", _) => check::<IslandChangedMessage>(entry),
        ("LeftIslandMessage", _) => check::<LeftIslandMessage>(entry),
        ("JoinIslandMessage", _) => check::<JoinIslandMessage>(entry),
        ("IslandData", _) => check::<IslandData>(entry),
        ("IslandStatusMessage", _) => check::<IslandStatusMessage>(entry),
        ("ChallengeRequestMessage", _) => check::<ChallengeRequestMessage>(entry),
        ("ChallengeResponseMessage", _) => check::<ChallengeResponseMessage>(entry),
        ("SignedChallengeMessage", _) => check::<SignedChallengeMessage>(entry),
        ("WelcomeMessage", _) => check::<WelcomeMessage>(entry),
        ("KickedMessage", _) => check::<KickedMessage>(entry),
        ("ClientPacket", _) => check::<ClientPacket>(entry),
        ("ServerPacket", _) => check::<ServerPacket>(entry),
        ("TransportInit", _) => check::<TransportInit>(entry),
        ("TransportHeartbeat", _) => check::<TransportHeartbeat>(entry),
        ("TransportAuthorizationRequest", _) => check::<TransportAuthorizationRequest>(entry),
        ("TransportAuthorizationResponse", _) => check::<TransportAuthorizationResponse>(entry),
        ("TransportMessage", _) => check::<TransportMessage>(entry),
        ("ServiceDiscoveryMessage", _) => check::<ServiceDiscoveryMessage>(entry),
        ("ServiceStatus", _) => check::<ServiceStatus>(entry),
        _ => panic!("no type for {} of generation {}", entry.message, entry.generation),
    }
}

/// The type of a message's coordinates.
#[derive(Clone, Copy)]
enum Declared {
    Float,
    Double,
}

fn check<M: Decode + Json>(entry: &Entry) {
    check_declared::<M>(entry, Declared::Float);
}

/// The message reads as recorded, and writes what the original writes.
fn check_declared<M: Decode + Json>(entry: &Entry, declared: Declared) {
    let what = format!("{}, generation {}: {}", entry.message, entry.generation, entry.note);
    let Some(expected) = &entry.value else {
        assert!(decode::<M>(&entry.bytes).is_err(), "{what}: the original refuses this");
        return;
    };
    let message = decode::<M>(&entry.bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ours = message.json().unwrap();

    // Values of generation C were recorded before encoding: fields with default values are left out.
    let defaults_left_out = entry.generation == "C";
    let differences = compare(expected, &ours, defaults_left_out);
    for difference in &differences {
        let is_meant = is_meant_coordinate(difference, declared, &entry.bytes) || is_unreadable_text(difference);
        assert!(is_meant, "{what}: {difference:?}");
    }
    let Some(written) = entry.written.as_ref().filter(|_| differences.is_empty()) else { return };
    assert_same_fields::<M>(&message.encode_to_vec(), written, &what);
}

/// Fields and map entries may stand in another order, nothing else may differ.
fn assert_same_fields<M: Decode + Json>(ours: &[u8], theirs: &[u8], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}: wrote {ours:02x?}, not {theirs:02x?}");
    let [ours, theirs] = [ours, theirs].map(|bytes| decode::<M>(bytes).unwrap().json().unwrap());
    assert_eq!(compare(&theirs, &ours, false), [], "{what}");
}

/// The one deliberate difference: a coordinate in the other float type, which the originals skip, is read as meant.
/// Its field must then stand in the bytes in that type, with our value.
fn is_meant_coordinate(difference: &Difference, declared: Declared, bytes: &[u8]) -> bool {
    let field: u8 = match difference.key.as_str() {
        "x" => 1,
        "y" => 2,
        "z" | "positionX" => 3,
        "positionY" => 4,
        "positionZ" => 5,
        _ => return false,
    };
    let (Some(_), Some(ours)) = (json::number(&difference.theirs), json::number(&difference.ours)) else {
        return false;
    };
    let is_ours = |meant: f64| meant.to_bits() == ours.to_bits() || (meant.is_nan() && ours.is_nan());
    match declared {
        Declared::Float => {
            values_of::<8>(field << 3 | 1, bytes).any(|value| is_ours((f64::from_le_bytes(value) as f32).into()))
        }
        Declared::Double => {
            values_of::<4>(field << 3 | 5, bytes).any(|value| is_ours(f32::from_le_bytes(value).into()))
        }
    }
}

/// How many characters stand for bytes that are no text differs from one version of the originals' library to the next.
fn is_unreadable_text(difference: &Difference) -> bool {
    let [theirs, ours] = [&difference.theirs, &difference.ours].map(|value| {
        let mut text: Vec<char> = value.as_str()?.chars().collect();
        text.dedup_by(|one, other| [one, other] == [&'\u{fffd}', &'\u{fffd}']);
        Some(text)
    });
    theirs.is_some() && theirs == ours
}

/// What stands behind each byte that may be this tag.
fn values_of<const N: usize>(tag: u8, bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    let tails = (0..bytes.len()).filter(move |at| bytes[*at] == tag).map(|at| &bytes[at + 1..]);
    tails.filter_map(|tail| tail.first_chunk().copied())
}

/// One recorded message.
struct Entry {
    message: String,
    note: String,
    /// "A", "B", "C", or empty where there is only one.
    generation: String,
    bytes: Vec<u8>,
    /// What the original reads; `None`: it refuses the bytes.
    value: Option<Value>,
    /// What the original writes for this value; `None`: not comparable.
    written: Option<Vec<u8>>,
}

fn read(file: &str) -> Vec<Entry> {
    let folder = env::var_os("ATOLL_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")), PathBuf::from);
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["format"], 1);
    file["entries"].as_array().unwrap().iter().map(entry).collect()
}

fn entry(entry: &Value) -> Entry {
    let bytes = json::bytes_of_hex(entry["hex"].as_str().unwrap());
    let refused = entry["error"] == true;
    let written = match entry.get("reencoded") {
        Some(hex) => Some(json::bytes_of_hex(hex.as_str().unwrap())),
        None => (entry["roundTrips"] == true).then(|| bytes.clone()),
    };
    Entry {
        message: entry["message"].as_str().unwrap().into(),
        note: entry["note"].as_str().unwrap_or_default().into(),
        generation: entry["generation"].as_str().unwrap_or_default().into(),
        value: (!refused).then(|| entry.get("value").expect("a value or an error").clone()),
        bytes,
        written,
    }
}
