//! One run: a whole region in virtual time, the native door, and model clients.

use super::client::Client;
use super::judge::{Shared, Tally};
use super::random::Random;
use super::times::{NOW, WINDOW};
use crate::native::door::{Door, Settings as DoorSettings};
use atoll_client::Wallet;
use atoll_core::archipelago::service::ServiceSettings;
use atoll_core::bus::{Bus, LocalBus, Pattern};
use atoll_core::region::{NativeOnly, Region, Settings};
use atoll_core::room::RoomId;
use atoll_core::{Host, archipelago};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long archipelago waits for a heartbeat.
const PEER_TIMEOUT: Duration = Duration::from_secs(8);

/// Tokio's clock, held still by the test, and a counter for randomness.
struct VirtualHost {
    started: Instant,
    drawn: AtomicU64,
}

impl Host for VirtualHost {
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        NOW + self.monotonic().as_millis() as u64
    }

    fn random(&self, out: &mut [u8]) {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        out.iter_mut().rev().zip(drawn.iter().rev()).for_each(|(to, from)| *to = *from);
    }
}

/// Runs one seed: what it came to, and all that was wrong.
pub(super) fn run(seed: u64, print: bool) -> (Tally, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(live(seed, print))
}

async fn live(seed: u64, print: bool) -> (Tally, Vec<String>) {
    let judge = Shared::new(print);
    let mut random = Random::new(seed, u64::MAX);
    let bus = Arc::new(LocalBus::default());
    let region = region(&bus, &mut random);
    let observers = tokio::spawn(observe(region.clone(), Arc::clone(&bus), judge.clone(), random.percent(75)));
    let door = Door::new(region.clone(), DoorSettings { resume_window: WINDOW, ..DoorSettings::default() });
    let mut clients = JoinSet::new();
    for index in 0..random.between(2, 5) as u32 {
        clients.spawn(Client::new(seed, index, wallet(index), door.clone(), judge.clone()).run());
    }
    while let Some(ended) = clients.join_next().await {
        if ended.is_err() {
            judge.fail("a client could not read what it was sent".to_owned());
        }
    }
    if let Some(failure) = region.failed() {
        judge.fail(format!("the region failed: {failure}"));
    }
    observers.abort();
    door.close().await;
    // The last of those that were parked see it now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kept = door.status().lanes.kept_bytes;
    if kept > 0 {
        judge.fail(format!("{kept} bytes of messages are counted as kept, though there are no sessions"));
    }
    let faults = judge.verdict();
    let tally = judge.lock().tally;
    (tally, faults)
}

fn region(bus: &Arc<LocalBus>, random: &mut Random) -> Region {
    let host = Arc::new(VirtualHost { started: Instant::now(), drawn: AtomicU64::new(0) });
    let tick = random.percent(50).then(|| random.millis(0, 50));
    let settings = Settings {
        server_name: "test".parse().unwrap(),
        shards: 2,
        max_sessions: 100,
        max_room_members: 100,
        tick,
        // One at a time, on a thread of its own, while virtual time stands still.
        max_verifications: 1,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: Some(ServiceSettings {
            engine: archipelago::Settings::default(),
            flush_interval: Duration::from_millis(500),
            newcomer_interval: Duration::from_millis(100),
            peer_timeout: PEER_TIMEOUT,
            islands_interval: Duration::from_secs(120),
            max_peers: 100_000,
        }),
        connection_strings: Arc::new(NativeOnly),
        rooms: Default::default(),
        room_keys: None,
        contract_wallets: None,
    };
    let bus: Arc<dyn Bus> = Arc::<LocalBus>::clone(bus);
    Region::start(settings, host, bus)
}

/// Notes who is put where, and perhaps what every room does. A room that is observed is never forgotten; that is why some
/// are not.
async fn observe(region: Region, bus: Arc<LocalBus>, judge: Shared, rooms: bool) {
    let patterns = [
        "client-proto.*.island_changed",
        "client-proto.island.*.peer_left",
        "client-proto.peer.*.heartbeat",
        "peer.*.connect",
        "peer.*.disconnect",
    ];
    let mut news = bus.subscribe(&patterns.map(|pattern| Pattern::new(pattern).unwrap()), 1000);
    let (mut bridges, mut places) = (BTreeMap::new(), BTreeMap::new());
    while let Some(message) = news.next().await {
        let levels: Vec<&str> = message.subject.levels().collect();
        match levels[..] {
            ["client-proto", address, "island_changed"] => {
                let island: IslandChangedMessage = atoll_proto::decode(&message.payload).unwrap();
                judge.moved(address.parse().unwrap(), &island.island_id);
                if rooms && !bridges.contains_key(&island.island_id) {
                    let link = judge.observer(&island.island_id);
                    let bridge = region.open_link(RoomId::new(&island.island_id), link).await.unwrap();
                    bridges.insert(island.island_id, bridge);
                }
            }
            ["client-proto", "island", island, "peer_left"] => judge.parted(island),
            ["client-proto", "peer", address, "heartbeat"] => {
                let heartbeat: Heartbeat = atoll_proto::decode(&message.payload).unwrap();
                let place = heartbeat.position.unwrap().x;
                if places.insert(address.to_owned(), place) != Some(place) {
                    judge.stirred();
                }
            }
            _ => judge.stirred(),
        }
    }
}

/// Made once: their keys are slow to derive.
fn wallet(index: u32) -> Wallet {
    static WALLETS: Mutex<BTreeMap<u32, Wallet>> = Mutex::new(BTreeMap::new());
    let mut wallets = WALLETS.lock().unwrap();
    let made = wallets.entry(index).or_insert_with(|| {
        let mut key = [1; 32];
        key[..4].copy_from_slice(&index.to_be_bytes());
        let mut ephemeral = key;
        ephemeral[31] = 2;
        Wallet::from_keys(key, ephemeral).unwrap()
    });
    made.clone()
}
