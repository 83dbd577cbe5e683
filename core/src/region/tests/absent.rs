//! Sessions without a seat in their island's room.

use super::*;
use crate::archipelago::service::ATOLL_HEADER;
use crate::auth::RoomKeys;
use prost::Message as _;

/// Tokens, and no randomness: what is told at another time is another string.
fn region_with_tokens(bus: &Arc<LocalBus>) -> Region {
    let host: Arc<dyn Host> = Arc::new(TestHost(Instant::now()));
    let (url, keys) = ("wss://edge.example.org".to_owned(), RoomKeys::new(b"the secret of these tests", None));
    let rooms = WsRooms { url, foreign_url: None, keys };
    let strings =
        ByCapabilities { default: DefaultTransport::Ws, transports: vec![Box::new(rooms)], host: Arc::clone(&host) };
    let room_keys = Some(RoomKeys::new(b"the secret of these tests", None));
    let settings = Settings { connection_strings: Arc::new(strings), room_keys, ..settings() };
    Region::start(settings, host, Arc::<LocalBus>::clone(bus))
}

/// Archipelago puts a peer into an island.
fn put(bus: &LocalBus, number: u8, island: &str, ours: bool) {
    let conn_str = "ws-room:wss://theirs.example.org/rooms/I1?access_token=x".to_owned();
    let changed = IslandChangedMessage { island_id: island.to_owned(), conn_str, ..Default::default() };
    let subject = Subject::new(&format!("client-proto.{}.island_changed", address(number))).unwrap();
    let mut message = Message::new(subject, changed.encode_to_vec());
    message.headers.extend(ours.then(|| (ATOLL_HEADER.to_owned(), "1".to_owned())));
    bus.publish(message).unwrap();
}

/// What a session is told within so many seconds: after how many of them, and by which string.
async fn told(session: &mut Session, seconds: u64) -> Vec<(u64, String)> {
    let began = Instant::now();
    let mut told = Vec::new();
    let rest = || Duration::from_secs(seconds).saturating_sub(began.elapsed());
    while let Ok(event) = tokio::time::timeout(rest(), session.next_event()).await {
        let Some(SessionEvent::IslandChanged(island)) = event else { panic!("{event:?}") };
        assert_eq!(island.island_id, "I1");
        told.push((began.elapsed().as_secs(), island.conn_str));
    }
    told
}

fn times(told: &[(u64, String)]) -> Vec<u64> {
    told.iter().map(|(after, _)| *after).collect()
}

/// Whether the times are these, but for the second that it may take until it is looked.
fn about(told: &[(u64, String)], expected: &[u64]) -> bool {
    let times = times(told);
    times.len() == expected.len() && times.iter().zip(expected).all(|(told, due)| (*due..=due + 3).contains(told))
}

