//! What the archipelago service of a region tells and takes beside its own sessions.

use super::*;
use crate::archipelago::service::ServiceSettings;
use crate::bus::{Pattern, Subscription};
use crate::room::SessionId;
use atoll_proto::archipelago::{Heartbeat, IslandStatusMessage, Position as Place};
use prost::Message as _;
use serde_json::Value;

fn region_with_archipelago(bus: &Arc<LocalBus>, max_peers: usize) -> Region {
    region_writing(bus, max_peers, Arc::new(NativeOnly))
}

fn region_writing(bus: &Arc<LocalBus>, max_peers: usize, connection_strings: Arc<dyn ConnectionStrings>) -> Region {
    let archipelago = ServiceSettings {
        engine: crate::archipelago::Settings { room_prefix: "I".to_owned(), ..Default::default() },
        flush_interval: Duration::from_secs(2),
        newcomer_interval: Duration::from_millis(250),
        peer_timeout: Duration::from_secs(60),
        islands_interval: Duration::from_secs(120),
        max_peers,
    };
    let settings = Settings { archipelago: Some(archipelago), connection_strings, ..settings() };
    Region::start(settings, Arc::new(TestHost(Instant::now())), Arc::<LocalBus>::clone(bus))
}

fn heard(bus: &LocalBus, pattern: &str) -> Subscription {
    bus.subscribe(&[Pattern::new(pattern).unwrap()], 1000)
}

fn heartbeat(bus: &LocalBus, peer: &str, x: f32) {
    let heartbeat = Heartbeat { position: Some(Place { x, y: 0.0, z: 0.0 }), desired_room: None };
    let subject = Subject::new(&format!("client-proto.peer.{peer}.heartbeat")).unwrap();
    bus.publish(Message::new(subject, heartbeat.encode_to_vec())).unwrap();
}

