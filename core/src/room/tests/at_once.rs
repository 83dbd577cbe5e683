//! Ordered packets and voice, which do not wait for the tick.

use super::*;
use atoll_proto::datagram::Kind;

#[test]
fn ordered_packets_and_voice_do_not_wait() {
    let mut room = room();
    let (a, own) = join(&mut room, 1);
    let ears: Vec<Ear> = (2..20).map(|number| join(&mut room, number).1).collect();
    room.tick(NOW);
    for said in ["one", "two"] {
        let report = send(&mut room, a, Delivery::Ordered, None, text(said)).unwrap();
        assert_eq!((report.entries, report.delivered), (1, 18));
    }
    let report = send(&mut room, a, Delivery::Voice, 5, text("hm")).unwrap();
    assert_eq!((report.entries, report.delivered), (1, 18));
    assert_eq!(room.next_tick(NOW), None, "the tick has nothing to do with it");
    for ear in &ears {
        assert_eq!(ear.heard().ordered, [(a.alias, text("one")), (a.alias, text("two"))]);
        let voice = Arc::clone(&ear.heard().voice[0]);
        let entry = &voice.entries()[0];
        assert_eq!((entry.kind, entry.sequence, &entry.payload), (Kind::Voice, Sequence(5), &text("hm")));
        assert!(Arc::ptr_eq(&voice, &ears[0].heard().voice[0]), "encoded once for all");
    }
    assert_eq!(own.heard().heard_at_once(), (0, 0));
}

#[test]
fn a_sender_is_known_before_he_is_heard() {
    for (delivery, one) in [(Delivery::Ordered, (1, 0)), (Delivery::Voice, (0, 1))] {
        let mut room = room();
        let (a, first) = join(&mut room, 1);
        room.tick(NOW);
        let (b, second) = join(&mut room, 2);
        send(&mut room, b, delivery, None, text("hello")).unwrap();
        assert_eq!(first.heard().members.len(), 2, "the ear itself would have objected");
        assert_eq!(first.heard().heard_at_once(), one);
        assert_eq!(second.heard().own, Some(b.alias));

        let (_, third) = join(&mut room, 3);
        send(&mut room, a, delivery, None, text("before")).unwrap();
        assert_eq!(third.heard().heard_at_once(), (0, 0), "nothing comes before the snapshot");
        assert_eq!(first.heard().members.len(), 2, "and the tick tells of all newcomers at once");
        room.tick(NOW);
        send(&mut room, a, delivery, None, text("welcome")).unwrap();
        assert_eq!(third.heard().heard_at_once(), one);
        assert_eq!(third.heard().members.len(), 3);
    }
}

#[test]
fn a_link_that_is_behind_misses_voice_but_keeps_what_is_ordered() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, slow) = join(&mut room, 2);
    room.tick(NOW);
    slow.heard().answer = Some(Pressure::Behind);
    let voice = send(&mut room, a, Delivery::Voice, None, Bytes::new()).unwrap();
    let ordered = send(&mut room, a, Delivery::Ordered, None, text("kept")).unwrap();
    assert_eq!((voice.delivered, voice.behind), (0, 1));
    assert_eq!((ordered.delivered, ordered.behind), (1, 0));
    assert_eq!(slow.heard().ordered_payloads(), ["kept"]);
}

#[test]
fn who_has_gone_is_dropped_at_once() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, ended) = join(&mut room, 2);
    let (_, stays) = join(&mut room, 3);
    room.tick(NOW);
    ended.heard().answer = Some(Pressure::Gone);
    let report = send(&mut room, a, Delivery::Ordered, None, text("x")).unwrap();
    assert_eq!((report.delivered, report.gone), (1, 1));
    assert_eq!(room.members(), 2);
    assert_eq!(room.next_tick(NOW), Some(NOW), "his departure is to be told");
    room.tick(NOW);
    assert_eq!(stays.heard().members.len(), 2);
    assert_eq!(ended.heard().ordered.len(), 1);
}

#[test]
fn a_bridge_hears_others_and_not_its_own() {
    let mut room = room();
    let (a, ear) = join(&mut room, 1);
    let mesh = Ear::default();
    let link = room.open_link(Box::new(mesh.clone()));
    let behind = [room.add(link, peer(2)).unwrap(), room.add(link, peer(3)).unwrap()];
    for alias in behind {
        for delivery in [Delivery::Ordered, Delivery::Voice] {
            room.send(NOW, link, packet(alias, delivery, None, Bytes::new())).unwrap();
        }
    }
    assert_eq!(ear.heard().heard_at_once(), (2, 2));
    assert_eq!(mesh.heard().heard_at_once(), (0, 0));
    send(&mut room, a, Delivery::Ordered, None, text("hi")).unwrap();
    send(&mut room, a, Delivery::Voice, None, text("hm")).unwrap();
    assert_eq!(mesh.heard().heard_at_once(), (1, 1));
}
