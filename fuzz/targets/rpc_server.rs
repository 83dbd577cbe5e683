//! A kernel's connection to the BFF, without its socket: frames in any order, a bus that others speak on. The answers are
//! frames that a client reads; streams go one item at a time; and when the connection ends, nothing of it is left.
#![no_main]

use atoll_compat::bff::{Client, Ports, Settings};
use atoll_compat::rpc::{Connection, Output, PortIds};
use atoll_core::Host;
use atoll_core::bus::{Bus, LocalBus, Message, Subject};
use atoll_core::region::{NativeOnly, Region, Settings as RegionSettings};
use atoll_fuzz::Input;
use atoll_proto::bff::{
    GetChallengeRequest, PublishToTopicRequest, SignedChallenge, Subscription, SubscriptionRequest,
};
use atoll_proto::rpc::{
    CreatePort, CreatePortResponse, DestroyPort, RemoteError, Request, RequestModule, RequestModuleResponse, Response,
    RpcMessageHeader, StreamMessage,
};
use bytes::Bytes;
use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::yield_now;

/// Signs the only challenge that this host's random numbers give, as the owner whose key is 32 times 0x11.
const CHAIN: &str = r#"[{"payload":"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a","signature":"","type":"SIGNER"},{"payload":"dcl-0.vi2pir1a36tcb7qach7zu6ze0","signature":"0x625e48dd9eff58b0d48310bcc89c3591f09db01ac383c4bfd071ac1bfea556b774d84d22eedde8402d0aa96e3db04c019f018ca8a30c3687366792bb24b0f1311b","type":"ECDSA_SIGNED_ENTITY"}]"#;

const OWNER: &str = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";

const TOPICS: [&str; 12] = [
    "abc",
    "a.b",
    "*",
    ">",
    "a.*",
    "a b",
    "",
    "..",
    "heartbeat",
    "island_changed",
    "island.I1.peer_join",
    "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a.island_changed",
];

const MODULES: [&str; 6] =
    ["BffAuthenticationService", "CommsService", "TopicsService", "CommsDirectorService", "Nope", ""];

/// Most tasks of one connection that have something to do after a frame, many times over.
const TURNS: usize = 64;

struct TestHost(AtomicU64);

impl Host for TestHost {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn unix_millis(&self) -> u64 {
        1_700_000_000_000
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

fn region(host: Arc<TestHost>, bus: Arc<LocalBus>) -> Region {
    let settings = RegionSettings {
        server_name: "fuzz".parse().expect("a server name"),
        shards: 1,
        max_sessions: 100,
        max_room_members: 100,
        tick: None,
        max_verifications: 1,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: None,
        connection_strings: Arc::new(NativeOnly),
        rooms: Default::default(),
        room_keys: None,
        contract_wallets: None,
    };
    Region::start(settings, host, bus)
}

/// What the client knows.
struct Kernel {
    connection: Connection<Ports>,
    number: u32,
    /// Streams by number: the last item sent, and whether it was acknowledged. Of a number used twice nothing is known.
    streams: HashMap<u32, Option<(u32, bool)>>,
}

impl Kernel {
    /// A number for a call: a new one mostly, and sometimes one in use.
    fn call(&mut self, input: &mut Input<'_>) -> u32 {
        if input.byte() > 240 {
            let number = u32::from(input.byte()) % (self.number + 1);
            self.streams.insert(number, None);
            return number;
        }
        self.number += 1;
        self.streams.insert(self.number, Some((u32::MAX, true)));
        self.number
    }

    fn old(&self, input: &mut Input<'_>) -> u32 {
        self.number.saturating_sub(u32::from(input.byte() % 16))
    }

    fn heard(&mut self, frame: &[u8]) {
        let header = RpcMessageHeader::decode(frame).expect("a header").message_identifier;
        let number = header & ((1 << 27) - 1);
        match header >> 27 {
            2 => drop(Response::decode(frame).expect("a response")),
            3 => self.item(number, &StreamMessage::decode(frame).expect("an item")),
            // Of a client's stream of arguments.
            4 => drop(StreamMessage::decode(frame).expect("an acknowledgement")),
            6 => drop(CreatePortResponse::decode(frame).expect("a port")),
            8 => drop(RequestModuleResponse::decode(frame).expect("a module")),
            9 => assert!(!RemoteError::decode(frame).expect("an error").error_message.is_empty()),
            11 => assert_eq!(frame.len(), 5),
            other => panic!("type {other}"),
        }
    }

    fn item(&mut self, number: u32, item: &StreamMessage) {
        let Some(Some((last, acknowledged))) = self.streams.get_mut(&number) else { return };
        if item.closed {
            return;
        }
        assert!(*acknowledged, "{number}: an item that nobody asked for");
        assert_eq!(item.sequence_id, last.wrapping_add(1), "{number}");
        (*last, *acknowledged) = (item.sequence_id, false);
    }

    fn acknowledged(&mut self, number: u32, sequence: u32) {
        if let Some(Some((last, acknowledged))) = self.streams.get_mut(&number)
            && *last == sequence
        {
            *acknowledged = true;
        }
    }

    /// Everything that happens by itself.
    async fn settle(&mut self) {
        for _ in 0..4 {
            while let Some(output) = self.connection.next_output().now_or_never() {
                self.take(output);
            }
            yield_now().await;
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Frame(frame) => self.heard(&frame),
            Output::Then(action) => action(),
        }
    }

