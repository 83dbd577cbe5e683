//! What a tick tells whom.

use super::*;
use atoll_proto::datagram::{Kind, MAX_CHUNK};

#[test]
fn of_updates_the_latest_counts_and_of_events_each() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    for sequence in 1..=3 {
        send(&mut room, a, Delivery::Update, sequence, position(f32::from(sequence))).unwrap();
        send(&mut room, a, Delivery::Event, sequence, position(-f32::from(sequence))).unwrap();
    }
    assert_eq!(send(&mut room, a, Delivery::Update, 2, position(2.0)), Err(SendError::Stale));
    let report = room.tick(NOW);
    assert_eq!(ear.heard().payloads(), [position(3.0), position(-1.0), position(-2.0), position(-3.0)]);
    assert_eq!((report.entries, report.delivered), (4, 4));
    assert_eq!(room.next_tick(NOW), None, "nothing is left to tell");

    assert_eq!(send(&mut room, a, Delivery::Update, 3, position(3.0)), Err(SendError::Stale), "also after the tick");
    send(&mut room, a, Delivery::Update, 4, position(4.0)).unwrap();
    room.tick(NOW);
    let last = ear.heard().entries().pop().unwrap();
    assert_eq!((last.kind, last.sequence, last.payload), (Kind::Update, Sequence(4), position(4.0)));
}

#[test]
fn a_payload_that_is_no_update_is_never_replaced() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    for said in ["one", "two"] {
        send(&mut room, a, Delivery::Update, 1, text(said)).unwrap();
    }
    room.tick(NOW);
    assert_eq!(ear.heard().payloads(), ["one", "two"]);
    assert!(ear.heard().entries().iter().all(|entry| entry.kind == Kind::Event));
}

#[test]
fn the_room_counts_for_senders_that_do_not() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    for x in 0..3u8 {
        send(&mut room, a, Delivery::Update, None, position(x.into())).unwrap();
        send(&mut room, a, Delivery::Event, None, Bytes::new()).unwrap();
    }
    send(&mut room, a, Delivery::Event, 40, Bytes::new()).unwrap();
    send(&mut room, a, Delivery::Update, None, position(9.0)).unwrap();
    room.tick(NOW);
    let numbered: Vec<_> = ear.heard().entries().iter().map(|entry| (entry.kind, entry.sequence.0)).collect();
    let events = [2, 4, 6, 40].map(|sequence| (Kind::Event, sequence));
    assert_eq!(numbered, [&[(Kind::Update, 41)][..], &events].concat());
}

#[test]
fn small_rooms_send_at_once_and_larger_ones_on_a_beat() {
    let mut room = room();
    let (a, _) = join(&mut room, 0);
    for number in 1..8 {
        join(&mut room, number);
    }
    room.tick(NOW);
    send(&mut room, a, Delivery::Event, 0, Bytes::new()).unwrap();
    assert_eq!(room.next_tick(NOW), Some(NOW));
    join(&mut room, 8);
    assert_eq!(room.next_tick(NOW), Some(NOW + Duration::from_millis(20)));
    let later = NOW + Duration::from_secs(1);
    assert_eq!(room.next_tick(later), Some(later), "the beat does not catch up");
}

#[test]
fn the_beat_can_be_set() {
    for (tick, members) in [(0, 20), (15, 2), (15, 20)] {
        let tick = Duration::from_millis(tick);
        let mut room = Room::new(RoomId::new("I1"), Tag(7), Settings { max_members: 100, tick: Some(tick) });
        let (a, _) = join(&mut room, 0);
        for number in 1..members {
            join(&mut room, number);
        }
        room.tick(NOW);
        assert_eq!(room.next_tick(NOW), None);
        send(&mut room, a, Delivery::Event, 0, Bytes::new()).unwrap();
        assert_eq!(room.next_tick(NOW), Some(NOW + tick));
    }
}

#[test]
fn updates_come_before_events_whoever_sent_first() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (b, _) = join(&mut room, 2);
    let (_, ear) = join(&mut room, 3);
    send(&mut room, a, Delivery::Event, 1, text("flood")).unwrap();
    send(&mut room, b, Delivery::Update, 1, position(1.0)).unwrap();
    let report = room.tick(NOW);
    assert_eq!(ear.heard().payloads(), [position(1.0), text("flood")]);
    assert_eq!(report.delivered, 4, "two to the third, one to each of the others");
}

#[test]
fn who_is_behind_is_skipped_and_who_has_gone_is_dropped() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, slow) = join(&mut room, 2);
    let (gone, ended) = join(&mut room, 3);
    room.tick(NOW);
    slow.heard().answer = Some(Pressure::Behind);
    ended.heard().answer = Some(Pressure::Gone);
    send(&mut room, a, Delivery::Update, 1, position(1.0)).unwrap();
    let report = room.tick(NOW);
    assert_eq!((report.delivered, report.behind, report.gone), (0, 1, 1));
    assert_eq!(room.members(), 2);

    slow.heard().answer = None;
    send(&mut room, a, Delivery::Update, 2, position(2.0)).unwrap();
    room.tick(NOW);
    assert_eq!(slow.heard().payloads(), [position(2.0)], "the fresh one, and nothing late");
    assert!(!slow.heard().members.contains_key(&gone.alias));
}

#[test]
fn a_room_whose_members_are_all_away_has_nothing_to_do() {
    let mut room = room();
    let (a, first) = join(&mut room, 1);
    let (_, second) = join(&mut room, 2);
    for ear in [&first, &second] {
        ear.heard().answer = Some(Pressure::Behind);
    }
    room.tick(NOW);
    assert_eq!(room.next_tick(NOW), None, "members are told once, however a link fares");
    send(&mut room, a, Delivery::Event, 1, Bytes::new()).unwrap();
    room.tick(NOW);
    assert_eq!(room.next_tick(NOW), None, "what a link was skipped for is not tried again");
    assert_eq!((room.members(), first.heard().lists, second.heard().lists), (2, 1, 1));
}

#[test]
fn one_batch_is_shared_and_encoded_once() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, first) = join(&mut room, 2);
    let (_, second) = join(&mut room, 3);
    room.tick(NOW);
    for sequence in 0..20 {
        send(&mut room, a, Delivery::Event, sequence, Bytes::from(vec![1; 200])).unwrap();
    }
    room.tick(NOW);
    let (one, other) = (Arc::clone(&first.heard().batches[0]), Arc::clone(&second.heard().batches[0]));
    assert!(Arc::ptr_eq(&one, &other));
    let chunks = one.encoded::<WebTransport>();
    assert_eq!(chunks.as_ptr(), other.encoded::<WebTransport>().as_ptr());
    assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.len() <= 1 + MAX_CHUNK && chunk[0] == 0));
}

#[test]
fn nobody_is_sent_only_what_came_from_him() {
    let mut room = room();
    let (a, own) = join(&mut room, 1);
    let (_, other) = join(&mut room, 2);
    room.tick(NOW);
    send(&mut room, a, Delivery::Event, 1, Bytes::new()).unwrap();
    let report = room.tick(NOW);
    assert_eq!(report.delivered, 1);
    assert!(own.heard().batches.is_empty() && other.heard().batches.len() == 1);
}
