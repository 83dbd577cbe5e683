//! What costs its sender.

use super::*;
use atoll_proto::datagram::MAX_PAYLOAD;

#[test]
fn what_is_too_much_costs_its_sender_and_is_told() {
    let mut room = room_of(2);
    let (a, own) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    room.tick(NOW);
    assert_eq!(join_as(&mut room, 3, 3).err(), Some(JoinError::Full));

    for delivery in [Delivery::Update, Delivery::Event, Delivery::Voice] {
        let large = Bytes::from(vec![0; MAX_PAYLOAD + 1]);
        assert_eq!(send(&mut room, a, delivery, 0, large.clone()), Err(SendError::TooLarge(large.len())));
    }
    let large = Bytes::from(vec![0; MAX_ORDERED_PAYLOAD + 1]);
    let length = large.len();
    assert_eq!(send(&mut room, a, Delivery::Ordered, None, large.clone()), Err(SendError::TooLarge(length)));
    send(&mut room, a, Delivery::Ordered, None, large.slice(1..)).unwrap();
    assert_eq!(ear.heard().ordered.len(), 1);

    let sent = (0..1000).take_while(|n| send(&mut room, a, Delivery::Event, *n, Bytes::from(vec![0; 1000])).is_ok());
    let taken = sent.count();
    assert_eq!(taken, 17, "of a thousand bytes each in one tick");
    room.tick(NOW);
    assert_eq!(ear.heard().entries().len(), taken);
    let datagram = SendError::TooLarge(MAX_PAYLOAD + 1);
    let told = [datagram, datagram, datagram, SendError::TooLarge(length), SendError::TooFast];
    assert_eq!(own.heard().refused, told);
    send(&mut room, a, Delivery::Event, 1, Bytes::new()).unwrap();
}

/// How many of a thousand packets within each of the first seconds reach a neighbour in a room that sends at once.
fn taken(delivery: Delivery, payload: impl Fn(u16) -> Bytes) -> [usize; 3] {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (_, ear) = join(&mut room, 2);
    let mut before = 0;
    [0, 1, 2].map(|second| {
        for millisecond in 0..1000u16 {
            let now = NOW + Duration::from_secs(second) + Duration::from_micros(u64::from(millisecond) * 10);
            let _ = send_at(now, &mut room, a, delivery, second as u16 * 1000 + millisecond, payload(millisecond));
            if room.next_tick(now).is_some() {
                room.tick(now);
            }
        }
        let heard = ear.heard();
        let all = heard.entries().len() + heard.voice.len();
        let news = all - before;
        before = all;
        news
    })
}

#[test]
fn a_flood_is_cut_also_where_every_packet_is_a_tick() {
    assert_eq!(taken(Delivery::Event, |_| text("x")), [129, 128, 128]);
    assert_eq!(taken(Delivery::Update, |x| position(x.into())), [129, 128, 128]);
    assert_eq!(taken(Delivery::Update, |_| text("no update")), [129, 128, 128]);
    assert_eq!(taken(Delivery::Voice, |_| text("x")), [64, 64, 64]);
}

#[test]
fn one_member_s_flood_is_not_another_s() {
    let mut room = room();
    let (a, _) = join(&mut room, 1);
    let (b, _) = join(&mut room, 2);
    while send(&mut room, a, Delivery::Voice, None, Bytes::new()).is_ok() {}
    send(&mut room, b, Delivery::Voice, None, Bytes::new()).unwrap();
    send(&mut room, a, Delivery::Event, None, Bytes::new()).unwrap();
    assert_eq!(send(&mut room, a, Delivery::Voice, None, Bytes::new()), Err(SendError::TooFast));
}

#[test]
fn a_packet_too_large_for_one_reaches_the_others_and_its_sender_is_told() {
    let mut room = room();
    let (a, own) = join(&mut room, 1);
    let (_, small) = join(&mut room, 2);
    let (_, ear) = join(&mut room, 3);
    room.tick(NOW);
    small.heard().answer = Some(Pressure::TooLarge);
    let report = send(&mut room, a, Delivery::Ordered, None, text("much")).unwrap();
    assert_eq!((report.delivered, report.too_large, report.gone), (1, 1, 0));
    assert_eq!(ear.heard().ordered_payloads(), [text("much")]);
    assert_eq!((own.heard().not_for_all.clone(), ear.heard().not_for_all.clone()), (vec![1], vec![]));
    small.heard().answer = None;
    let report = send(&mut room, a, Delivery::Ordered, None, text("little")).unwrap();
    assert_eq!((report.delivered, report.too_large), (2, 0));
}

#[test]
fn what_may_be_lost_is_asked_for_by_what_it_is() {
    let voice = rfc4::Packet { message: Some(rfc4::packet::Message::Voice(rfc4::Voice::default())) };
    for (packet, delivery) in [
        (position(1.0), Delivery::Update),
        (voice.encode_to_vec().into(), Delivery::Voice),
        (text("unknown"), Delivery::Event),
        (Bytes::new(), Delivery::Event),
        (vec![1; MAX_PAYLOAD].into(), Delivery::Event),
        (vec![1; MAX_PAYLOAD + 1].into(), Delivery::Ordered),
    ] {
        assert_eq!(Delivery::unreliable(&packet), delivery, "{packet:?}");
    }
}