    /// A login is checked on another thread.
    async fn answered(&mut self, number: u32) {
        loop {
            let output = self.connection.next_output().await;
            let mine = match &output {
                Output::Frame(frame) => {
                    let header = RpcMessageHeader::decode(&frame[..]).expect("a header").message_identifier;
                    header & ((1 << 27) - 1) == number
                }
                Output::Then(_) => false,
            };
            self.take(output);
            if mine {
                return;
            }
        }
    }
}

fn topic(input: &mut Input<'_>) -> String {
    match usize::from(input.byte()) {
        choice if choice < 240 => TOPICS[choice % TOPICS.len()].to_owned(),
        _ => String::from_utf8_lossy(input.bytes(40)).into_owned(),
    }
}

fn payload(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() % 8 {
        0 => GetChallengeRequest { address: OWNER.to_owned() }.encode_to_vec(),
        1..3 => SubscriptionRequest { topic: topic(input) }.encode_to_vec(),
        3 => Subscription { subscription_id: u32::from(input.byte() % 4) }.encode_to_vec(),
        4 | 5 => {
            let topic = topic(input);
            let payload = vec![7; usize::from(input.byte()) * 64];
            PublishToTopicRequest { topic, payload }.encode_to_vec()
        }
        6 => {
            let length = usize::from(input.byte());
            SignedChallenge { auth_chain_json: String::from_utf8_lossy(input.bytes(length)).into_owned() }
                .encode_to_vec()
        }
        _ => {
            let length = usize::from(input.byte());
            input.bytes(length).to_vec()
        }
    }
}

async fn run(data: &[u8]) {
    let host = Arc::new(TestHost(AtomicU64::new(1000)));
    let bus = Arc::new(LocalBus::default());
    let region = region(Arc::clone(&host), Arc::clone(&bus));
    let ids = PortIds::default();
    let client = Client::of(Some("bff"), Ipv4Addr::LOCALHOST.into(), &Settings::default());
    let connection = Connection::new(Ports::new(region.clone(), client), ids);
    let mut kernel = Kernel { connection, number: 0, streams: HashMap::new() };
    let mut input = Input::new(data);
    while !input.is_empty() {
        let port_id = u32::from(input.byte() % 4);
        let choice = input.byte() % 16;
        let mut login = None;
        let frame = match choice {
            0 => {
                let length = usize::from(input.byte());
                input.bytes(length).to_vec()
            }
            1 => {
                let message_identifier = 5 << 27 | kernel.call(&mut input);
                CreatePort { message_identifier, port_name: "kernel".to_owned() }.encode_to_vec()
            }
            2 | 3 => {
                let message_identifier = 7 << 27 | kernel.call(&mut input);
                let module_name = MODULES[usize::from(input.byte()) % MODULES.len()].to_owned();
                RequestModule { message_identifier, port_id, module_name }.encode_to_vec()
            }
            4 => {
                // The one login that works, as the second procedure of a port whose first module is authentication.
                let number = kernel.call(&mut input);
                login = Some(number);
                let payload = SignedChallenge { auth_chain_json: CHAIN.to_owned() }.encode_to_vec();
                Request { message_identifier: 1 << 27 | number, port_id, procedure_id: 2, client_stream: 0, payload }
                    .encode_to_vec()
            }
            5..9 => {
                let number = kernel.call(&mut input);
                let procedure_id = u32::from(input.byte() % 18);
                let client_stream = if input.byte() > 250 { kernel.call(&mut input) } else { 0 };
                let payload = payload(&mut input);
                // Any of them may turn out to be a login, which is answered later.
                login = Some(number).filter(|_| procedure_id == 2);
                Request { message_identifier: 1 << 27 | number, port_id, procedure_id, client_stream, payload }
                    .encode_to_vec()
            }
            9..12 => {
                let number = kernel.old(&mut input);
                let known = kernel.streams.get(&number).copied().flatten().map_or(0, |(last, _)| last);
                let sequence_id = if input.byte() > 240 { u32::from(input.byte()) } else { known };
                kernel.acknowledged(number, sequence_id);
                let closed = choice == 11;
                StreamMessage {
                    message_identifier: 4 << 27 | number,
                    port_id,
                    sequence_id,
                    ack: true,
                    closed,
                    ..Default::default()
                }
                .encode_to_vec()
            }
            12 => {
                let number = kernel.old(&mut input);
                kernel.streams.insert(number, None);
                let sequence_id = u32::from(input.byte() % 4);
                StreamMessage {
                    message_identifier: 3 << 27 | number,
                    port_id,
                    sequence_id,
                    closed: true,
                    ..Default::default()
                }
                .encode_to_vec()
            }
            13 => DestroyPort { message_identifier: 10 << 27, port_id }.encode_to_vec(),
            _ => {
                host.0.fetch_add(input.time().as_millis() as u64, Ordering::Relaxed);
                let count = input.byte() % 4 * 20;
                let text = format!("client-proto.{}{}", if choice == 14 { "peer.0xa." } else { "" }, topic(&mut input));
                if let Ok(subject) = Subject::new(&text) {
                    for _ in 0..count {
                        let published = bus.publish(Message::new(subject.clone(), Bytes::from_static(&[7; 100])));
                        published.expect("a bus of one process takes everything");
                    }
                }
                kernel.settle().await;
                continue;
            }
        };
        if kernel.connection.receive(&frame).is_err() {
            break;
        }
        if let Some(number) = login {
            kernel.answered(number).await;
        }
        kernel.settle().await;
        let status = region.status();
        assert!(status.sessions <= 1 && status.topics.subscriptions <= 4 * 256);
    }
    drop(kernel);
    for _ in 0..TURNS {
        yield_now().await;
    }
    let status = region.status();
    assert_eq!((status.sessions, status.topics.subscriptions, status.topics.waiting_bytes), (0, 0, 0));
}

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
    );
}

fuzz_target!(|data: &[u8]| {
    // Each choice is a frame, and some are a hundred messages.
    let data = &data[..data.len().min(2048)];
    RUNTIME.with_borrow(|runtime| runtime.block_on(run(data)));
});
