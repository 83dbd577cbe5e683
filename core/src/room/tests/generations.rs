//! Clients of 2022's summer and later ones in one room.

use super::*;
use atoll_proto::data;
use std::sync::Arc;

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
        room.join(newcomer(number, 1), link).unwrap()
    });
    room.tick(NOW);
    shelf.lock().unwrap().clear();
    (room, joined, shelf)
}

fn send(room: &mut Room, from: Joined, delivery: Delivery, payload: Payload) {
    room.send(NOW, from.link, Packet { from: from.alias, delivery, sequence: None, said: payload.into() }).unwrap();
}

#[test]
fn an_ordered_packet_keeps_the_words_it_was_said_in() {
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
    assert_eq!(ordered(0).payload(), Some(&later));
    assert_eq!(ordered(3).payload(), Some(&later));
    let older = |at: usize| ordered(at).older().map(|older| (older.data.clone(), older.with_identity));
    assert_eq!(
        [0, 1, 2, 3].map(older),
        [Some((chat("hi"), false)), Some((chat("me"), true)), Some((voice(), false)), None]
    );
    assert_eq!(ordered(2).payload(), None, "voice has no words for the others");
}

#[test]
fn a_batch_has_each_packet_in_every_wording_and_in_order() {
    let (mut room, [a, b, _], shelf) = three();
    let at =
        |time| older(data::data::Message::Position(data::Position { time, position_x: 3.0, ..Default::default() }));
    send(&mut room, a, Delivery::Update, said(at(1e12), false));
    send(&mut room, a, Delivery::Update, said(at(1e12 + 10.0), false));
    send(&mut room, b, Delivery::Update, position(4.0).into());
    send(&mut room, a, Delivery::Event, said(voice(), false));
    send(&mut room, b, Delivery::Event, text("unknown").into());
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
    let items: Vec<_> = batch.items().map(|item| (item.from, item.rfc4.is_some(), item.older.cloned())).collect();
    let (a, b) = (a.alias, b.alias);
    let expected = [
        (a, true, Some(at(1e12 + 10.0))),
        (b, true, None),
        (a, false, Some(voice())),
        (b, true, None),
        (b, true, None),
    ];
    assert_eq!(items, expected);
    let from_items = batch.items().filter_map(|item| item.rfc4.cloned());
    assert!(from_items.eq(batch.entries().iter().map(|entry| entry.payload.clone())));
    assert_eq!([a, b].map(|alias| batch.sender(alias).cloned()), [Some(peer(1)), Some(peer(2))]);
    assert_eq!(batch.sender(Alias(2)), None, "who said nothing");
}
