use super::*;
use crate::native::door::Settings as DoorSettings;
use crate::native::outbox::Down;
use crate::native::{Carrier, End, Mover, queues};
use atoll_client::Wallet;
use atoll_core::archipelago::service::ServiceSettings;
use atoll_core::bus::LocalBus;
use atoll_core::region::{Capabilities, NativeOnly, Proof, Region, Settings, Transport};
use atoll_core::room::Sender;
use atoll_core::{Address, Host, archipelago};
use atoll_proto::datagram::{Alias, Tag};
use std::time::SystemTime;

const AGE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(100);

/// Tokio's clock, which stands still until everybody waits.
struct PausedHost(Instant);

impl Host for PausedHost {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        1_700_000_000_000
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

/// A session whose client may be silent for a long time, and the door it came in by.
async fn session() -> (Native, Door) {
    let archipelago = ServiceSettings {
        engine: archipelago::Settings::default(),
        flush_interval: Duration::from_secs(2),
        newcomer_interval: Duration::from_millis(250),
        peer_timeout: Duration::from_secs(3600),
        islands_interval: Duration::from_secs(120),
        max_peers: 100_000,
    };
    let settings = Settings {
        server_name: "test".parse().unwrap(),
        shards: 1,
        max_sessions: 10,
        max_room_members: 10,
        tick: None,
        max_verifications: 1,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: Some(archipelago),
        connection_strings: Arc::new(NativeOnly),
        rooms: Default::default(),
        room_keys: None,
        contract_wallets: None,
    };
    let region = Region::start(settings, Arc::new(PausedHost(Instant::now())), Arc::<LocalBus>::default());
    let (challenge, wallet) = (region.challenge(), Wallet::random().unwrap());
    let auth_chain_json = wallet.sign(challenge.as_str(), SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000));
    let proof = Proof::SignedChallenge { challenge, signer: None, auth_chain_json };
    let session = region.login(proof, [127, 0, 0, 1].into(), Capabilities::NONE.with(Transport::Quic));
    let session = session.await.unwrap();
    let door = Door::new(region, DoorSettings { resume_window: 2 * AGE, ..DoorSettings::default() });
    (Native::new(session, door.clone()), door)
}

async fn attach(native: &Native, door: &Door) -> (Attached, Mover) {
    let (queues, streams, datagrams, mover) = queues([127, 0, 0, 1].into());
    let mut connection = door.connection(Carrier::Queues(queues), streams, datagrams);
    let (reader, writer) = connection.open().await.unwrap();
    (native.attach(Opened { connection, reader, writer }), mover)
}

fn push(outbox: &Outbox, payload: Bytes) {
    outbox.push(Down { tag: Tag(7), from: Alias(3), sender: Sender::Peer(Address([1; 20])), payload });
}

fn kept(door: &Door) -> u64 {
    door.status().lanes.kept_bytes
}

#[tokio::test(start_paused = true)]
async fn what_an_idle_client_does_not_acknowledge_is_given_up_after_sixty_seconds() {
    let (mut native, door) = session().await;
    let (mut attached, mover) = attach(&native, &door).await;
    let outbox = Arc::clone(&native.outbox);
    let task = tokio::spawn(async move { native.attend(&mut attached).await });
    // The second is more than the ordered lane takes.
    for payload in [Bytes::from_static(b"first"), vec![0; 100_000].into()] {
        push(&outbox, payload);
        tokio::time::sleep(AGE - MOMENT).await;
        assert!(kept(&door) > 0);
        tokio::time::sleep(2 * MOMENT).await;
        assert_eq!(kept(&door), 0);
        // So that the next is pushed while the session waits for nothing in particular.
        tokio::time::sleep(AGE / 6).await;
    }
    push(&outbox, Bytes::from_static(b"last"));
    tokio::time::sleep(MOMENT).await;
    assert!(kept(&door) > 0);
    task.abort();
    drop(outbox);
    drop(mover);
    assert!(task.await.is_err());
    tokio::time::sleep(MOMENT).await;
    assert_eq!(kept(&door), 0, "the session is over");
}

#[tokio::test(start_paused = true)]
async fn what_a_parked_session_keeps_is_given_up_after_sixty_seconds_and_with_its_end() {
    let (mut native, door) = session().await;
    let outbox = Arc::clone(&native.outbox);
    let task = tokio::spawn(async move { native.park().await.is_some() });
    tokio::time::sleep(MOMENT).await;
    push(&outbox, Bytes::from_static(b"first"));
    tokio::time::sleep(AGE - MOMENT).await;
    assert!(kept(&door) > 0);
    tokio::time::sleep(2 * MOMENT).await;
    assert_eq!(kept(&door), 0);
    push(&outbox, Bytes::from_static(b"last"));
    drop(outbox);
    tokio::time::sleep(MOMENT).await;
    assert!(kept(&door) > 0);
    assert!(!task.await.unwrap(), "nobody came in time");
    assert_eq!(kept(&door), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_heard_of_too_late_is_told_that_its_session_goes_on() {
    let (mut native, door) = session().await;
    let (mut attached, mover) = attach(&native, &door).await;
    let Mover { incoming, mut close, .. } = mover;
    incoming.ended(End::Lost);
    drop(incoming);
    let Left::Behind(ending) = native.attend(&mut attached).await else { panic!("the session has gone on") };
    attached.abandon(ending);
    let told = close.wait_for(Option::is_some).await.unwrap().clone();
    assert_eq!(told.map(|(code, _)| code), Some(CloseCode::TooSlow));
}
