//! What one client can make a connection keep.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use atoll_compat::rpc::{Arguments, Call, CallError, Connection, Module, Output, PortId, PortIds, Service};
use atoll_proto::rpc::{CreatePort, RemoteError, Request, RequestModule, StreamMessage};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, future};
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ITEM: usize = 100 * 1024;

static STREAMS: Module = Module { name: "Streams", procedures: &["Items", "Never"] };

/// Streams without end, whose items are counted for as long as anybody holds them.
struct Streams(Arc<AtomicUsize>);

struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

impl Service for Streams {
    fn create_port(&mut self, _: PortId, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    fn module(&mut self, _: PortId, name: &str) -> Option<&'static Module> {
        (name == STREAMS.name).then_some(&STREAMS)
    }

    fn call(&mut self, _: PortId, _: &'static Module, procedure: &'static str, _: Bytes, _: Arguments) -> Call {
        if procedure == "Never" {
            return Call::Unary(future::pending().boxed());
        }
        let held = Arc::clone(&self.0);
        Call::Stream(
            stream::repeat_with(move || {
                held.fetch_add(ITEM, Ordering::Relaxed);
                Ok(Bytes::from_owner(Counted(vec![7; ITEM], Arc::clone(&held))))
            })
            .boxed(),
        )
    }

    fn port_closed(&mut self, _: PortId) {}
}

fn identifier(kind: u32, number: u32) -> u32 {
    kind << 27 | number
}

fn create_port(name: &str) -> Vec<u8> {
    CreatePort { message_identifier: identifier(5, 1), port_name: name.to_owned() }.encode_to_vec()
}

fn load(port_id: u32, name: &str) -> Vec<u8> {
    RequestModule { message_identifier: identifier(7, 2), port_id, module_name: name.to_owned() }.encode_to_vec()
}

fn call(number: u32, procedure_id: u32) -> Vec<u8> {
    let message_identifier = identifier(1, number);
    Request { message_identifier, port_id: 1, procedure_id, ..Request::default() }.encode_to_vec()
}

fn acknowledge(number: u32, sequence_id: u32) -> Vec<u8> {
    let message_identifier = identifier(4, number);
    StreamMessage { message_identifier, port_id: 1, sequence_id, ack: true, ..StreamMessage::default() }.encode_to_vec()
}

fn next(connection: &mut Connection<Streams>) -> Option<Bytes> {
    match connection.next_output().now_or_never()? {
        Output::Frame(frame) => Some(frame),
        Output::Then(action) => {
            action();
            next(connection)
        }
    }
}

fn drain(connection: &mut Connection<Streams>) -> Vec<Bytes> {
    std::iter::from_fn(|| next(connection)).collect()
}

fn error(frames: &[Bytes]) -> String {
    RemoteError::decode(&frames.last().unwrap()[..]).unwrap().error_message
}

/// A connection with the module loaded, and what its items hold.
fn connection() -> (Connection<Streams>, Arc<AtomicUsize>) {
    let held = Arc::<AtomicUsize>::default();
    let mut connection = Connection::new(Streams(Arc::clone(&held)), PortIds::default());
    connection.receive(&create_port("kernel")).unwrap();
    connection.receive(&load(1, "Streams")).unwrap();
    drain(&mut connection);
    (connection, held)
}

#[test]
fn items_of_many_streams_wait_for_room_and_each_comes_in_its_turn() {
    let (mut connection, held) = connection();
    let streams = 10..110;
    for number in streams.clone() {
        connection.receive(&call(number, 1)).unwrap();
        drain(&mut connection);
        connection.receive(&acknowledge(number, 0)).unwrap();
    }
    // The socket takes one frame; what else is ready waits, and so does what a slow socket holds.
    let mut heard = vec![next(&mut connection).unwrap()];
    let mut most = held.load(Ordering::Relaxed);
    while let Some(frame) = next(&mut connection) {
        most = most.max(held.load(Ordering::Relaxed));
        heard.push(frame);
        heard.drain(..heard.len() - 1);
    }
    // 256 KiB and an item that wait, the frame being written, and the one before it, which this test holds.
    assert!((ITEM..=256 * 1024 + 3 * ITEM).contains(&most), "{most}");
    drop(heard);
    assert_eq!(held.load(Ordering::Relaxed), 0);
    // Every stream goes on.
    for number in streams {
        connection.receive(&acknowledge(number, 1)).unwrap();
        let frames = drain(&mut connection);
        assert_eq!(frames.len(), 1);
        let item = StreamMessage::decode(&frames[0][..]).unwrap();
        assert_eq!((item.message_identifier, item.sequence_id), (identifier(3, number), 2));
    }
}

#[test]
fn names_ports_and_calls_are_bounded_in_words() {
    let (mut connection, _) = connection();
    connection.receive(&create_port(&"n".repeat(257))).unwrap();
    assert_eq!(error(&drain(&mut connection)), "Port name too long");
    connection.receive(&load(1, &"ä".repeat(30_000))).unwrap();
    let message = error(&drain(&mut connection));
    assert!(message.starts_with("Module ää") && message.chars().count() < 320, "{message}");
    for _ in 1..64 {
        connection.receive(&create_port("more")).unwrap();
    }
    assert_eq!(drain(&mut connection).len(), 63);
    connection.receive(&create_port("one more")).unwrap();
    assert_eq!(error(&drain(&mut connection)), "Too many ports");
    for number in 0..512 {
        connection.receive(&call(1000 + number, 2)).unwrap();
    }
    assert!(drain(&mut connection).is_empty());
    connection.receive(&call(9, 2)).unwrap();
    assert_eq!(error(&drain(&mut connection)), "Too many calls under way");
}
