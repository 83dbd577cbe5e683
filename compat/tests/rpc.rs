//! The recorded conversations of the original server, frame by frame: what the client sent is fed to ours, what the
//! original answered is expected.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use atoll_compat::rpc::{Answer, Arguments, Call, CallError, Connection, Module, Output, PortId, PortIds, Service};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use prost::Message;
use serde_json::Value;

/// A file of recordings from the folder that `ATOLL_VECTORS` names, or else the project's own copy.
fn recorded(file: &str) -> String {
    let folder = std::env::var_os("ATOLL_VECTORS").map(std::path::PathBuf::from);
    let own = || concat!(env!("CARGO_MANIFEST_DIR"), "/vectors").into();
    std::fs::read_to_string(folder.unwrap_or_else(own).join(file)).unwrap()
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "2")]
    n: u32,
}

static VECTOR_SERVICE: Module = Module {
    name: "VectorService",
    procedures: &["Upper", "Empty", "Fail", "Nothing", "Count", "FailAfter", "Sum", "First", "Ignore", "Echo"],
};
static OTHER_SERVICE: Module = Module { name: "OtherService", procedures: &["Ping"] };

/// The service that the recording was made with.
struct Recorded {
    refuses_ports: bool,
}

fn item(text: &str, n: u32) -> Item {
    Item { text: text.to_owned(), n }
}

fn bytes(item: Item) -> Bytes {
    item.encode_to_vec().into()
}

fn fail(message: &str) -> CallError {
    CallError(message.to_owned())
}

impl Service for Recorded {
    fn create_port(&mut self, _port: PortId, _name: &str) -> Result<(), CallError> {
        if self.refuses_ports { Err(fail("no ports today")) } else { Ok(()) }
    }

    fn module(&mut self, _port: PortId, name: &str) -> Option<&'static Module> {
        [&VECTOR_SERVICE, &OTHER_SERVICE].into_iter().find(|module| module.name == name)
    }

    fn call(
        &mut self,
        _port: PortId,
        _module: &'static Module,
        procedure: &'static str,
        payload: Bytes,
        mut arguments: Arguments,
    ) -> Call {
        let Ok(argument) = Item::decode(payload) else {
            return Call::Unary(async { Err(fail("undecodable")) }.boxed());
        };
        let Item { text, n } = argument;
        let unary = |result: Result<Item, CallError>| {
            Call::Unary(async move { result.map(|item| Answer::from(bytes(item))) }.boxed())
        };
        match procedure {
            "Upper" => unary(Ok(item(&text.to_uppercase(), n + 1))),
            "Empty" => unary(Ok(Item::default())),
            "Fail" => unary(Err(fail(&text))),
            "Nothing" => unary(Err(fail("Empty or null responses are not allowed. Procedure: Nothing"))),
            "Ping" => unary(Ok(item("pong", 0))),
            "Ignore" => {
                drop(arguments);
                unary(Ok(item("ignored", 0)))
            }
            "Count" => Call::Stream(stream::iter((1..=n).map(move |n| Ok(bytes(item(&text, n))))).boxed()),
            "FailAfter" => {
                let items = stream::iter((1..=n).map(|n| Ok(bytes(item("ok", n)))));
                let end = stream::once(async move { Err(fail(&format!("failed after {n}"))) });
                Call::Stream(items.chain(end).boxed())
            }
            "Sum" => Call::Unary(
                async move {
                    let mut sum = Item::default();
                    while let Some(next) = arguments.next().await {
                        let next = Item::decode(next).map_err(|_| fail("undecodable"))?;
                        sum.n += next.n;
                        sum.text += &next.text;
                    }
                    Ok(bytes(sum).into())
                }
                .boxed(),
            ),
            "First" => Call::Unary(
                async move { Ok(arguments.next().await.unwrap_or_else(|| bytes(item("none", 0))).into()) }.boxed(),
            ),
            "Echo" => Call::Stream(
                stream::unfold(arguments, |mut arguments| async {
                    let Item { text, n } = Item::decode(arguments.next().await?).unwrap();
                    Some((Ok(bytes(item(&format!("{text}!"), n))), arguments))
                })
                .boxed(),
            ),
            other => panic!("{other}"),
        }
    }

    fn port_closed(&mut self, _port: PortId) {}
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What the connection has to say now, without anything more from its client.
fn outputs(connection: &mut Connection<Recorded>) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some(output) = connection.next_output().now_or_never() {
        match output {
            Output::Frame(frame) => frames.push(frame),
            Output::Then(action) => action(),
        }
    }
    frames
}

/// Where ours answers in other words: an argument that cannot be read. What the original said there are the words of its
/// decoder, which depend on the bytes; clients show them and look at none.
const OWN_WORDS: [&str; 1] = ["raw-bad-payload"];

/// The frames are the same, but for the words of an error.
fn differ_in_words(expected: &Value, theirs: &[u8], ours: &[u8]) -> bool {
    let text = expected["fields"]["errorMessage"].as_str().unwrap_or_default();
    text.starts_with("index out of range") && theirs.get(..5) == ours.get(..5)
}

/// Plays a conversation; whether ours had words of its own in it.
fn replay(conversation: &Value) -> bool {
    let name = conversation["name"].as_str().unwrap();
    let ids = PortIds::default();
    let log = conversation["log"].as_array().unwrap();
    let service = |_| Recorded { refuses_ports: name == "create-port-refused" };
    let mut connections: Vec<_> = Vec::new();
    let mut waiting: Vec<Vec<Bytes>> = Vec::new();
    let (mut closed, mut own_words) = (false, false);
    for entry in log.iter().filter(|entry| entry["lost"].is_null()) {
        let at = usize::from(entry["conn"] == "B");
        while connections.len() <= at {
            connections.push(Connection::new(service(()), ids.clone()));
            waiting.push(Vec::new());
        }
        let connection = &mut connections[at];
        match entry["dir"].as_str() {
            Some("c2s") => {
                waiting[at].extend(outputs(connection));
                let received = connection.receive(&unhex(entry["hex"].as_str().unwrap()));
                closed |= received.is_err();
                waiting[at].extend(outputs(connection));
            }
            Some("s2c") => {
                waiting[at].extend(outputs(connection));
                assert!(!waiting[at].is_empty(), "{name}: expected {entry}");
                let ours = waiting[at].remove(0);
                let theirs = unhex(entry["hex"].as_str().unwrap());
                let differs = theirs != ours;
                own_words |= differs;
                assert!(
                    !differs || differ_in_words(entry, &theirs, &ours),
                    "{name}: expected {entry}\n got {ours:02x?}"
                );
            }
            _ => {
                let by_server = entry["event"] == "server-transport-error";
                assert!(!by_server || closed, "{name}: {entry}");
            }
        }
    }
    let errors = log.iter().any(|entry| entry["event"] == "server-transport-error");
    assert_eq!(errors, closed, "{name}");
    assert!(waiting.iter().all(Vec::is_empty), "{name}: too much: {waiting:02x?}");
    own_words
}

#[test]
fn every_recorded_conversation_is_answered_frame_by_frame() {
    let recorded: Value = serde_json::from_str(&recorded("dclrpc.json")).unwrap();
    let conversations = recorded["conversations"].as_array().unwrap();
    assert!(conversations.len() >= 70);
    let own_words: Vec<_> = conversations.iter().filter(|conversation| replay(conversation)).collect();
    let own_words: Vec<_> = own_words.iter().map(|conversation| conversation["name"].as_str().unwrap()).collect();
    assert_eq!(own_words, OWN_WORDS);
}
