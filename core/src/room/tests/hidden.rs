//! Members whom nobody sees.

use super::*;

fn join_hidden(room: &mut Room, number: u8, session: u64, hidden: bool) -> (Joined, Shelf) {
    let shelf = Shelf::default();
    let joined = room.join(Newcomer { hidden, ..newcomer(number, session) }, Box::new(shelf.clone())).unwrap();
    (joined, shelf)
}

/// Keeps what it hears, from whomever.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Frame>>>);

impl Link for Shelf {
    fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
        self.0.lock().unwrap().push(frame);
        Pressure::Flowing
    }
}

impl Shelf {
    fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Who joined and who left, or everybody in a snapshot.
    fn members(&self) -> (Vec<Alias>, Vec<Alias>) {
        let frames = self.take();
        let lists = frames.iter().filter_map(|frame| match frame {
            Frame::Members(MemberList::Snapshot { members, .. }) => Some((members, &[][..])),
            Frame::Members(MemberList::Change { joined, left }) => Some((joined, &left[..])),
            _ => None,
        });
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for (came, went) in lists {
            joined.extend(came.iter().map(|(alias, _)| *alias));
            left.extend(went);
        }
        (joined, left)
    }
}

#[test]
fn a_hidden_member_is_told_to_nobody_but_itself() {
    let mut room = room_of(3);
    let (a, witness) = join_hidden(&mut room, 1, 1, false);
    room.tick(NOW);
    witness.take();
    let (h, own) = join_hidden(&mut room, 2, 1, true);
    room.tick(NOW);
    assert!(witness.take().is_empty());
    let frames = own.take();
    let [Frame::Members(MemberList::Snapshot { own: alias, members })] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((*alias, &members[..]), (Some(h.alias), &[(a.alias, peer(1)), (h.alias, peer(2))][..]));

    let (c, late) = join_hidden(&mut room, 3, 1, false);
    room.tick(NOW);
    assert_eq!(late.members(), (vec![a.alias, c.alias], vec![]));
    assert_eq!(own.members(), (vec![c.alias], vec![]), "it sees the others");
    assert_eq!(join_as(&mut room, 4, 1).err(), Some(JoinError::Full), "it has a seat");
    witness.take();
    room.close_link(h.link);
    assert_eq!(room.next_tick(NOW), None, "nobody knew of it");
    join(&mut room, 4);
    room.tick(NOW);
    assert_eq!(witness.members().1, []);
}

#[test]
fn what_a_hidden_member_says_comes_with_its_name_and_it_hears_all() {
    let mut room = room();
    let (a, ear) = join_hidden(&mut room, 1, 1, false);
    let (h, own) = join_hidden(&mut room, 2, 1, true);
    room.tick(NOW);
    ear.take();
    own.take();
    for delivery in [Delivery::Ordered, Delivery::Voice, Delivery::Event] {
        for from in [a, h] {
            send(&mut room, from, delivery, None, text("said")).unwrap();
        }
    }
    room.tick(NOW);
    for (shelf, from, number) in [(&ear, h, 2), (&own, a, 1)] {
        let mut heard = 0;
        for frame in shelf.take() {
            match frame {
                Frame::Ordered(ordered) => assert_eq!((ordered.from, &ordered.sender), (from.alias, &peer(number))),
                Frame::Batch(batch) | Frame::Voice(batch) => {
                    assert!(batch.entries().iter().any(|entry| entry.alias == from.alias));
                    assert_eq!(batch.sender(from.alias), Some(&peer(number)));
                }
                other => panic!("{other:?}"),
            }
            heard += 1;
        }
        assert_eq!(heard, 3);
    }
}

#[test]
fn who_hides_leaves_and_who_shows_itself_comes() {
    let mut room = room();
    let (_, witness) = join_hidden(&mut room, 1, 1, false);
    let (seen, first) = join_hidden(&mut room, 2, 1, false);
    room.tick(NOW);
    witness.take();
    first.take();
    let (hidden, second) = join_hidden(&mut room, 2, 1, true);
    room.tick(NOW);
    assert_eq!(witness.members(), (vec![], vec![seen.alias]));
    assert!(matches!(first.take().last(), Some(Frame::Closed(CloseReason::Reseated))));
    let (again, third) = join_hidden(&mut room, 2, 1, true);
    assert_eq!(again.alias, hidden.alias, "a reseat as any other");
    let (shown, _) = join_hidden(&mut room, 2, 1, false);
    room.tick(NOW);
    assert_eq!(witness.members(), (vec![shown.alias], vec![]));
    for closed in [second, third] {
        assert!(matches!(closed.take().last(), Some(Frame::Closed(CloseReason::Reseated))));
    }
    assert_ne!(shown.alias, seen.alias, "no alias returns");
    assert_eq!(room.members(), 2);
}
