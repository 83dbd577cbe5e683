//! Frames that a client of a WebSocket room sends, of both generations: what one says is heard by readers of every kind as it
//! was said, or in translation, and by nobody when it says nothing.
#![no_main]

use atoll_compat::ws_room::{Generation, Rfc5, Said, first_frame, first_frames, read};
use atoll_core::room::{
    Batch, Delivery, Frame, Link, Newcomer, Packet, Pressure, Room, RoomId, Sender, Settings, WebTransport,
};
use atoll_proto::Address;
use atoll_proto::datagram::{Alias, MAX_PAYLOAD, Tag, decode_chunk};
use atoll_proto::rfc5::{WsPacket, ws_packet};
use atoll_proto::room_frames::wire_alias;
use atoll_proto::translation::{Context, Translation, to_data};
use atoll_proto::ws_2022::{WsMessage, ws_message};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1);
const UNIX_MS: u64 = 1_660_000_000_123;

/// A link that keeps what it is told.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Frame>>>);

impl Link for Heard {
    fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
        self.0.lock().expect("no panic yet").push(frame);
        Pressure::Flowing
    }
}

impl Heard {
    fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut self.0.lock().expect("no panic yet"))
    }
}

/// The message of a whole frame as servers send it: final, binary, not masked.
fn message(frame: &[u8]) -> &[u8] {
    let (header, length) = match frame[1] {
        126 => (4, usize::from(u16::from_be_bytes([frame[2], frame[3]]))),
        127 => (10, u64::from_be_bytes(frame[2..10].try_into().expect("eight bytes")) as usize),
        short => (2, usize::from(short)),
    };
    assert_eq!((frame[0], frame.len()), (0x82, header + length), "one frame, and all of it");
    &frame[header..]
}

/// What a reader of RFC-5 hears.
fn later(frame: &[u8]) -> ws_packet::Message {
    WsPacket::decode(message(frame)).expect("a packet of ours").message.expect("a case")
}

/// What a reader of the first generation hears: the body, and whether it came with who said it.
fn first(frame: &[u8], from: Alias) -> (Vec<u8>, bool) {
    let alias = u64::from(wire_alias(from));
    match WsMessage::decode(message(frame)).expect("a message of ours").data.expect("a case") {
        ws_message::Data::SystemMessage(said) => {
            assert_eq!(said.from_alias, alias);
            (said.body, false)
        }
        ws_message::Data::IdentityMessage(said) => {
            assert_eq!((said.from_alias, said.identity), (alias, Sender::Peer(Address([1; 20])).to_string()));
            (said.body, true)
        }
        ws_message::Data::WelcomeMessage(_) => panic!("no server welcomes"),
    }
}

/// The bytes of frames that a batch holds, for each generation.
fn frames(batch: &Batch) -> (Vec<Bytes>, Vec<Bytes>) {
    let bytes = |frames: &atoll_proto::room_frames::Frames| frames.each().map(|(_, _, frame)| frame).collect();
    (bytes(batch.encoded::<Rfc5>()), bytes(&first_frames(batch, UNIX_MS).frames))
}

/// Says it in a room of two, and looks at what the other one hears.
fn say(Said { delivery, payload }: Said) {
    let mut room = Room::new(RoomId::new("fuzz"), Tag(7), Settings { max_members: 2, tick: None });
    let heard = Heard::default();
    let peer = |number| Newcomer { sender: Sender::Peer(Address([number; 20])), session: None, hidden: false };
    let speaker = room.join(peer(1), Box::new(Heard::default())).expect("a seat");
    room.join(peer(2), Box::new(heard.clone())).expect("a seat");
    room.tick(NOW);
    heard.take();
    let from = speaker.alias;
    let packet = Packet { from, delivery, sequence: None, said: payload.clone().into() };
    room.send(NOW, speaker.link, packet).expect("what a door says is taken");
    room.tick(NOW);

    let told = heard.take();
    let [frame] = told.as_slice() else { panic!("one frame, not {told:?}") };
    let (for_later, for_first) = match frame {
        Frame::Ordered(ordered) => {
            assert_eq!((delivery, ordered.from, ordered.payload()), (Delivery::Ordered, from, payload.rfc4()));
            let first = first_frame(ordered, UNIX_MS);
            (ordered.encoded::<Rfc5>().clone().into_iter().collect(), first.into_iter().collect())
        }
        Frame::Batch(batch) | Frame::Voice(batch) => {
            assert_ne!(delivery, Delivery::Ordered);
            let entries = batch.entries().iter().map(|entry| &entry.payload);
            assert!(entries.eq(payload.rfc4()));
            let chunks = batch.encoded::<WebTransport>().iter();
            let sent = chunks.flat_map(|chunk| decode_chunk(chunk.slice(1..)).expect("a chunk of ours").1);
            assert!(sent.map(|entry| entry.expect("an entry of ours").payload).eq(payload.rfc4().cloned()));
            frames(batch)
        }
        other => panic!("{other:?}"),
    };
    match (payload.rfc4(), for_later.as_slice()) {
        (None, []) => {}
        (Some(packet), [frame]) => {
            let ws_packet::Message::PeerUpdateMessage(update) = later(frame) else { panic!("an update is due") };
            assert_eq!((update.from_alias, &update.body), (wire_alias(from), &packet.to_vec()));
            assert_eq!(update.unreliable, delivery != Delivery::Ordered);
        }
        (packet, frames) => panic!("{packet:?} is {frames:?}"),
    }
    let expected = match payload.older() {
        Some(older) => Some((older.data.to_vec(), older.with_identity)),
        None => {
            let packet = payload.rfc4().expect("said by somebody");
            match to_data(packet, Context { unix_ms: UNIX_MS, sender: from.0 }) {
                Translation::Packet(data) => Some((data.to_vec(), false)),
                Translation::Unknown => Some((packet.to_vec(), false)),
                Translation::None => None,
            }
        }
    };
    let read: Vec<_> = for_first.iter().map(|frame| first(frame, from)).collect();
    assert_eq!(read, Vec::from_iter(expected));
}

fuzz_target!(|data: &[u8]| {
    for generation in [Generation::Rfc5, Generation::First] {
        let Some(said) = read(generation, data) else { continue };
        let fits = said.payload.len() <= MAX_PAYLOAD;
        assert!(fits || said.delivery == Delivery::Ordered, "{} bytes as {:?}", said.payload.len(), said.delivery);
        assert_eq!(said.payload.older().is_some(), generation == Generation::First);
        say(said);
    }
});
