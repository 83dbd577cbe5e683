//! Frames that the original codecs wrote, and foreign ones, shown to a room: what they say is relayed with the same meaning,
//! and nothing ends a socket. And many who come and go.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_core::auth::RoomKeys;
use atoll_proto::rfc5::WsPacket;
use atoll_proto::rfc5::ws_packet::Message;
use atoll_tests::Edge;
use atoll_tests::room::Rfc5;
use serde_json::Value;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of sixteen bytes or more";

async fn edge() -> Edge {
    Edge::start_configured(&format!("[rooms]\nrules = [\"* open\"]\n[ws_room]\nsecret = \"{SECRET}\"\n")).await
}

/// The entries of `rfc5.json` in the folder that `ATOLL_VECTORS` names, or else in the project's own copy.
fn entries() -> Vec<Value> {
    let folder = std::env::var_os("ATOLL_VECTORS").map(std::path::PathBuf::from);
    let own = || concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/vectors").into();
    let text = std::fs::read_to_string(folder.unwrap_or_else(own).join("rfc5.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["entries"].as_array().unwrap().clone()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_rfc5_frames_in_a_room() {
    let edge = edge().await;
    let who = Wallet::random().unwrap();
    let mut speaker = Rfc5::signed_in(edge.http(), "room", &who).await;
    let mut listener = Rfc5::signed_in(edge.http(), "room", &Wallet::random().unwrap()).await;
    let (mut relayed, mut passed_over) = (0, 0);
    for entry in entries().iter().filter(|entry| entry["message"].as_str().unwrap().ends_with(".WsPacket")) {
        speaker.socket.send(bytes(entry["hex"].as_str().unwrap())).await.unwrap();
        let update = &entry["value"]["message"]["peerUpdateMessage"];
        if update.is_object() {
            let (from, body, unreliable) = listener.hears().await;
            assert_eq!(from, who.address().to_string());
            assert_eq!(body, bytes(update["body"]["$hex"].as_str().unwrap()), "{}", entry["note"]);
            assert_eq!(unreliable, update["unreliable"].as_bool().unwrap(), "{}", entry["note"]);
            relayed += 1;
        } else {
            // Nothing of it is heard, and the next thing said is.
            speaker.say(&b"still here"[..], false).await;
            assert_eq!(listener.hears().await.1, b"still here", "{}", entry["note"]);
            passed_over += 1;
        }
    }
    assert!(relayed > 0 && passed_over > 10, "{relayed} relayed, {passed_over} passed over");
    // What the server says is in the originals' form: their decoder's rules read the same from it as prost does.
    let mut newcomer = Rfc5::open(edge.http(), "/rooms/room").await.unwrap();
    newcomer.sign(&Wallet::random().unwrap()).await;
    let frame = newcomer.socket.next().await.unwrap();
    let Some(Message::WelcomeMessage(welcome)) = atoll_proto::decode::<WsPacket>(&frame).unwrap().message else {
        panic!("a welcome is due")
    };
    assert_eq!(welcome.peer_identities.len(), 2);
    assert!(welcome.alias > 0 && welcome.peer_identities.iter().all(|peer| peer.key > 0 && peer.key != welcome.alias));
}

/// The ten thousand a minute are 167 a second.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_come_and_go_and_who_stays_knows_of_each() {
    const MANY: u32 = 500;
    let edge = edge().await;
    let keys = RoomKeys::new(SECRET.as_bytes(), None);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut watcher = Rfc5::signed_in(edge.http(), "room", &Wallet::random().unwrap()).await;
    let began = Instant::now();
    for number in 0..MANY {
        let mut address = [7; 20];
        address[..4].copy_from_slice(&number.to_be_bytes());
        let token = keys.mint("ws://a/rooms/room", atoll_proto::Address(address), None, now).unwrap();
        let mut guest = Rfc5::open(edge.http(), &format!("/rooms/room?access_token={token}")).await.unwrap();
        guest.welcomed().await;
        assert!(!guest.others.is_empty());
        guest.say(number.to_be_bytes(), false).await;
        // Then it goes without a word.
        let (_, body, _) = watcher.hears().await;
        assert_eq!(body, number.to_be_bytes());
    }
    watcher.among(&[]).await;
    let per_minute = f64::from(MANY) * 60.0 / began.elapsed().as_secs_f64();
    assert!(per_minute > 10_000.0, "{per_minute:.0} a minute");
}
