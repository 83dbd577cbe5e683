//! Rooms under a link that writes everything down.

use super::*;
use crate::room::frame::{Batch, Frame};
use atoll_proto::datagram::{Alias, Entry, Kind, MAX_CHUNK, MAX_PAYLOAD, Sequence, Tag};
use atoll_proto::rfc4;
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What a link heard, and how it answers.
#[derive(Default)]
struct Heard {
    members: BTreeMap<Alias, Sender>,
    own: Option<Alias>,
    lists: usize,
    batches: Vec<Arc<Batch>>,
    refused: Vec<SendError>,
    closed: Option<CloseReason>,
    answer: Option<Pressure>,
}

impl Heard {
    /// Everything of others, in order.
    fn entries(&self) -> Vec<Entry> {
        let all = self.batches.iter().flat_map(|batch| batch.entries().iter().cloned());
        all.filter(|entry| Some(entry.alias) != self.own).collect()
    }

    fn payloads(&self) -> Vec<Bytes> {
        self.entries().into_iter().map(|entry| entry.payload).collect()
    }
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap()
    }
}

impl Link for Ear {
    fn push(&mut self, _tag: Tag, frame: Frame) -> Pressure {
        let mut heard = self.heard();
        let answer = heard.answer.unwrap_or(Pressure::Flowing);
        match frame {
            Frame::Members(MemberList::Snapshot { own, members }) => {
                assert_eq!(heard.lists, 0, "one snapshot, before everything else");
                heard.own = own;
                heard.members = members.iter().cloned().collect();
                heard.lists += 1;
            }
            Frame::Members(MemberList::Change { joined, left }) => {
                for (alias, sender) in joined.iter() {
                    assert!(heard.members.insert(*alias, sender.clone()).is_none(), "{alias:?} joined twice");
                }
                for alias in left.iter() {
                    assert!(heard.members.remove(alias).is_some(), "{alias:?} was never here");
                }
                heard.lists += 1;
            }
            Frame::Batch(batch) if answer == Pressure::Flowing => heard.batches.push(batch),
            Frame::Refused { error, .. } => heard.refused.push(error),
            Frame::Closed(reason) => heard.closed = Some(reason),
            _ => {}
        }
        answer
    }
}

const NOW: Duration = Duration::from_secs(1000);

fn room() -> Room {
    Room::new(RoomId::new("I1"), Tag(7), 100)
}

fn peer(number: u8) -> Sender {
    Sender::Peer(Address([number; 20]))
}

fn join(room: &mut Room, number: u8) -> (Joined, Ear) {
    let ear = Ear::default();
    let joined = room.join(peer(number), Some(SessionId(number.into())), Box::new(ear.clone()));
    (joined.unwrap(), ear)
}

fn position(x: f32) -> Bytes {
    let position = rfc4::Position { position_x: x, ..Default::default() };
    rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) }.encode_to_vec().into()
}

fn send(room: &mut Room, from: Joined, delivery: Delivery, sequence: u16, payload: Bytes) -> Result<(), SendError> {
    room.send(from.link, from.alias, delivery, Sequence(sequence), payload)
}

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
    for text in ["one", "two"] {
        send(&mut room, a, Delivery::Update, 1, Bytes::from_static(text.as_bytes())).unwrap();
    }
    room.tick(NOW);
    assert_eq!(ear.heard().payloads(), ["one", "two"]);
    assert!(ear.heard().entries().iter().all(|entry| entry.kind == Kind::Event));
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
fn members_hear_one_snapshot_and_then_changes() {
    let mut room = room();
    let (a, first) = join(&mut room, 1);
    room.tick(NOW);
    assert_eq!(first.heard().own, Some(a.alias));
    assert_eq!(first.heard().members.len(), 1);

    let (b, second) = join(&mut room, 2);
    let (c, third) = join(&mut room, 3);
    room.close_link(c.link);
    room.tick(NOW);
    assert_eq!(first.heard().lists, 2);
    assert_eq!(first.heard().members, second.heard().members, "who left before the tick was never here");
    assert_eq!(third.heard().lists, 0);

    room.close_link(b.link);
    room.tick(NOW);
    assert_eq!(first.heard().members.len(), 1);
    let (d, _) = join(&mut room, 2);
    assert_ne!(d.alias, b.alias, "aliases do not return");
    assert!(!room.is_empty());
    room.close_link(a.link);
    room.close_link(d.link);
    assert!(room.is_empty());
}

