//! A session's next connection takes over its seat.

use super::*;

#[test]
fn a_new_connection_of_a_session_takes_over_its_seat_in_silence() {
    let mut room = room();
    let (a, old) = join(&mut room, 1);
    let (b, neighbour) = join(&mut room, 2);
    room.tick(NOW);
    let lists = neighbour.heard().lists;

    let (again, new) = join(&mut room, 1);
    assert_eq!(again.alias, a.alias);
    assert_ne!(again.link, a.link);
    assert_eq!(new.heard().members.len(), 2, "at once");
    assert_eq!(old.heard().closed, Some(CloseReason::Reseated), "and its ear objects to anything after it");
    send(&mut room, b, Delivery::Event, 1, text("hi")).unwrap();
    room.tick(NOW);
    assert_eq!(neighbour.heard().lists, lists, "the neighbour noticed nothing");
    assert_eq!(new.heard().members.len(), 2);
    assert_eq!(new.heard().payloads(), ["hi"]);
    assert_eq!(new.heard().own, Some(a.alias));
}

#[test]
fn what_the_former_line_still_carries_is_taken_until_it_ends() {
    let mut room = room();
    let (first, _) = join(&mut room, 1);
    let (_, neighbour) = join(&mut room, 2);
    room.tick(NOW);
    send(&mut room, first, Delivery::Ordered, None, text("1")).unwrap();
    let (second, _) = join(&mut room, 1);
    let (third, current) = join(&mut room, 1);
    for (line, said) in [(first, "2"), (second, "3"), (first, "4"), (third, "5")] {
        send(&mut room, line, Delivery::Ordered, None, text(said)).unwrap();
    }
    assert_eq!(neighbour.heard().ordered_payloads(), ["1", "2", "3", "4", "5"]);
    assert!(neighbour.heard().ordered.iter().all(|(from, _)| *from == first.alias));

    send(&mut room, first, Delivery::Event, None, text("news")).unwrap();
    send(&mut room, first, Delivery::Update, None, position(1.0)).unwrap();
    room.tick(NOW);
    assert_eq!(neighbour.heard().payloads(), [position(1.0), text("news")]);
    assert!(current.heard().batches.is_empty(), "what came through a former line is his own, too");

    room.close_link(first.link);
    assert_eq!(send(&mut room, first, Delivery::Ordered, None, text("late")), Err(SendError::NoSeat));
    send(&mut room, second, Delivery::Ordered, None, text("6")).unwrap();
    room.close_link(second.link);
    assert_eq!(send(&mut room, second, Delivery::Ordered, None, text("late")), Err(SendError::NoSeat));
    assert_eq!((room.members(), current.heard().closed), (2, None));
    room.close_link(third.link);
    assert_eq!(room.members(), 1);
}

#[test]
fn a_former_line_speaks_for_its_own_seat_only() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (b, _) = join(&mut room, 2);
    join(&mut room, 1);
    let forged = room.send(NOW, a.link, packet(b.alias, Delivery::Event, 1, Bytes::new()));
    assert_eq!(forged, Err(SendError::NoSeat));
    room.remove(a.link, a.alias);
    assert_eq!(room.members(), 2, "nor does it take the seat away");
}

#[test]
fn the_current_link_hears_of_what_is_refused_to_a_former_one() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, current) = join(&mut room, 1);
    let large = Bytes::from(vec![0; 2000]);
    assert_eq!(send(&mut room, a, Delivery::Event, 0, large), Err(SendError::TooLarge(2000)));
    assert_eq!(current.heard().refused, [SendError::TooLarge(2000)]);
}

#[test]
fn another_session_ends_the_former_lines_too() {
    let mut room = room();
    let (first, _) = join(&mut room, 1);
    let (second, current) = join(&mut room, 1);
    let (_, neighbour) = join(&mut room, 2);
    let (taken, _) = join_as(&mut room, 1, 99).unwrap();
    assert_eq!(current.heard().closed, Some(CloseReason::Kicked));
    for line in [first, second] {
        assert_eq!(send(&mut room, line, Delivery::Ordered, None, Bytes::new()), Err(SendError::NoSeat));
        assert_eq!(
            room.send(NOW, line.link, packet(taken.alias, Delivery::Event, 1, Bytes::new())),
            Err(SendError::NoSeat)
        );
        room.close_link(line.link);
    }
    room.tick(NOW);
    assert_eq!(neighbour.heard().members.len(), 2);
    assert!(neighbour.heard().ordered.is_empty());
}

#[test]
fn the_seat_ends_with_its_current_link() {
    let mut room = room();
    let (first, _) = join(&mut room, 1);
    let gone = Ear::default();
    gone.heard().answer = Some(Pressure::Gone);
    room.join(newcomer(1, 1), Box::new(gone)).unwrap();
    assert_eq!(room.next_tick(NOW), Some(NOW));
    assert_eq!(room.tick(NOW).gone, 1);
    assert!(room.is_empty(), "a former line is no link");
    assert_eq!(send(&mut room, first, Delivery::Ordered, None, Bytes::new()), Err(SendError::NoSeat));
    room.close_link(first.link);
}

#[test]
fn old_and_new_connection_hear_each_ordered_packet_once_between_them() {
    let mut room = room();
    let (a, mut ear) = join(&mut room, 1);
    let (_, _) = join(&mut room, 2);
    let (mut heard, mut said) = (Vec::new(), Vec::new());
    let (b, _) = join(&mut room, 3);
    for number in 0..20u8 {
        said.push(Bytes::from(vec![number]));
        send(&mut room, b, Delivery::Ordered, None, Bytes::from(vec![number])).unwrap();
        if number % 3 == 0 {
            heard.extend(ear.heard().ordered_payloads());
            ear = join(&mut room, 1).1;
        }
        if number % 7 == 0 {
            room.tick(NOW);
        }
    }
    heard.extend(ear.heard().ordered_payloads());
    assert_eq!(heard, said);
    room.close_link(a.link);
    assert_eq!(room.members(), 3);
}