async fn enter(region: &Region, conn_str: &str) -> Seat {
    let token = conn_str.split_once("access_token=").unwrap().1;
    let grant = region.grant_in("I1", Right::Token(token)).await.unwrap();
    region.join(grant, Box::new(Ear::default())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_loses_its_seat_is_told_of_its_island_again_until_it_has_one() {
    let bus = Arc::<LocalBus>::default();
    let region = region_with_tokens(&bus);
    let mut session = session(&region, 1);
    put(&bus, 1, "I1", true);
    let first = told(&mut session, 2).await;
    let seat = enter(&region, &first[0].1).await;
    assert_eq!(told(&mut session, 1000).await, [], "it has its seat");
    // A second connection, of which the first ends.
    let again = region.join(region.grant(&session).unwrap(), Box::new(Ear::default())).await.unwrap();
    drop(seat);
    assert_eq!(told(&mut session, 100).await, []);

    drop(again);
    let reminded = told(&mut session, 240).await;
    assert!(about(&reminded, &[5, 15, 35, 75, 135, 195]), "{reminded:?}");
    assert!(reminded.windows(2).all(|pair| pair[0].1 != pair[1].1), "each with a fresh token");
    let back = enter(&region, &reminded[5].1).await;
    assert_eq!(told(&mut session, 1000).await, []);
    drop(back);
    assert!(about(&told(&mut session, 10).await, &[5]), "from the beginning");

    // A grant from before is good all the same: nothing has moved.
    let grant = region.grant(&session).unwrap();
    assert!(about(&told(&mut session, 10).await, &[4]));
    assert!(region.join(grant, Box::new(Ear::default())).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_never_came_is_told_later_and_who_moves_or_ends_no_more() {
    let bus = Arc::<LocalBus>::default();
    let region = region_with_tokens(&bus);
    let mut peer = session(&region, 1);
    put(&bus, 1, "I1", true);
    let reminded = told(&mut peer, 200).await;
    assert!(about(&reminded, &[0, 30, 70, 130, 190]), "{reminded:?}");
    put(&bus, 1, "I2", true);
    let Some(SessionEvent::IslandChanged(island)) = peer.next_event().await else { panic!("no island") };
    assert_eq!(island.island_id, "I2");
    assert!(at_once(peer.next_event()).await.is_none());
    let next = async { tokio::time::timeout(Duration::from_secs(35), peer.next_event()).await };
    let Ok(Some(SessionEvent::IslandChanged(island))) = next.await else { panic!("no island") };
    assert_eq!(island.island_id, "I2", "of where it stands now");
    drop(peer);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let mut later = session(&region, 1);
    assert_eq!(told(&mut later, 1000).await, [], "another login starts anew");
}

#[tokio::test(start_paused = true)]
async fn strings_that_cannot_be_written_again_are_told_once() {
    let bus = Arc::<LocalBus>::default();
    let region = region_with_tokens(&bus);
    let native = Capabilities::NONE.with(Transport::Quic);
    let mut peer = Session::open(&region.inner, address(1), [192, 0, 2, 1].into(), native).unwrap();
    put(&bus, 1, "I1", true);
    assert_eq!(told(&mut peer, 2).await, [(0, "quic:I1".to_owned())]);
    let (seat, _) = seat(&region, &peer).await;
    drop(seat);
    assert_eq!(told(&mut peer, 1000).await, [], "a native client has its own ways");

    let mut offline = Session::open(&region.inner, address(2), [192, 0, 2, 1].into(), Capabilities::NONE).unwrap();
    put(&bus, 2, "I1", true);
    assert_eq!(told(&mut offline, 1000).await, [(0, OFFLINE.to_owned())]);
    let mut foreign = session(&region, 3);
    put(&bus, 3, "I1", false);
    assert_eq!(times(&told(&mut foreign, 1000).await), [0], "another archipelago's token is not ours to make");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_absent_are_all_told_and_hear_who_else_is_there() {
    use crate::archipelago::Position;
    let bus = Arc::<LocalBus>::default();
    let region = region_with_tokens(&bus);
    // Until all its tasks listen.
    settle().await;
    let number = |number: u16| Address([[0; 18].as_slice(), &number.to_be_bytes()].concat().try_into().unwrap());
    let client = Capabilities::NONE.with(Transport::WsRoom);
    let mut sessions: Vec<Session> =
        (0..900).map(|at| Session::open(&region.inner, number(at), [192, 0, 2, 1].into(), client).unwrap()).collect();
    for session in &mut sessions {
        session.heartbeat(Position { x: 1.0, y: 0.0, z: 2.0 }, None).unwrap();
        let changed = IslandChangedMessage { island_id: "I1".to_owned(), ..Default::default() };
        let subject = Subject::new(&format!("client-proto.{}.island_changed", session.address())).unwrap();
        let mut message = Message::new(subject, changed.encode_to_vec());
        message.headers.push((ATOLL_HEADER.to_owned(), "1".to_owned()));
        bus.publish(message).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(33)).await;
    let then = Instant::now();
    for session in &mut sessions {
        let told = [session.next_event().await, session.next_event().await];
        let [Some(SessionEvent::IslandChanged(_)), Some(SessionEvent::IslandChanged(island))] = told else {
            panic!("{told:?}")
        };
        let place = island.peers.first().and_then(|peer| peer.value);
        assert_eq!((island.peers.len(), place.map(|place| place.z)), (900, Some(2.0)));
    }
    assert_eq!(Instant::now(), then, "nobody had to wait any longer");
}
