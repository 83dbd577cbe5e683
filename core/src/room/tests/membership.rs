//! Who is told of whom.

use super::*;

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
    assert_eq!(room.next_tick(NOW), Some(NOW), "the departures, which nobody is left to hear of");
}

#[test]
fn another_session_of_the_address_kicks() {
    let mut room = room();
    let (a, old) = join(&mut room, 1);
    let (_, neighbour) = join(&mut room, 2);
    room.tick(NOW);
    let (taken, _) = join_as(&mut room, 1, 99).unwrap();
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
    assert_eq!(join_as(&mut room, 7, 6).err(), Some(JoinError::Superseded));
    assert_eq!(ear.heard().closed, None);
    send(&mut room, a, Delivery::Event, 0, Bytes::new()).unwrap();
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

    for (from, said) in [(b, "b"), (c, "c")] {
        room.send(NOW, link, packet(from, Delivery::Event, 0, text(said))).unwrap();
    }
    room.tick(NOW);
    assert_eq!(ear.heard().payloads(), ["b", "c"]);
    assert!(mesh.heard().batches.is_empty());

    let (direct, _) = join(&mut room, 2);
    assert_eq!(mesh.heard().closed, None, "the bridge stays for its others");
    let late = room.send(NOW, link, packet(b, Delivery::Event, 1, Bytes::new()));
    assert_eq!(late, Err(SendError::NoSeat));
    room.remove(link, direct.alias);
    assert_eq!(room.members(), 3, "a bridge cannot remove who is not behind it");
    room.close_link(link);
    assert_eq!(room.members(), 2);
}
