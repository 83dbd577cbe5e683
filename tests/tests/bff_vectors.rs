//! The recorded conversations of the original BFF: what its clients sent is fed to ours, and what it answered, published and
//! delivered is expected, but for what is named in `FIXED`: all of that, and nothing else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test, a panic is the report")]

use atoll_client::SigningKey;
use atoll_compat::bff;
use atoll_compat::rpc::{Connection, Output, PortIds};
use atoll_core::Host;
use atoll_core::bus::{Bus, LocalBus, Message, Pattern, Subject, Subscription};
use atoll_core::region::{NativeOnly, Region, Settings};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage};
use atoll_proto::bff::{GetChallengeResponse, SignedChallenge, SystemTopicSubscriptionResultElem};
use atoll_proto::call::FromClient;
use atoll_proto::rpc::{RemoteError, Request, Response, StreamMessage};
use bytes::Bytes;
use futures_util::FutureExt;
use prost::Message as _;
use serde_json::Value;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A defect of the original that ours does not have.
struct Fixed {
    conversation: &'static str,
    /// What is different there: each answer by its message number, each subject that nothing is published on, and each
    /// frame that the original did not send.
    differences: &'static [&'static str],
    defect: &'static str,
    why_no_client_depends_on_it: &'static str,
}

const FIXED: [Fixed; 4] = [
    Fixed {
        conversation: "authenticate-not-json",
        differences: &["answer 4: Authentication failed"],
        defect: "what is no JSON was answered in the words of JavaScript's parser",
        why_no_client_depends_on_it: "kernels send what JSON.stringify made; and the call fails as it did, and the port stays open",
    },
    Fixed {
        conversation: "authenticate-empty-chain",
        differences: &["answer 4: Authentication failed"],
        defect: "a chain without links was answered with the name of the property that JavaScript did not find",
        why_no_client_depends_on_it: "no wallet makes an empty chain; and the call fails as it did, and the port stays open",
    },
    Fixed {
        conversation: "publish",
        differences: &[
            "answer 11: Invalid topic sp ace",
            "answer 12: Invalid topic sp ace",
            "answer 15: Invalid topic *",
            "answer 16: Invalid topic *",
            "answer 17: Invalid topic >",
            "answer 18: Invalid topic >",
            "answer 19: Invalid topic a.*",
            "answer 20: Invalid topic a.*",
            "unpublished: *",
            "unpublished: *",
            "unpublished: >",
            "unpublished: >",
            "unpublished: a.*",
            "unpublished: a.*",
            "unpublished: heartbeat",
            "unpublished: heartbeat",
            "unpublished: sp ace",
            "unpublished: sp ace",
        ],
        defect: "topics to publish on were not checked: a space breaks the protocol of NATS, for all clients of the BFF, a wildcard \
                 is no subject there; and bytes that are no heartbeat went to archipelago as one",
        why_no_client_depends_on_it: "kernels publish heartbeats that they encoded, and on names of scenes and addresses, which \
                                      have neither; archipelago could not read the rest",
    },
    Fixed {
        conversation: "port-close",
        differences: &["frame 9: the stream ends"],
        defect: "a subscription of TopicsService went on when its port was closed, and NATS was never told",
        why_no_client_depends_on_it: "who closes a port reads nothing of it any more; a reader that is left sees the end of its \
                                      stream, where it waited for ever",
    },
];

/// A file of recordings from the folder that `ATOLL_VECTORS` names, or else the project's own copy.
fn recorded(file: &str) -> String {
    let folder = std::env::var_os("ATOLL_VECTORS").map(std::path::PathBuf::from);
    let own = || concat!(env!("CARGO_MANIFEST_DIR"), "/../compat/vectors").into();
    std::fs::read_to_string(folder.unwrap_or_else(own).join(file)).unwrap()
}

struct TestHost(AtomicU64);

