use super::*;
use crate::livekit::link::RoomLink;
use crate::ws_room::outgoing::budget;
use atoll_core::Address;
use atoll_core::room::{Delivery, Frame, Link, Newcomer, Packet, Pressure, Room, RoomId, Sender, Settings};
use atoll_proto::datagram::Tag;
use std::time::Duration;

fn mailbox(budget: &Arc<Budget>) -> Arc<Mailbox> {
    Arc::new(Mailbox::new(Words::Rfc4, Arc::clone(budget), Arc::default()))
}

/// Messages of so many bytes in all.
fn say(mailbox: &Mailbox, bytes: usize) {
    let message = Bytes::from(vec![0; 16 * 1024 - OVERHEAD]);
    for _ in 0..bytes / (16 * 1024) {
        mailbox.push(Mail::Notice(Notice::Data { reliable: true, message: message.clone() }));
    }
}

#[test]
fn a_participant_that_reads_has_what_several_others_say_at_once() {
    let budget = budget();
    let mailbox = mailbox(&budget);
    say(&mailbox, 4 << 20);
    assert!(!mailbox.is_much());
    say(&mailbox, 12 << 20);
    assert!(!mailbox.is_too_slow() && mailbox.is_much());
    let first = mailbox.pop_data().unwrap();
    say(&mailbox, 16 * 1024);
    assert!(!mailbox.is_too_slow());
    mailbox.put_back(first);
    assert_eq!(budget.kept(), (16 << 20) + 16 * 1024, "what did not go out counts again");
    say(&mailbox, 16 * 1024);
    assert!(mailbox.is_too_slow());
    assert_eq!(budget.kept(), 0);
    assert!(mailbox.pop_data().is_none() && !mailbox.is_much());
    assert_eq!(budget.kept(), 0, "nor after a look at what is left");
}

#[test]
fn all_share_what_may_wait() {
    let budget = budget();
    let mailboxes: Vec<_> = (0..16).map(|_| mailbox(&budget)).collect();
    mailboxes.iter().for_each(|mailbox| say(mailbox, 15 << 20));
    let slow = mailboxes.iter().filter(|mailbox| mailbox.is_too_slow()).count();
    assert!((8..16).contains(&slow), "{slow}");
    assert!(budget.kept() <= 128 << 20);
}

#[test]
fn a_participant_that_is_too_slow_or_has_gone_keeps_its_seat_and_holds_nothing() {
    let budget = budget();
    for ends in [|mailbox: &Mailbox| say(mailbox, 17 << 20), Mailbox::close] {
        let mailbox = mailbox(&budget);
        let mut link = RoomLink::new(Arc::clone(&mailbox), Arc::default());
        ends(&mailbox);
        let news = || Frame::Members(MemberList::Change { joined: [].into(), left: [Alias(1)].into() });
        assert_eq!(link.push(Tag(1), news()), Pressure::Flowing);
        assert!(mailbox.pop_signal().is_none());
        say(&mailbox, 1 << 20);
        assert_eq!(budget.kept(), 0);
        assert_eq!(link.push(Tag(1), Frame::Closed(CloseReason::Kicked)), Pressure::Gone);
    }
}

#[test]
fn what_a_participant_said_before_it_was_too_slow_is_heard() {
    let budget = budget();
    let mut room = Room::new(RoomId::new("a"), Tag(1), Settings { max_members: 2, tick: None });
    let mailboxes = [mailbox(&budget), mailbox(&budget)];
    let [slow, other] = [0, 1].map(|number| {
        let link = RoomLink::new(Arc::clone(&mailboxes[number]), Arc::default());
        let sender = Sender::Peer(Address([number as u8; 20]));
        room.join(Newcomer { sender, session: None, hidden: false }, Box::new(link)).unwrap()
    });
    let mut say_in_room = |member: atoll_core::room::Joined, payload: Bytes| {
        let packet = Packet { from: member.alias, delivery: Delivery::Ordered, sequence: None, said: payload.into() };
        room.send(Duration::ZERO, member.link, packet)
    };
    say_in_room(slow, Bytes::from_static(b"first")).unwrap();
    let large = Bytes::from(vec![0; 60_000]);
    for _ in 0..(17 << 20) / large.len() {
        say_in_room(other, large.clone()).unwrap();
    }
    assert!(mailboxes[0].is_too_slow());
    say_in_room(slow, Bytes::from_static(b"second")).unwrap();
    assert!(mailboxes[1].pop_data().is_none(), "first who is here");
    while mailboxes[1].pop_signal().is_some() {}
    let heard: Vec<_> = std::iter::from_fn(|| mailboxes[1].pop_data())
        .map(|mail| match mail {
            Mail::Ordered(ordered) => ordered.payload().unwrap().clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(heard, ["first", "second"]);
}
