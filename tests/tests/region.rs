//! A whole region in virtual time, without a socket: logins, islands, rooms, and what goes over the bus.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_core::archipelago::Position;
use atoll_core::archipelago::service::ServiceSettings;
use atoll_core::bus::{Bus, LocalBus, Message, Pattern, Subject, Subscription};
use atoll_core::region::{
    Capabilities, HeartbeatError, JoinFailed, LoginError, NativeOnly, Proof, Region, Seat, Session, SessionEvent,
    Settings, Transport,
};
use atoll_core::room::{Delivery, Frame, Link, MemberList, Pressure, RoomId, Sender};
use atoll_core::{Host, archipelago};
use atoll_proto::archipelago::{self as wire, Heartbeat, IslandChangedMessage};
use atoll_proto::datagram::{Alias, Sequence, Tag};
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

const NOW: u64 = 1_700_000_000_000;

/// Where clients are.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Tokio's clock, which these tests hold still, and a counter for randomness.
struct TestHost {
    started: Instant,
    drawn: AtomicU64,
}

impl Host for TestHost {
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

fn region(bus: Arc<LocalBus>) -> Region {
    let host = Arc::new(TestHost { started: Instant::now(), drawn: AtomicU64::new(0) });
    let settings = Settings {
        server_name: "test".parse().unwrap(),
        shards: 2,
        max_sessions: 1000,
        max_room_members: 200,
        max_verifications: 4,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: Some(ServiceSettings {
            engine: archipelago::Settings::default(),
            flush_interval: Duration::from_secs(2),
            newcomer_interval: Duration::from_millis(250),
            peer_timeout: Duration::from_secs(60),
            islands_interval: Duration::from_secs(120),
            max_peers: 100_000,
        }),
        tick: None,
        connection_strings: Arc::new(NativeOnly),
        rooms: Default::default(),
        room_keys: None,
        contract_wallets: None,
    };
    Region::start(settings, host, bus)
}

fn wallet(number: u16) -> Wallet {
    let mut key = [1; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    let mut ephemeral = key;
    ephemeral[31] = 2;
    Wallet::from_keys(key, ephemeral).unwrap()
}

async fn log_in(region: &Region, wallet: &Wallet) -> Result<Session, LoginError> {
    log_in_from(region, HERE, wallet).await
}

async fn log_in_from(region: &Region, from: IpAddr, wallet: &Wallet) -> Result<Session, LoginError> {
    let challenge = region.challenge();
    let expiration = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW) + Duration::from_secs(3600);
    let auth_chain_json = wallet.sign(challenge.as_str(), expiration);
    let capabilities = Capabilities::NONE.with(Transport::Quic);
    region.login(Proof::SignedChallenge { challenge, signer: None, auth_chain_json }, from, capabilities).await
}

fn at(x: f64) -> Position {
    Position { x, y: 0.0, z: 0.0 }
}

async fn island_of(session: &mut Session) -> IslandChangedMessage {
    match session.next_event().await {
        Some(SessionEvent::IslandChanged(island)) => island,
        other => panic!("{other:?} instead of an island"),
    }
}

/// Counts what it hears of others.
#[derive(Clone, Default)]
struct Ear {
    own: Arc<Mutex<Option<Alias>>>,
    heard: Arc<AtomicUsize>,
    members: Arc<AtomicUsize>,
}

impl Link for Ear {
    fn push(&mut self, _tag: Tag, frame: Frame) -> Pressure {
        match frame {
            Frame::Members(MemberList::Snapshot { own, members }) => {
                *self.own.lock().unwrap() = own;
                self.members.store(members.len(), Ordering::Relaxed);
            }
            Frame::Members(MemberList::Change { joined, left }) => {
                self.members.fetch_add(joined.len(), Ordering::Relaxed);
                self.members.fetch_sub(left.len(), Ordering::Relaxed);
            }
            Frame::Batch(batch) => {
                let own = *self.own.lock().unwrap();
                let foreign = batch.entries().iter().filter(|entry| Some(entry.alias) != own).count();
                self.heard.fetch_add(foreign, Ordering::Relaxed);
            }
            _ => {}
        }
        Pressure::Flowing
    }
}

async fn take_seat(region: &Region, session: &Session) -> (Seat, Ear) {
    let ear = Ear::default();
    let grant = region.grant(session).expect("the session stands in an island");
    (region.join(grant, Box::new(ear.clone())).await.unwrap(), ear)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_peers_in_twenty_islands_hear_their_own_island_only() {
    let region = region(Arc::default());
    let mut sessions = Vec::new();
    for number in 0..1000u16 {
        let place = Ipv4Addr::from_bits(0x0a00_0000 + u32::from(number)).into();
        let mut session = log_in_from(&region, place, &wallet(number)).await.unwrap();
        session.heartbeat(at(f64::from(number % 20) * 500.0 + f64::from(number) / 1000.0), None).unwrap();
        sessions.push(session);
    }
    assert_eq!(log_in(&region, &wallet(5000)).await.err().unwrap().to_string(), "the region is full");

    // The first of each island came alone; the others found it there.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut seats = Vec::new();
    for session in &mut sessions {
        let island = island_of(session).await;
        assert_eq!(island.conn_str, format!("quic:{}", island.island_id));
        seats.push(take_seat(&region, session).await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(seats.iter().all(|(_, ear)| ear.members.load(Ordering::Relaxed) == 50));

    for sequence in 1..=3 {
        for (seat, _) in &seats {
            seat.send(Delivery::Event, Some(Sequence(sequence)), Bytes::from_static(b"here")).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let heard: Vec<usize> = seats.iter().map(|(_, ear)| ear.heard.load(Ordering::Relaxed)).collect();
    assert!(heard.iter().all(|count| *count == 3 * 49), "{heard:?}");
    let status = region.status();
    assert_eq!((status.sessions, status.seats, status.rooms), (1000, 1000, 20));
    assert_eq!((status.packets_in, status.packets_out), (3000, 3000 * 49));

    drop((seats, sessions));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let status = region.status();
    assert_eq!((status.sessions, status.seats, status.rooms, status.archipelago.peers), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_wait_for_the_beat_and_a_storm_of_them_does_not_make_one_of_its_own() {
    let region = region(Arc::default());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut first = log_in(&region, &wallet(1)).await.unwrap();
    let started = Instant::now();
    first.heartbeat(at(0.0), None).unwrap();
    island_of(&mut first).await;
    assert!(started.elapsed() < Duration::from_millis(10), "{:?}", started.elapsed());

    let mut second = log_in(&region, &wallet(2)).await.unwrap();
    second.heartbeat(at(1.0), None).unwrap();
    let island = island_of(&mut second).await;
    assert_eq!(island.peers.len(), 2);
    assert!((249..270).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());

    // Who only walks waits for the beat.
    let started = Instant::now();
    second.heartbeat(at(500.0), None).unwrap();
    island_of(&mut second).await;
    assert!((1990..2020).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

async fn next(subscription: &mut Subscription) -> Message {
    subscription.next().await.expect("the bus lives")
}

#[tokio::test(start_paused = true)]
async fn the_documented_subjects_tell_the_life_of_a_peer() {
    let bus = Arc::new(LocalBus::default());
    let mut all = bus.subscribe(&[Pattern::new(">").unwrap()], 100);
    let region = region(Arc::clone(&bus));
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    let address = session.address();
    session.heartbeat(at(8.0), None).unwrap();
    let island = island_of(&mut session).await;
    assert_eq!(island.from_island_id, None);

    let connect = next(&mut all).await;
    assert_eq!((connect.subject.as_str(), &connect.payload[..]), (&*format!("peer.{address}.connect"), &b""[..]));
    let beat = next(&mut all).await;
    assert_eq!(beat.subject.as_str(), format!("client-proto.peer.{address}.heartbeat"));
    let published = Heartbeat { position: Some(wire::Position { x: 8.0, y: 0.0, z: 0.0 }), desired_room: None };
    assert_eq!(atoll_proto::decode::<Heartbeat>(&beat.payload).unwrap(), published);
    let changed = next(&mut all).await;
    assert_eq!(changed.subject.as_str(), format!("client-proto.{address}.island_changed"));
    let told: IslandChangedMessage = atoll_proto::decode(&changed.payload).unwrap();
    assert_eq!(
        (&told.island_id, &*told.conn_str),
        (&island.island_id, "offline:offline"),
        "the string is the session's edge's to write"
    );
    let joined = next(&mut all).await;
    assert_eq!(joined.subject.as_str(), format!("client-proto.island.{}.peer_join", island.island_id));

    assert_eq!(next(&mut all).await.subject.as_str(), "service.discovery", "told with the first flush");

    drop(session);
    assert_eq!(next(&mut all).await.subject.as_str(), format!("peer.{address}.disconnect"));
    assert_eq!(next(&mut all).await.subject.as_str(), format!("client-proto.island.{}.peer_left", island.island_id));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_archipelago_is_followed_and_its_connection_strings_passed_on() {
    let bus = Arc::new(LocalBus::default());
    let region = region(Arc::clone(&bus));
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    let told = IslandChangedMessage {
        island_id: "theirs".to_owned(),
        conn_str: "livekit:wss://elsewhere.example?access_token=x".to_owned(),
        ..Default::default()
    };
    let subject = Subject::new(&format!("client-proto.{}.island_changed", session.address())).unwrap();
    bus.publish(Message::new(subject, prost::Message::encode_to_vec(&told))).unwrap();
    assert_eq!(island_of(&mut session).await, told);
    assert_eq!(region.grant(&session).unwrap().room().as_str(), "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_grant_ends_with_the_next_island_change_and_with_the_session() {
    let bus = Arc::new(LocalBus::default());
    let region = region(Arc::clone(&bus));
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    assert!(region.grant(&session).is_none(), "no island yet");
    session.heartbeat(at(0.0), None).unwrap();
    island_of(&mut session).await;
    let old = region.grant(&session).unwrap();

    let told = IslandChangedMessage { island_id: old.room().to_string(), ..Default::default() };
    let subject = Subject::new(&format!("client-proto.{}.island_changed", session.address())).unwrap();
    bus.publish(Message::new(subject, prost::Message::encode_to_vec(&told))).unwrap();
    island_of(&mut session).await;
    let ear = || Box::new(Ear::default());
    assert_eq!(region.join(old, ear()).await.err(), Some(JoinFailed::Stale), "also when the room is the same again");

    let current = region.grant(&session).unwrap();
    let seat = region.join(current.clone(), ear()).await.unwrap();
    let second = log_in(&region, &wallet(1)).await.unwrap();
    assert_eq!(region.join(current, ear()).await.err(), Some(JoinFailed::Stale), "the session was replaced");
    assert_eq!(session.next_event().await, Some(SessionEvent::Kicked));
    assert_eq!(session.next_event().await, None);
    drop((seat, session));
    assert_eq!(region.status().sessions, 1, "the end of the first does not log out the second");
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn silent_peers_leave_their_island_after_the_timeout() {
    let bus = Arc::new(LocalBus::default());
    let mut left = bus.subscribe(&[Pattern::new("client-proto.island.*.peer_left").unwrap()], 10);
    let region = region(bus);
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    let started = Instant::now();
    session.heartbeat(at(0.0), None).unwrap();
    island_of(&mut session).await;
    next(&mut left).await;
    let silence = started.elapsed();
    assert!((Duration::from_secs(60)..Duration::from_secs(65)).contains(&silence), "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn proofs_that_do_not_hold_change_nothing() {
    let region = region(Arc::default());
    let challenge = region.challenge();
    assert!(challenge.as_str().starts_with("dcl-test-"));
    let expired = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW);
    let other = wallet(1).sign(region.challenge().as_str(), expired + Duration::from_secs(3600));
    let late = wallet(1).sign(challenge.as_str(), expired);
    for auth_chain_json in [other, late, "[]".to_owned(), "{".to_owned(), String::new()] {
        let proof = Proof::SignedChallenge { challenge: challenge.clone(), signer: None, auth_chain_json };
        let refused = region.login(proof, HERE, Capabilities::default()).await;
        assert!(matches!(refused, Err(LoginError::Unauthorized(_))));
    }
    assert_eq!((region.status().sessions, region.status().logins), (0, 0));
}

/// Starts `future` and gives it up before it takes the answer that is on its way.
async fn given_up<T>(future: impl Future<Output = T>) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    // Virtual time moves only when nothing else can: the answer is there then.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_seat_nobody_waits_for_any_more_is_given_up() {
    let region = region(Arc::default());
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    session.heartbeat(at(0.0), None).unwrap();
    island_of(&mut session).await;
    let grant = region.grant(&session).unwrap();
    given_up(region.join(grant, Box::new(Ear::default()))).await;
    given_up(region.open_link(RoomId::new("named"), Box::new(Ear::default()))).await;
    let bridge = region.open_link(RoomId::new("other"), Box::new(Ear::default())).await.unwrap();
    given_up(bridge.add(Sender::Server("lost".into()))).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let status = region.status();
    assert_eq!((status.rooms, status.seats), (1, 0), "the bridge's room, with nobody in it");

    let alias = bridge.add(Sender::Server("kept".into())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(region.status().seats, 1);
    bridge.remove(alias);
    drop(bridge);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((region.status().rooms, region.status().seats), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_takes_sixty_heartbeats_at_once_and_ten_a_second() {
    let region = region(Arc::default());
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    let taken = (0..100).filter(|_| session.heartbeat(at(0.0), None).is_ok()).count();
    assert_eq!(taken, 60);
    assert_eq!(session.heartbeat(at(0.0), None), Err(HeartbeatError::TooOften));
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        session.heartbeat(at(0.0), None).unwrap();
    }
    let named = "x".repeat(65);
    assert_eq!(session.heartbeat(at(0.0), Some(&named)), Err(HeartbeatError::DesiredRoomTooLong));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_archipelago_did_not_hear_of_is_announced_again() {
    let bus = Arc::new(LocalBus::default());
    let region = region(Arc::clone(&bus));
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    session.heartbeat(at(0.0), None).unwrap();
    island_of(&mut session).await;
    // Nothing else runs meanwhile, so the queue of the service fills, and the end and the next login are lost.
    let noise = Subject::new("client-proto.peer.noise.heartbeat").unwrap();
    for _ in 0..70_000 {
        bus.publish(Message::new(noise.clone(), Bytes::new())).unwrap();
    }
    drop(session);
    let mut session = log_in(&region, &wallet(1)).await.unwrap();
    let started = Instant::now();
    let island = async {
        loop {
            session.heartbeat(at(0.0), None).unwrap();
            if let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), session.next_event()).await {
                return event;
            }
        }
    };
    assert!(matches!(island.await, SessionEvent::IslandChanged(_)));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(region.status().archipelago.dropped > 0, "nothing was lost, so nothing was tried");
}