impl Host for TestHost {
    fn monotonic(&self) -> Duration {
        // Time runs, so that limits on how often something is done are not what is tried here.
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn unix_millis(&self) -> u64 {
        1_700_000_000_000
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(self.0.fetch_add(1, Ordering::Relaxed) as u8);
    }
}

fn region(bus: Arc<LocalBus>) -> Region {
    let settings = Settings {
        server_name: "test".parse().unwrap(),
        shards: 1,
        max_sessions: 100,
        max_room_members: 100,
        tick: None,
        max_verifications: 2,
        heartbeat_interval: Duration::from_secs(1),
        archipelago: None,
        connection_strings: Arc::new(NativeOnly),
        rooms: Default::default(),
        room_keys: None,
        contract_wallets: None,
    };
    Region::start(settings, Arc::new(TestHost(AtomicU64::new(1))), bus)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// One conversation under way.
struct Replay {
    name: String,
    /// Where ours did something else, in the words of [`Fixed::differences`].
    differences: Vec<String>,
    bus: Arc<LocalBus>,
    published: Subscription,
    connections: HashMap<String, Peer>,
    region: Region,
    ids: PortIds,
}

struct Peer {
    connection: Option<Connection<bff::Ports>>,
    frames: Vec<Bytes>,
    keys: Vec<SigningKey>,
    /// The challenge of the recording, and ours.
    challenges: HashMap<String, String>,
}

impl Replay {
    /// Lets everything that can happen happen.
    async fn settle(&mut self) {
        // Sessions and logins are served by other tasks. The clock stands still while any of them has something to do, so
        // that the sleep ends when all have come to rest; twice, for what follows from what was read then.
        for _ in 0..2 {
            for peer in self.connections.values_mut() {
                let Some(connection) = &mut peer.connection else { continue };
                while let Some(output) = connection.next_output().now_or_never() {
                    match output {
                        Output::Frame(frame) => peer.frames.push(frame),
                        Output::Then(action) => action(),
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn peer(&mut self, entry: &Value) -> &mut Peer {
        let name = entry["conn"].as_str().unwrap_or_default();
        self.connections.get_mut(name).unwrap()
    }

    async fn client_said(&mut self, entry: &Value) {
        let frame = unhex(entry["hex"].as_str().unwrap());
        let peer = self.peer(entry);
        let frame = peer.with_our_challenge(frame);
        peer.connection.as_mut().unwrap().receive(&frame).unwrap();
        self.settle().await;
    }

    async fn server_says(&mut self, entry: &Value) {
        self.settle().await;
        let name = self.name.clone();
        let peer = self.peer(entry);
        assert!(!peer.frames.is_empty(), "{name}: expected {entry}");
        let ours = peer.frames.remove(0);
        let theirs = unhex(entry["hex"].as_str().unwrap());
        if ours == theirs || peer.same_but_for_the_challenge(&theirs, &ours) || same_island(&theirs, &ours) {
            return;
        }
        let error = RemoteError::decode(&ours[..]).ok().filter(|error| error.message_identifier >> 27 == 9);
        let error = error.unwrap_or_else(|| panic!("{name}: expected {entry}\n got {ours:02x?}"));
        let number = error.message_identifier & ((1 << 27) - 1);
        assert_eq!(Some(u64::from(number)), entry["number"].as_u64(), "{name}: {entry}");
        self.differences.push(format!("answer {number}: {}", error.error_message));
    }

    async fn published(&mut self, entry: &Value) {
        self.settle().await;
        let subject = entry["subject"].as_str().unwrap();
        let theirs = unhex(entry["hex"].as_str().unwrap());
        let Some(message) = self.published.try_next() else {
            let topic = subject.split('.').skip(3).collect::<Vec<_>>().join(".");
            assert!(topic != "heartbeat" || heartbeat(&theirs).is_none(), "{}: {entry}", self.name);
            self.differences.push(format!("unpublished: {topic}"));
            return;
        };
        assert_eq!(message.subject.as_str(), subject, "{}", self.name);
        // Ours are read and written again: the same place, whatever its type was.
        let same = message.payload == theirs
            || subject.ends_with(".heartbeat")
                && heartbeat(&theirs).is_some_and(|beat| Some(beat) == heartbeat(&message.payload));
        assert!(same, "{}: {entry}\n got {:02x?}", self.name, message.payload);
    }

    async fn outsider_said(&mut self, entry: &Value) {
        self.settle().await;
        let subject = Subject::new(entry["subject"].as_str().unwrap()).unwrap();
        let message = Message::new(subject, unhex(entry["hex"].as_str().unwrap()));
        self.bus.publish(message.clone()).unwrap();
        assert_eq!(self.published.try_next(), Some(message));
        self.settle().await;
    }
}

impl Peer {
    /// The frame with the recorded challenge replaced by ours, and signed by the key that signed it in the recording.
    fn with_our_challenge(&self, frame: Vec<u8>) -> Vec<u8> {
        let Ok(FromClient::Request { payload, .. }) = FromClient::decode(&frame) else { return frame };
        let Ok(signed) = SignedChallenge::decode(payload) else { return frame };
        let Ok(mut chain) = serde_json::from_str::<Value>(&signed.auth_chain_json) else { return frame };
        let Some(last) = chain.as_array_mut().and_then(|links| links.last_mut()) else { return frame };
        let recorded = last["payload"].as_str().unwrap_or_default().to_owned();
        let Some(ours) = self.challenges.get(&recorded) else { return frame };
        let signer =
            self.keys.iter().find(|key| Some(key.personal_sign(&recorded).as_str()) == last["signature"].as_str());
        if let Some(signer) = signer {
            last["signature"] = signer.personal_sign(ours).into();
        }
        last["payload"] = ours.as_str().into();
        let mut request = Request::decode(frame.as_slice()).unwrap();
        request.payload = SignedChallenge { auth_chain_json: chain.to_string() }.encode_to_vec();
        request.encode_to_vec()
    }

    fn same_but_for_the_challenge(&mut self, theirs: &[u8], ours: &[u8]) -> bool {
        let read = |frame: &[u8]| {
            let response = Response::decode(frame).ok()?;
            let answer = GetChallengeResponse::decode(response.payload.as_slice()).ok()?;
            Some((response.message_identifier, answer))
        };
        let (Some((their_id, theirs)), Some((our_id, ours))) = (read(theirs), read(ours)) else { return false };
        let kernels_sign = |text: &str| text.starts_with("dcl-0.") && !text[4..].contains(':');
        self.challenges.insert(theirs.challenge_to_sign.clone(), ours.challenge_to_sign.clone());
        their_id == our_id
            && theirs.already_connected == ours.already_connected
            && kernels_sign(&ours.challenge_to_sign)
    }
}

/// Island changes mean the same; their coordinates are doubles here, whatever the recording's were.
fn same_island(theirs: &[u8], ours: &[u8]) -> bool {
    let read = |frame: &[u8]| {
        let message = StreamMessage::decode(frame).ok()?;
        let element = SystemTopicSubscriptionResultElem::decode(message.payload.as_slice()).ok()?;
        let mut island: IslandChangedMessage = atoll_proto::decode(&element.payload).ok()?;
        island.peers.sort_by(|one, other| one.key.cmp(&other.key));
        let head = (message.message_identifier, message.sequence_id, message.closed, message.ack);
        element.topic.ends_with(".island_changed").then_some((head, element.topic, island))
    };
    read(theirs).is_some_and(|theirs| Some(theirs) == read(ours))
}

fn heartbeat(payload: &[u8]) -> Option<Heartbeat> {
    atoll_proto::decode(payload).ok().filter(|beat: &Heartbeat| beat.position.is_some())
}

/// Plays a conversation; where ours did something else.
async fn replay(conversation: &Value) -> Vec<String> {
    let bus = Arc::new(LocalBus::default());
    let published = bus.subscribe(&[Pattern::new(">").unwrap()], 4096);
    let (region, ids) = (region(Arc::clone(&bus)), PortIds::default());
    let name = conversation["name"].as_str().unwrap().to_owned();
    let mut replay = Replay { name, differences: Vec::new(), bus, published, connections: HashMap::new(), region, ids };
    for key in conversation["keys"].as_array().unwrap() {
        let secret = |name: &str| SigningKey::new(unhex(key[name].as_str().unwrap()).try_into().unwrap()).unwrap();
        let keys = vec![secret("privateKey"), secret("ephemeralPrivateKey")];
        let peer = Peer { connection: None, frames: Vec::new(), keys, challenges: HashMap::new() };
        replay.connections.insert(key["conn"].as_str().unwrap().to_owned(), peer);
    }
    for entry in conversation["log"].as_array().unwrap().iter().filter(|entry| entry["lost"].is_null()) {
        if entry["type"] == "SERVER_READY" {
            let service = bff::Ports::new(
                replay.region.clone(),
                bff::Client::of(Some("bff"), Ipv4Addr::LOCALHOST.into(), &bff::Settings::default()),
            );
            replay.peer(entry).connection = Some(Connection::new(service, replay.ids.clone()));
        }
        match (entry["dir"].as_str(), entry["event"].as_str()) {
            (Some("c2s"), _) => replay.client_said(entry).await,
            (Some("s2c"), _) => replay.server_says(entry).await,
            (_, Some("nats-publish")) => replay.published(entry).await,
            (_, Some("nats-from-outside")) => replay.outsider_said(entry).await,
            (_, Some("transport-closed")) => replay.peer(entry).connection = None,
            _ => {}
        }
    }
    replay.settle().await;
    // The original wrote some frames when it was too late; ours may come in time.
    let log = conversation["log"].as_array().unwrap().iter();
    let late: Vec<_> = log.filter(|entry| !entry["lost"].is_null() && entry["dir"] == "s2c").collect();
    for frame in replay.connections.values().flat_map(|peer| &peer.frames) {
        if late.iter().any(|entry| unhex(entry["hex"].as_str().unwrap()) == **frame) {
            continue;
        }
        let StreamMessage { message_identifier, closed, .. } = StreamMessage::decode(&frame[..]).unwrap();
        assert!(closed && message_identifier >> 27 == 3, "{}: too much: {frame:02x?}", replay.name);
        replay.differences.push(format!("frame {}: the stream ends", message_identifier & ((1 << 27) - 1)));
    }
    replay.differences.sort();
    replay.differences
}

#[tokio::test(start_paused = true)]
async fn every_recorded_conversation_is_answered_as_the_original_did() {
    let recorded: Value = serde_json::from_str(&recorded("bff.json")).unwrap();
    let conversations = recorded["conversations"].as_array().unwrap();
    assert!(conversations.len() >= 39);
    for conversation in conversations {
        let differences = replay(conversation).await;
        let fixed = FIXED.iter().find(|fixed| conversation["name"] == fixed.conversation);
        let expected = fixed.map_or(&[][..], |fixed| fixed.differences);
        assert_eq!(differences, expected, "{}", conversation["name"]);
    }
    for fixed in FIXED {
        assert!(conversations.iter().any(|conversation| conversation["name"] == fixed.conversation));
        assert!(!fixed.defect.is_empty() && !fixed.why_no_client_depends_on_it.is_empty());
    }
}