#[test]
fn a_new_connection_of_a_session_takes_over_its_seat_in_silence() {
    let mut room = room();
    let (a, old) = join(&mut room, 1);
    let (b, neighbour) = join(&mut room, 2);
    room.tick(NOW);
    let lists = neighbour.heard().lists;

    let (again, new) = join(&mut room, 1);
    assert_eq!(again.alias, a.alias);
    assert_eq!(old.heard().closed, Some(CloseReason::Reseated));
    assert_eq!(send(&mut room, a, Delivery::Event, 1, Bytes::new()), Err(SendError::NoSeat), "the old link is out");
    room.close_link(a.link);
    send(&mut room, b, Delivery::Event, 1, Bytes::from_static(b"hi")).unwrap();
    room.tick(NOW);
    assert_eq!(neighbour.heard().lists, lists, "the neighbour noticed nothing");
    assert_eq!(new.heard().members.len(), 2);
    assert_eq!(new.heard().payloads(), ["hi"]);
}

#[test]
fn another_session_of_the_address_kicks() {
    let mut room = room();
    let (a, old) = join(&mut room, 1);
    let (_, neighbour) = join(&mut room, 2);
    room.tick(NOW);
    let new = Ear::default();
    let taken = room.join(peer(1), Some(SessionId(99)), Box::new(new.clone())).unwrap();
    room.tick(NOW);
    assert_ne!(taken.alias, a.alias);
    assert_eq!(old.heard().closed, Some(CloseReason::Kicked));
    assert_eq!(neighbour.heard().members.keys().copied().max(), Some(taken.alias));
    assert!(!neighbour.heard().members.contains_key(&a.alias));
    room.close_link(a.link);
    assert_eq!(room.members(), 2, "the end of the old connection does not touch the new seat");
}

#[test]
fn an_overtaken_session_does_not_kick_its_successor() {
    let mut room = room();
    let (a, ear) = join(&mut room, 7);
    let older = room.join(peer(7), Some(SessionId(6)), Box::new(Ear::default()));
    assert_eq!(older, Err(JoinError::Superseded));
    assert_eq!(ear.heard().closed, None);
    send(&mut room, a, Delivery::Event, 0, Bytes::new()).unwrap();
}

#[test]
fn updates_come_before_events_whoever_sent_first() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (b, _) = join(&mut room, 2);
    let (_, ear) = join(&mut room, 3);
    send(&mut room, a, Delivery::Event, 1, Bytes::from_static(b"flood")).unwrap();
    send(&mut room, b, Delivery::Update, 1, position(1.0)).unwrap();
    let report = room.tick(NOW);
    assert_eq!(ear.heard().payloads(), [position(1.0), Bytes::from_static(b"flood")]);
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
    let chunks = one.encoded(Format::WebTransport);
    assert_eq!(chunks.as_ptr(), other.encoded(Format::WebTransport).as_ptr());
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

#[test]
fn a_bridge_stands_for_many() {
    let mut room = room();
    let (_, ear) = join(&mut room, 1);
    let mesh = Ear::default();
    let link = room.open_link(Box::new(mesh.clone()));
    let server = Sender::Server("scene".into());
    let (b, c) = (room.add(link, peer(2)).unwrap(), room.add(link, server.clone()).unwrap());
    room.tick(NOW);
    assert_eq!(ear.heard().members.get(&c), Some(&server));
    assert_eq!(mesh.heard().own, None);
    assert_eq!(mesh.heard().members.len(), 3);

    for (from, text) in [(b, "b"), (c, "c")] {
        room.send(link, from, Delivery::Event, Sequence(0), Bytes::from_static(text.as_bytes())).unwrap();
    }
    room.tick(NOW);
    assert_eq!(ear.heard().payloads(), ["b", "c"]);
    assert!(mesh.heard().batches.is_empty());

    let (direct, _) = join(&mut room, 2);
    assert_eq!(mesh.heard().closed, None, "the bridge stays for its others");
    assert_eq!(room.send(link, b, Delivery::Event, Sequence(1), Bytes::new()), Err(SendError::NoSeat));
    room.remove(link, direct.alias);
    assert_eq!(room.members(), 3, "a bridge cannot remove who is not behind it");
    room.close_link(link);
    assert_eq!(room.members(), 2);
}