#[tokio::test(start_paused = true)]
async fn peers_beyond_the_bound_are_refused_and_counted_and_those_within_go_on() {
    let bus = Arc::<LocalBus>::default();
    let region = region_with_archipelago(&bus, 10);
    for number in 0..1000 {
        heartbeat(&bus, &format!("unknown{number}"), number as f32 * 1000.0);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = region.status().archipelago;
    assert_eq!((status.peers, status.islands, status.refused), (10, 10, 990));
    let mut changes = heard(&bus, "client-proto.*.island_changed");
    heartbeat(&bus, "unknown0", 1000.0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(changes.try_next().is_some(), "who was there may walk");
    // Silence makes room.
    tokio::time::sleep(Duration::from_secs(70)).await;
    heartbeat(&bus, "unknown999", 0.0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(region.status().archipelago.peers, 1);
}

#[tokio::test(start_paused = true)]
async fn it_says_that_it_is_there_and_who_is_where_in_time_and_when_asked() {
    let bus = Arc::<LocalBus>::default();
    let (mut presence, mut islands) = (heard(&bus, "service.discovery"), heard(&bus, "archipelago.islands"));
    let region = region_with_archipelago(&bus, 1000);
    heartbeat(&bus, "0xa", 0.0);
    heartbeat(&bus, "0xb", 10.0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told: Value = serde_json::from_slice(&presence.next().await.unwrap().payload).unwrap();
    assert_eq!((&told["serverName"], &told["status"]["currentTime"]), (&"archipelago".into(), &250.into()));
    tokio::time::sleep(Duration::from_secs(121)).await;
    let times = std::iter::from_fn(|| presence.try_next()).count();
    assert!((10..=13).contains(&times), "{times}");
    assert!(islands.try_next().is_some());
    while islands.try_next().is_some() {}
    // They have been silent; one is back.
    heartbeat(&bus, "0xa", 30.0);
    region.catch_up();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(presence.try_next().is_some());
    let all = IslandStatusMessage::decode(islands.try_next().unwrap().payload).unwrap();
    let [island] = all.data.as_slice() else { panic!("{all:?}") };
    assert_eq!((island.peers.as_slice(), island.max_peers), (&["0xa".to_owned()][..], 100));
    assert_eq!(island.center.unwrap().x, 30.0);
    assert!(islands.try_next().is_none(), "once");
}

/// Writes to whom it was asked to.
#[derive(Debug)]
struct Named;

impl ConnectionStrings for Named {
    fn write(&self, _: &str, _: Address, _: SessionId, _: Capabilities) -> String {
        unreachable!("this region has no sessions")
    }

    fn write_for_foreign(&self, island: &str, address: Address) -> String {
        format!("ws-room:{island}.{address}")
    }
}

#[tokio::test(start_paused = true)]
async fn strings_are_written_for_those_whom_no_edge_of_atoll_announced() {
    let bus = Arc::<LocalBus>::default();
    let region = region_writing(&bus, 1000, Arc::new(Named));
    let mut changes = heard(&bus, "client-proto.*.island_changed");
    let login = |number: u8, is_of_edge: bool| {
        let mut message =
            Message::new(Subject::new(&format!("peer.{}.connect", address(number))).unwrap(), Bytes::new());
        message.is_from_elsewhere = true;
        if is_of_edge {
            message.headers.push((EDGE_HEADER.to_owned(), "1".to_owned()));
        }
        bus.publish(message).unwrap();
    };
    let mut told = async || {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut told: Vec<(String, String)> = Vec::new();
        while let Some(message) = changes.try_next() {
            let change = IslandChangedMessage::decode(message.payload).unwrap();
            told.push((message.subject.levels().nth(1).unwrap().to_owned(), change.conn_str));
        }
        told.sort();
        told
    };
    // One of an edge, one of another program, one that nobody announced, and one that is no address.
    login(1, true);
    login(2, false);
    let peers = [address(1).to_string(), address(2).to_string(), address(3).to_string(), "nobody".to_owned()];
    for peer in &peers {
        heartbeat(&bus, peer, 0.0);
    }
    let first = told().await;
    let island = first[1].1.strip_prefix("ws-room:").unwrap().split('.').next().unwrap().to_owned();
    let foreign = |number: u8| (address(number).to_string(), format!("ws-room:{island}.{}", address(number)));
    let offline = |peer: &str| (peer.to_owned(), OFFLINE.to_owned());
    assert_eq!(first, [offline(&peers[0]), foreign(2), foreign(3), offline("nobody")]);
    // They log in at each other's.
    login(1, false);
    login(2, true);
    heartbeat(&bus, &peers[0], 0.0);
    heartbeat(&bus, &peers[1], 0.0);
    assert_eq!(told().await, [foreign(1), offline(&peers[1])]);
    drop(region);
}

#[tokio::test(start_paused = true)]
async fn the_first_heartbeat_of_another_process_may_pass_its_login() {
    let bus = Arc::<LocalBus>::default();
    let region = region_with_archipelago(&bus, 1000);
    let mut changes = heard(&bus, "client-proto.*.island_changed");
    let elsewhere = |subject: &str, payload: Vec<u8>| {
        let mut message = Message::new(Subject::new(subject).unwrap(), payload);
        message.is_from_elsewhere = true;
        bus.publish(message).unwrap();
    };
    let at = |x: f32| Heartbeat { position: Some(Place { x, y: 0.0, z: 0.0 }), desired_room: None }.encode_to_vec();
    // The first heartbeat comes before the login that it followed.
    elsewhere("client-proto.peer.0xa.heartbeat", at(1.0));
    elsewhere("peer.0xa.connect", Vec::new());
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(changes.try_next().is_some(), "it is placed all the same");
    // Another login later on: it is forgotten until it says where it is, and told of its island afresh.
    elsewhere("peer.0xa.connect", Vec::new());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((region.status().archipelago.peers, changes.try_next().is_none()), (0, true));
    elsewhere("client-proto.peer.0xa.heartbeat", at(2.0));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(changes.try_next().is_some());
}
