//! A region's queues and tasks in virtual time. Nothing moves between two calls unless a test awaits.

mod absent;
mod bulletins;
mod elsewhere;
mod failures;
mod full;
mod queues;
mod reseat;
mod rooms;
mod session;
mod strings;
mod topics;

use super::*;
use crate::bus::LocalBus;
use crate::room::{Delivery, Frame, Pressure};
use atoll_proto::Address;
use atoll_proto::archipelago::IslandChangedMessage;
use atoll_proto::datagram::Tag;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;
use tokio::time::Instant;

/// Tokio's clock, which tests hold still, and no randomness at all.
struct TestHost(Instant);

impl Host for TestHost {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

/// A link that writes down the ordered packets it hears, and how many members there are.
#[derive(Clone, Default)]
struct Ear {
    ordered: Arc<Mutex<Vec<Bytes>>>,
    last: Arc<Mutex<Option<&'static str>>>,
    answer: Option<Pressure>,
}

impl Ear {
    fn ordered(&self) -> Vec<Bytes> {
        self.ordered.lock().unwrap().clone()
    }

    /// What kind of frame it heard last.
    fn last(&self) -> Option<&'static str> {
        *self.last.lock().unwrap()
    }
}

impl Link for Ear {
    fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
        let kind = match frame {
            Frame::Ordered(ordered) => {
                self.ordered.lock().unwrap().extend(ordered.payload().cloned());
                "ordered"
            }
            Frame::Members(_) => "members",
            Frame::Batch(_) | Frame::Voice(_) => "news",
            Frame::Refused { .. } => "refused",
            Frame::NotForAll { .. } => "not for all",
            Frame::Closed(_) => "closed",
        };
        *self.last.lock().unwrap() = Some(kind);
        self.answer.unwrap_or(Pressure::Flowing)
    }
}

fn settings() -> Settings {
    Settings {
        server_name: "test".parse().unwrap(),
        shards: 1,
        max_sessions: 1000,
        max_room_members: 1000,
        tick: None,
        max_verifications: 1,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: None,
        connection_strings: Arc::new(NativeOnly),
        rooms: Default::default(),
        room_keys: None,
        contract_wallets: None,
    }
}

fn region() -> Region {
    region_on(Arc::default())
}

/// A region for so many sessions.
fn region_of(max_sessions: usize) -> Region {
    let settings = Settings { max_sessions, ..settings() };
    Region::start(settings, Arc::new(TestHost(Instant::now())), Arc::new(LocalBus::default()))
}

fn region_on(bus: Arc<LocalBus>) -> Region {
    Region::start(settings(), Arc::new(TestHost(Instant::now())), bus)
}

fn address(number: u8) -> Address {
    Address([number; 20])
}

/// A session without the trouble of a login.
fn session(region: &Region, number: u8) -> Session {
    session_from(region, number, 1).unwrap()
}

/// The same from some place, as the region lets it in.
fn session_from(region: &Region, number: u8, place: u8) -> Option<Session> {
    Session::open(&region.inner, address(number), [192, 0, 2, place].into(), Capabilities::NONE.with(Transport::WsRoom))
}

fn move_to(region: &Region, number: u8, island: &str) {
    let message = IslandChangedMessage { island_id: island.to_owned(), ..Default::default() };
    region
        .inner
        .registry
        .move_to(address(number), RoomId::new(island), |_, _| Some(SessionEvent::IslandChanged(message)));
}

async fn seat(region: &Region, session: &Session) -> (Seat, Ear) {
    let ear = Ear::default();
    let grant = region.grant(session).expect("the session stands in an island");
    (region.join(grant, Box::new(ear.clone())).await.unwrap(), ear)
}

/// A session with a seat in the island `I1`.
async fn seated(region: &Region, number: u8) -> (Session, Seat, Ear) {
    let session = session(region, number);
    move_to(region, number, "I1");
    let (seat, ear) = seat(region, &session).await;
    (session, seat, ear)
}

/// Lets everything happen that can.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// The future's answer if it has one without waiting.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

fn numbers(range: std::ops::Range<u8>) -> Vec<Bytes> {
    range.map(|number| Bytes::from(vec![number])).collect()
}
