//! Keeps a census by listening to the bus.

use super::Census;
use crate::Host;
use crate::archipelago::Position;
use crate::bus::{Bus, Message, Pattern};
use atoll_proto::Address;
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Messages that may wait: the heartbeats of ten thousand peers, some seconds of them.
const CAPACITY: usize = 32_768;

/// Time between two looks for the silent.
const EXPIRY: Duration = Duration::from_secs(5);

/// Subjects that tell of peers. Nobody but services can publish the first three.
const SUBJECTS: [&str; 4] = [
    "client-proto.*.island_changed",
    "client-proto.island.*.peer_left",
    "peer.*.disconnect",
    "client-proto.peer.*.heartbeat",
];

/// Keeps `census` until the bus ends.
pub async fn run(census: Arc<Mutex<Census>>, host: Arc<dyn Host>, bus: Arc<dyn Bus>) {
    let patterns: Vec<Pattern> = SUBJECTS.iter().filter_map(|text| Pattern::new(text).ok()).collect();
    let mut messages = bus.subscribe(&patterns, CAPACITY);
    drop(bus);
    let mut expiry = tokio::time::interval(EXPIRY);
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = expiry.tick() => {
                lock(&census).expire(host.unix_millis());
                continue;
            }
        };
        match message {
            Some(message) => take(&mut lock(&census), &message, host.unix_millis()),
            None => return,
        }
    }
}

/// Whatever cannot be read says nothing.
fn take(census: &mut Census, message: &Message, now: u64) {
    let levels: Vec<&str> = message.subject.levels().collect();
    let address = |text: &str| text.parse::<Address>().ok();
    match levels[..] {
        ["client-proto", "peer", peer, "heartbeat"] => {
            let place =
                atoll_proto::decode::<Heartbeat>(&message.payload).ok().and_then(|heartbeat| heartbeat.position);
            let position = place.and_then(|at| Position::checked(at.x.into(), at.y.into(), at.z.into()).ok());
            if let (Some(address), Some(position)) = (address(peer), position) {
                census.heartbeat(address, position, now);
            }
        }
        ["client-proto", peer, "island_changed"] => {
            let island = atoll_proto::decode::<IslandChangedMessage>(&message.payload).ok();
            if let (Some(address), Some(island)) = (address(peer), island) {
                census.island_changed(address, &island.island_id, now);
            }
        }
        ["peer", peer, "disconnect"] => {
            if let Some(address) = address(peer) {
                census.left(address);
            }
        }
        ["client-proto", "island", _, "peer_left"] => {
            let left = atoll_proto::decode::<atoll_proto::archipelago::LeftIslandMessage>(&message.payload).ok();
            if let Some(address) = left.and_then(|left| address(&left.peer_id)) {
                census.left(address);
            }
        }
        _ => {}
    }
}

fn lock(census: &Mutex<Census>) -> std::sync::MutexGuard<'_, Census> {
    census.lock().unwrap_or_else(PoisonError::into_inner)
}
