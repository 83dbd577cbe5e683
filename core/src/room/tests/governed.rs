//! What is done to a room from outside, and who hears of visits.

use super::*;

fn visit(alias: Alias, number: u8, came: bool) -> Visit {
    Visit { alias, sender: peer(number), hidden: false, came }
}

#[test]
fn a_dismissed_member_hears_why_and_the_others_that_it_left() {
    let mut room = room();
    let (a, ear) = join(&mut room, 1);
    let (b, witness) = join(&mut room, 2);
    room.tick(NOW);
    assert_eq!(room.dismiss(a.alias, CloseReason::Removed), Some((peer(1), Some(SessionId(1)))));
    assert_eq!(room.dismiss(a.alias, CloseReason::Removed), None, "it has gone");
    room.tick(NOW);
    assert_eq!(ear.heard().closed, Some(CloseReason::Removed));
    assert!(!witness.heard().members.contains_key(&a.alias));
    assert_eq!(send(&mut room, a, Delivery::Event, None, text("late")), Err(SendError::NoSeat));
    assert_eq!(room.dismiss_all(CloseReason::Deleted), vec![(peer(2), Some(SessionId(2)))]);
    assert_eq!(witness.heard().closed, Some(CloseReason::Deleted));
    assert!(room.is_empty() && room.members() == 0, "{b:?}");
}

#[test]
fn visits_are_noted_once_asked_for_and_a_reseat_is_none() {
    let mut room = room();
    let (a, _ear) = join(&mut room, 1);
    assert_eq!(room.take_visits(), vec![]);
    room.note_visits();
    room.note_visits();
    assert_eq!(room.take_visits(), vec![visit(a.alias, 1, true)], "who was here");
    let (again, _ear) = join(&mut room, 1);
    assert_eq!((again.alias, room.take_visits()), (a.alias, vec![]));
    let (other, _other) = join_as(&mut room, 1, 9).unwrap();
    assert_eq!(room.take_visits(), vec![visit(a.alias, 1, false), visit(other.alias, 1, true)]);
    room.close_link(other.link);
    assert_eq!(room.take_visits(), vec![visit(other.alias, 1, false)]);
}

/// Keeps what is said by whom.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<(Sender, Bytes)>>>);

impl Link for Said {
    fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
        let said = match &frame {
            Frame::Ordered(ordered) => ordered.payload().map(|payload| (ordered.sender.clone(), payload.clone())),
            Frame::Batch(batch) => {
                batch.items().next().and_then(|item| Some((batch.sender(item.from)?.clone(), item.rfc4?.clone())))
            }
            _ => None,
        };
        self.0.lock().unwrap().extend(said);
        Pressure::Flowing
    }
}

#[test]
fn what_is_announced_reaches_those_it_is_for() {
    let mut room = room();
    let (one, two) = (Said::default(), Said::default());
    let first = room.join(newcomer(1, 1), Box::new(one.clone())).unwrap();
    room.join(newcomer(2, 2), Box::new(two.clone())).unwrap();
    room.tick(NOW);
    let server = Sender::Server("livekit".into());
    for delivery in [Delivery::Ordered, Delivery::Event, Delivery::Update] {
        let report = room.announce(&server, delivery, text("to all").into()).unwrap();
        assert_eq!((report.entries, report.delivered), (1, 2));
        let said = Outgoing::from(text("to one")).to([first.alias]);
        assert_eq!(room.announce(&server, delivery, said).unwrap().delivered, 1);
    }
    let (all, only) = ((server.clone(), text("to all")), (server.clone(), text("to one")));
    assert_eq!(*one.0.lock().unwrap(), [&all, &only, &all, &only, &all, &only].map(Clone::clone));
    assert_eq!(*two.0.lock().unwrap(), vec![all; 3]);
    assert_eq!(room.members(), 2, "it has no seat");
    let large = Bytes::from(vec![0; MAX_PAYLOAD + 1]);
    let size = large.len();
    assert_eq!(room.announce(&server, Delivery::Event, large.clone().into()), Err(SendError::TooLarge(size)));
    assert!(room.announce(&server, Delivery::Ordered, large.into()).is_ok());
    let (third, _ear) = join(&mut room, 3);
    assert_eq!(third.alias, Alias(3), "what announced has a number that nobody else gets");
}
