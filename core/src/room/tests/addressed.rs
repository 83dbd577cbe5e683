//! Packets for some, and packets about something.

use super::*;
use atoll_proto::datagram::Kind;

fn say(room: &mut Room, from: Joined, delivery: Delivery, said: Outgoing) -> Report {
    let packet = Packet { from: from.alias, delivery, sequence: None, said };
    room.send(NOW, from.link, packet).unwrap()
}

fn said(what: &'static str) -> Outgoing {
    text(what).into()
}

#[test]
fn a_packet_for_some_reaches_them_alone_in_every_delivery() {
    let mut room = room();
    let (a, own) = join(&mut room, 1);
    let (b, addressed) = join(&mut room, 2);
    let (_, other) = join(&mut room, 3);
    let (left, _) = join(&mut room, 4);
    room.tick(NOW);
    room.close_link(left.link);
    // Itself, one twice, one who has left and one who was never here.
    let to = vec![a.alias, b.alias, b.alias, left.alias, Alias(99)];
    for delivery in [Delivery::Ordered, Delivery::Voice, Delivery::Event, Delivery::Update] {
        let report = say(&mut room, a, delivery, said("psst").to(to.clone()));
        let at_once = matches!(delivery, Delivery::Ordered | Delivery::Voice);
        assert_eq!((report.entries, report.delivered), if at_once { (1, 1) } else { (0, 0) });
    }
    let report = room.tick(NOW);
    assert_eq!((report.entries, report.delivered), (2, 2));
    for ear in [&own, &other] {
        let heard = ear.heard();
        assert_eq!((heard.heard_at_once(), heard.batches.len()), ((0, 0), 0));
    }
    let heard = addressed.heard();
    assert_eq!((heard.heard_at_once(), heard.batches.len()), ((1, 1), 2), "each once");
    for batch in heard.batches.iter().chain(&heard.voice) {
        assert_eq!((batch.to().map(|to| to.to_vec()), batch.entries().len()), (Some(to.clone()), 1));
        assert_eq!(batch.sender(a.alias), Some(&peer(1)));
    }
}

#[test]
fn an_empty_list_reaches_nobody_and_is_no_error() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    room.tick(NOW);
    for delivery in [Delivery::Ordered, Delivery::Voice, Delivery::Event] {
        assert_eq!(say(&mut room, a, delivery, said("").to([])).delivered, 0);
    }
    assert_eq!(room.tick(NOW).delivered, 0);
    let heard = ear.heard();
    assert_eq!((heard.heard_at_once(), heard.batches.len()), ((0, 0), 0));
}

#[test]
fn an_update_for_some_or_about_something_is_never_replaced() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (b, ear) = join(&mut room, 2);
    room.tick(NOW);
    let at = |x: f32| Outgoing::from(position(x));
    for said in [at(1.0), at(2.0).about("one"), at(3.0).about("two"), at(4.0).to([b.alias]), at(5.0), at(6.0)] {
        say(&mut room, a, Delivery::Update, said);
    }
    room.tick(NOW);
    let heard: Vec<_> = ear.heard().batches.iter().map(|batch| batch.entries().to_vec()).collect();
    let kinds = |at: usize| heard[at].iter().map(|entry| (entry.kind, entry.payload.clone())).collect::<Vec<_>>();
    let shared = [(Kind::Update, position(6.0)), (Kind::Event, position(2.0)), (Kind::Event, position(3.0))];
    assert_eq!(kinds(0), shared);
    assert_eq!((kinds(1), heard.len()), (vec![(Kind::Event, position(4.0))], 2));
    assert_eq!(room.place(a.alias).map(|place| place.x), Some(6.0));
    let batch = Arc::clone(&ear.heard().batches[0]);
    let topics: Vec<_> = batch.items().map(|item| item.topic.map(|topic| topic.to_string())).collect();
    assert_eq!(topics, [None, Some("one".to_owned()), Some("two".to_owned())]);
    say(&mut room, a, Delivery::Update, at(9.0).about("one"));
    assert_eq!(room.place(a.alias).map(|place| place.x), Some(9.0), "it says where it stands all the same");
}

#[test]
fn a_bridge_hears_what_is_for_one_behind_it_and_for_whom() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let shelf = Arc::<Mutex<Vec<Frame>>>::default();
    struct Mesh(Arc<Mutex<Vec<Frame>>>);
    impl Link for Mesh {
        fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
            self.0.lock().unwrap().push(frame);
            Pressure::Flowing
        }
    }
    let link = room.open_link(Box::new(Mesh(Arc::clone(&shelf))));
    let [b, c] = [2, 3].map(|number| room.add(link, peer(number)).unwrap());
    room.tick(NOW);
    shelf.lock().unwrap().clear();
    say(&mut room, a, Delivery::Ordered, said("for both").to([c, b]).about("scene"));
    say(&mut room, a, Delivery::Ordered, said("for nobody here").to([a.alias]));
    let frames = std::mem::take(&mut *shelf.lock().unwrap());
    let [Frame::Ordered(ordered)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(ordered.to().map(|to| to.to_vec()), Some(vec![c, b]));
    assert_eq!((ordered.topic().map(|topic| &**topic), ordered.payload()), (Some("scene"), Some(&text("for both"))));
    let among_them = Packet { from: b, delivery: Delivery::Ordered, sequence: None, said: said("x").to([c]) };
    assert_eq!(room.send(NOW, link, among_them).unwrap().delivered, 0, "what it says to its own it passes on itself");
}

#[test]
fn too_large_for_whom_it_was_not_meant_is_no_matter() {
    let mut room = room();
    let (a, own) = join(&mut room, 1);
    let (b, narrow) = join(&mut room, 2);
    let (c, _) = join(&mut room, 3);
    room.tick(NOW);
    narrow.heard().answer = Some(Pressure::TooLarge);
    say(&mut room, a, Delivery::Ordered, said("large").to([c.alias]));
    assert!(own.heard().not_for_all.is_empty());
    say(&mut room, a, Delivery::Ordered, said("large").to([b.alias, c.alias]));
    assert_eq!(own.heard().not_for_all, [1]);
}

#[test]
fn what_is_said_beside_a_packet_counts_as_its_bytes() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    room.tick(NOW);
    let send = |room: &mut Room, said: Outgoing| {
        room.send(NOW, a.link, Packet { from: a.alias, delivery: Delivery::Event, sequence: None, said })
    };
    assert_eq!(send(&mut room, said("").to(vec![a.alias; 4_401])), Err(SendError::TooFast));
    assert_eq!(send(&mut room, said("").about("x".repeat(17_601))), Err(SendError::TooFast));
    send(&mut room, said("").to(vec![a.alias; 4_400])).unwrap();
    assert_eq!(send(&mut room, said("x")), Err(SendError::TooFast));
}
