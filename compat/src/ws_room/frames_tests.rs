//! Clients of 2022's summer and later ones in one room.

use super::*;
use atoll_core::Address;
use atoll_core::room::{
    Delivery, Frame, Joined, Link, Newcomer, Older, Packet, Payload, Pressure, Room, RoomId, Sender, Settings,
};
use atoll_proto::datagram::Tag;
use atoll_proto::{data, rfc4};
use prost::Message as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1000);

fn position(x: f32) -> Bytes {
    let position = rfc4::Position { position_x: x, ..Default::default() };
    rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) }.encode_to_vec().into()
}

fn older(message: data::data::Message) -> Bytes {
    data::Data { message: Some(message) }.encode_to_vec().into()
}

fn chat(text: &str) -> Bytes {
    older(data::data::Message::Chat(data::Chat { time: 5.0, message_id: "id".to_owned(), text: text.to_owned() }))
}

fn voice() -> Bytes {
    older(data::data::Message::Voice(data::Voice { encoded_samples: vec![1], index: 1 }))
}

fn said(data: Bytes, with_identity: bool) -> Payload {
    Older { data, with_identity }.into()
}

fn frame(put: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    put(&mut out);
    out.freeze()
}

/// A room of three, who have heard of each other, and what the third hears.
fn three() -> (Room, [Joined; 3], Arc<Mutex<Vec<Frame>>>) {
    struct Shelf(Arc<Mutex<Vec<Frame>>>);
    impl Link for Shelf {
        fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
            self.0.lock().unwrap().push(frame);
            Pressure::Flowing
        }
    }
    let mut room = Room::new(RoomId::new("I1"), Tag(1), Settings { max_members: 10, tick: None });
    let shelf = Arc::<Mutex<Vec<Frame>>>::default();
    let joined = [1, 2, 3].map(|number| {
        let link = Box::new(Shelf(if number == 3 { Arc::clone(&shelf) } else { Arc::default() }));
        room.join(Newcomer { sender: Sender::Peer(Address([number; 20])), session: None, hidden: false }, link).unwrap()
    });
    room.tick(NOW);
    shelf.lock().unwrap().clear();
    (room, joined, shelf)
}

fn send(room: &mut Room, from: Joined, delivery: Delivery, payload: Payload) {
    room.send(NOW, from.link, Packet { from: from.alias, delivery, sequence: None, said: payload.into() }).unwrap();
}

#[test]
fn an_ordered_packet_is_told_in_each_generations_words() {
    let (mut room, [a, ..], shelf) = three();
    send(&mut room, a, Delivery::Ordered, said(chat("hi"), false));
    send(&mut room, a, Delivery::Ordered, said(chat("me"), true));
    send(&mut room, a, Delivery::Ordered, said(voice(), false));
    let later = rfc4::Packet {
        message: Some(rfc4::packet::Message::Chat(rfc4::Chat { message: "hi".to_owned(), timestamp: 5.0 })),
    };
    let later: Bytes = later.encode_to_vec().into();
    send(&mut room, a, Delivery::Ordered, later.clone().into());
    let heard: Vec<_> = shelf.lock().unwrap().drain(..).collect();
    let ordered = |at: usize| match &heard[at] {
        Frame::Ordered(ordered) => Arc::clone(ordered),
        other => panic!("{other:?}"),
    };
    let rfc5 = |at: usize| ordered(at).encoded::<Rfc5>().clone();
    let first = |at: usize| ordered(at).encoded::<First>().clone();
    assert_eq!(ordered(0).payload(), Some(&later));
    assert_eq!(rfc5(0).unwrap(), frame(|out| put_peer_update(a.alias, &later, false, out)));
    // Readers of the words it was said in get the very bytes.
    assert_eq!(first(0).unwrap(), frame(|out| put_system_message(a.alias, &chat("hi"), out)));
    let identity = ordered(1).sender.to_string();
    let expected = frame(|out| put_identity_message(a.alias, &identity, &chat("me"), out));
    assert_eq!(first(1).unwrap(), expected);
    assert_eq!((ordered(2).payload(), rfc5(2)), (None, None));
    assert_eq!(first(2).unwrap(), frame(|out| put_system_message(a.alias, &voice(), out)));
    assert!(first(3).unwrap().len() > later.len());
    assert_eq!(first(3).unwrap().as_ptr(), first(3).unwrap().as_ptr(), "written once");
}

#[test]
fn a_batch_is_encoded_once_in_each_generations_words_and_order() {
    let (mut room, [a, b, _], shelf) = three();
    let at =
        |time| older(data::data::Message::Position(data::Position { time, position_x: 3.0, ..Default::default() }));
    send(&mut room, a, Delivery::Update, said(at(1e12), false));
    send(&mut room, a, Delivery::Update, said(at(1e12 + 10.0), false));
    send(&mut room, b, Delivery::Update, position(4.0).into());
    send(&mut room, a, Delivery::Event, said(voice(), false));
    send(&mut room, b, Delivery::Event, Bytes::from_static(b"unknown").into());
    let request = rfc4::packet::Message::ProfileRequest(rfc4::ProfileRequest::default());
    let request: Bytes = rfc4::Packet { message: Some(request) }.encode_to_vec().into();
    send(&mut room, b, Delivery::Event, request.into());
    let report = room.tick(NOW + Duration::from_secs(1));
    assert_eq!(report.entries, 5);
    assert_eq!(room.place(a.alias).map(|place| place.x), Some(3.0));
    assert_eq!(room.place(b.alias).map(|place| place.x), Some(4.0));
    let heard = shelf.lock().unwrap().pop().unwrap();
    let Frame::Batch(batch) = heard else { panic!("{heard:?}") };
    assert_eq!(batch.entries().len(), 4, "voice has no words for the others");
    assert_eq!(batch.encoded::<Rfc5>().len(), 4);
    let first = batch.encoded::<First>();
    assert_eq!((first.frames.len(), first.untranslated), (4, 1));
    let bytes = first.frames.without(None).next().unwrap();
    let newest = frame(|out| put_system_message(a.alias, &at(1e12 + 10.0), out));
    assert!(bytes.starts_with(&newest));
    let last = [
        frame(|out| put_system_message(a.alias, &voice(), out)),
        frame(|out| put_system_message(b.alias, b"unknown", out)),
    ];
    assert!(bytes.ends_with(&last.concat()));
    assert_eq!(batch.encoded::<First>().frames.bytes(), bytes.len());
    let (early, late) = (first_frames(&batch, 1_660_000_000_000), first_frames(&batch, 1_760_000_000_000));
    assert_ne!(early.frames.without(None).next(), late.frames.without(None).next(), "translations take the time");
}