#[test]
fn what_is_too_much_costs_its_sender_and_is_told() {
    let mut room = Room::new(RoomId::new("I1"), Tag(7), 2);
    let (a, own) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    room.tick(NOW);
    let full = room.join(peer(3), None, Box::new(Ear::default()));
    assert_eq!(full, Err(JoinError::Full));

    let large = Bytes::from(vec![0; MAX_PAYLOAD + 1]);
    assert_eq!(send(&mut room, a, Delivery::Event, 0, large.clone()), Err(SendError::TooLarge(large.len())));
    assert_eq!(send(&mut room, a, Delivery::Voice, 0, Bytes::new()), Err(SendError::Unsupported));
    let sent = (0..1000).take_while(|n| send(&mut room, a, Delivery::Event, *n, Bytes::from(vec![0; 1000])).is_ok());
    let taken = sent.count();
    assert!((8..100).contains(&taken), "{taken}");
    room.tick(NOW);
    assert_eq!(ear.heard().entries().len(), taken);
    assert_eq!(own.heard().refused, [SendError::TooLarge(large.len()), SendError::Unsupported, SendError::TooFast]);
    send(&mut room, a, Delivery::Event, 1, Bytes::new()).unwrap();
}

/// Something that happens to a room.
#[derive(Debug, Clone)]
enum Step {
    Join(u8, u64),
    Close(usize),
    Add(u8),
    Remove(usize),
    Send(usize),
    Answer(usize, Option<Pressure>),
    Tick,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..12u8, 0..3u64).prop_map(|(number, session)| Step::Join(number, session)),
        1 => any::<usize>().prop_map(Step::Close),
        1 => (0..12u8).prop_map(Step::Add),
        1 => any::<usize>().prop_map(Step::Remove),
        3 => any::<usize>().prop_map(Step::Send),
        1 => (any::<usize>(), prop_oneof![Just(None), Just(Some(Pressure::Behind)), Just(Some(Pressure::Gone))])
            .prop_map(|(at, answer)| Step::Answer(at, answer)),
        2 => Just(Step::Tick),
    ]
}

proptest! {
    /// Whatever happens, who still listens knows after two ticks who is here: one tick to drop who has gone, one to tell.
    #[test]
    fn everybody_agrees_on_who_is_here(steps in prop::collection::vec(steps(), 0..80)) {
        let mut room = Room::new(RoomId::new("I1"), Tag(1), 8);
        let bridge = Ear::default();
        let mesh = room.open_link(Box::new(bridge.clone()));
        let mut seats: Vec<(Joined, Ear)> = Vec::new();
        let mut behind: Vec<Alias> = Vec::new();
        for step in steps {
            match step {
                Step::Join(number, session) => {
                    let ear = Ear::default();
                    if let Ok(joined) = room.join(peer(number), Some(SessionId(session)), Box::new(ear.clone())) {
                        seats.push((joined, ear));
                    }
                }
                Step::Close(at) if !seats.is_empty() => {
                    let (joined, ear) = seats.swap_remove(at % seats.len());
                    ear.heard().closed = Some(CloseReason::Kicked);
                    room.close_link(joined.link);
                }
                Step::Add(number) => behind.extend(room.add(mesh, peer(number)).ok()),
                Step::Remove(at) if !behind.is_empty() => room.remove(mesh, behind.swap_remove(at % behind.len())),
                Step::Send(at) if !seats.is_empty() => {
                    let joined = seats[at % seats.len()].0;
                    let _ = send(&mut room, joined, Delivery::Event, 0, Bytes::from_static(b"x"));
                }
                Step::Answer(at, answer) if !seats.is_empty() => seats[at % seats.len()].1.heard().answer = answer,
                Step::Tick => drop(room.tick(NOW)),
                _ => {}
            }
            prop_assert!(room.members() <= 8);
        }
        // Somebody comes, so that links that have gone are found out.
        let _ = room.join(Sender::Server("last".into()), None, Box::new(Ear::default()));
        room.tick(NOW);
        room.tick(NOW);
        prop_assert_eq!(room.next_tick(NOW), None);
        let everybody = bridge.heard().members.clone();
        prop_assert_eq!(everybody.len(), room.members());
        for (joined, ear) in &seats {
            let heard = ear.heard();
            if heard.closed.is_none() && heard.answer != Some(Pressure::Gone) && everybody.contains_key(&joined.alias) {
                prop_assert_eq!(&heard.members, &everybody);
            }
        }
    }
}
