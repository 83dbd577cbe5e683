//! What a session publishes, and what it is told.

use super::*;
use crate::archipelago::service::ATOLL_HEADER;
use crate::archipelago::{Position, PositionError};
use crate::bus::{Pattern, Subscription};
use crate::room::SessionId;
use atoll_proto::archipelago::{self as wire, Heartbeat};
use prost::Message as _;

fn heartbeats(bus: &LocalBus) -> Subscription {
    bus.subscribe(&[Pattern::new("client-proto.peer.*.heartbeat").unwrap()], 1000)
}

async fn heard(subscription: &mut Subscription) -> Option<Heartbeat> {
    let message = at_once(subscription.next()).await??;
    Some(atoll_proto::decode(&message.payload).unwrap())
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_checked_published_and_repeated() {
    let bus = Arc::new(LocalBus::default());
    let mut published = heartbeats(&bus);
    let region = region_on(Arc::clone(&bus));
    let mut session = session(&region, 1);
    session.repeat_heartbeat();
    let nowhere = Position { x: f64::NAN, ..Position::default() };
    let refused = session.heartbeat(nowhere, None);
    assert_eq!(refused, Err(HeartbeatError::InvalidPosition(PositionError::NotFinite)));
    session.repeat_heartbeat();
    assert_eq!(heard(&mut published).await, None, "nothing was said so far");

    session.heartbeat(Position { x: 1.5, y: 2.0, z: -3.0 }, Some("I7")).unwrap();
    let place = wire::Position { x: 1.5, y: 2.0, z: -3.0 };
    let told = Heartbeat { position: Some(place), desired_room: Some("I7".to_owned()) };
    assert_eq!(heard(&mut published).await, Some(told.clone()));
    for _ in 0..100 {
        session.repeat_heartbeat();
        assert_eq!(heard(&mut published).await, Some(told.clone()), "as often as its door likes");
    }
    let taken = (0..100).filter(|_| session.heartbeat(Position::default(), None).is_ok()).count();
    assert_eq!(
        (taken, region.status().heartbeats),
        (59, 60),
        "repeating costs the client nothing and counts for nothing"
    );
}

/// Sends everybody somewhere else.
#[derive(Debug)]
struct Elsewhere;

impl ConnectionStrings for Elsewhere {
    fn write(&self, island: &str, address: Address, _: SessionId, client: Capabilities) -> String {
        format!("elsewhere:{island}:{address}:{}", client.includes(Transport::WsRoom))
    }

    fn tells_of_islands(&self, client: Capabilities) -> bool {
        !client.includes(Transport::Livekit)
    }
}

#[tokio::test(start_paused = true)]
async fn connection_strings_are_written_as_the_edge_likes() {
    let bus = Arc::new(LocalBus::default());
    let settings = Settings { connection_strings: Arc::new(Elsewhere), ..settings() };
    let region = Region::start(settings, Arc::new(TestHost(Instant::now())), Arc::clone(&bus) as Arc<dyn Bus>);
    let mut session = session(&region, 1);
    let island =
        IslandChangedMessage { island_id: "I1".to_owned(), conn_str: "theirs".to_owned(), ..Default::default() };
    let subject = Subject::new(&format!("client-proto.{}.island_changed", session.address())).unwrap();
    for (ours, written) in [(true, format!("elsewhere:I1:{}:true", address(1))), (false, "theirs".to_owned())] {
        let mut message = Message::new(subject.clone(), island.encode_to_vec());
        message.headers.extend(ours.then(|| (ATOLL_HEADER.to_owned(), "1".to_owned())));
        bus.publish(message).unwrap();
        let Some(SessionEvent::IslandChanged(told)) = session.next_event().await else { panic!("no island") };
        assert_eq!(told.conn_str, written);
    }
    // Who is not told of its islands stands in them all the same, and hears of a foreign archipelago's.
    let livekit = Capabilities::NONE.with(Transport::Livekit);
    let mut silent = Session::open(&region.inner, address(2), [192, 0, 2, 2].into(), livekit).unwrap();
    let subject = Subject::new(&format!("client-proto.{}.island_changed", silent.address())).unwrap();
    for (id, ours) in [("I1", true), ("I2", false)] {
        let island = IslandChangedMessage { island_id: id.to_owned(), ..Default::default() };
        let mut message = Message::new(subject.clone(), island.encode_to_vec());
        message.headers.extend(ours.then(|| (ATOLL_HEADER.to_owned(), "1".to_owned())));
        bus.publish(message).unwrap();
        let room = || async { region.grant(&silent).filter(|grant| grant.room == RoomId::new(id)) };
        while room().await.is_none() {
            tokio::task::yield_now().await;
        }
    }
    let Some(SessionEvent::IslandChanged(told)) = silent.next_event().await else { panic!("no island") };
    assert_eq!(told.island_id, "I2");
    assert_eq!(NativeOnly.write("I1", address(1), SessionId(1), Capabilities::NONE.with(Transport::Quic)), "quic:I1");
    assert_eq!(NativeOnly.write("I1", address(1), SessionId(1), Capabilities::NONE), OFFLINE);
}
