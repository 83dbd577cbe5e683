use super::*;
use crate::event::{Lane, Message};
use atoll_proto::atoll::{
    Draining, Gap, IslandChanged, Large, Member, Ordered, ServerMessage, large_header, ordered_message, server_message,
};
use prost::Message as _;

const START: Duration = Duration::ZERO;
const TAG: u32 = 7;
const LOST: Closed = Closed::TimedOut;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn welcome(token: &str, resumed: Option<Received>) -> Welcome {
    Welcome { resume_token: token.to_owned(), resumed, ..Welcome::default() }
}

fn session() -> Session {
    Session::new(16, &welcome("first", None), 1, START)
}

fn hear(session: &mut Session, message: server_message::Message) {
    session.control(&ServerMessage { message: Some(message) }.encode_to_vec()).unwrap();
}

fn seat_message(tag: u32, others: &[u32]) -> server_message::Message {
    let member = |alias: &u32| Member { alias: *alias, name: format!("0x{alias:040}") };
    let members = [1].iter().chain(others).map(member).collect();
    server_message::Message::IslandChanged(IslandChanged { tag, alias: 1, members, ..IslandChanged::default() })
}

fn seated() -> Session {
    let mut session = session();
    hear(&mut session, seat_message(TAG, &[2]));
    assert!(matches!(session.next_event(), Some(Event::IslandChanged(_))));
    session
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.next_event()).collect()
}

fn say(session: &mut Session, now: Duration, text: &'static str) -> Option<u64> {
    session.send(now, Lane::Ordered, Tag(TAG), Bytes::from_static(text.as_bytes()))
}

fn ordered(number: u64) -> OrderedMessage {
    let sender = Some(Member { alias: 2, name: "0xaa".to_owned() });
    let payload = number.to_string().into_bytes();
    OrderedMessage { message: Some(ordered_message::Message::Ordered(Ordered { tag: TAG, number, sender, payload })) }
}

fn numbers_sent(session: &mut Session, now: Duration) -> Vec<u64> {
    let sent = std::iter::from_fn(|| session.next_ordered(now));
    let numbers = sent.map(|message| match message.message.unwrap() {
        ordered_message::Message::Ordered(ordered) => ordered.number,
        ordered_message::Message::Gap(gap) => panic!("{gap:?}"),
    });
    numbers.collect()
}

#[test]
fn a_session_that_is_taken_up_goes_on_where_it_was() {
    let mut session = seated();
    session.heartbeat(Position { x: 1.0, y: 0.0, z: 0.0 });
    assert!(matches!(session.next_control(START), Some(client_message::Message::Heartbeat(_))));
    for text in ["one", "two", "three"] {
        say(&mut session, START, text).unwrap();
    }
    assert_eq!(numbers_sent(&mut session, START), [1, 2, 3]);
    session.ordered(START, &ordered(1).encode_to_vec()).unwrap();
    events(&mut session);

    assert_eq!(session.lost(seconds(20), &LOST), Some(Duration::ZERO), "the first attempt is made at once");
    say(&mut session, seconds(20), "four").unwrap();
    let resume = session.resume().unwrap();
    assert_eq!((resume.token.as_str(), resume.received.unwrap().ordered), ("first", 1));

    let resumed = Received { ordered: 1, ..Received::default() };
    assert_eq!(session.welcomed(seconds(21), &welcome("second", Some(resumed))), Ok(Login::Resumed));
    session.goes_on(Login::Resumed, None, Way::WebSocket);
    assert_eq!(numbers_sent(&mut session, seconds(21)), [2, 3, 4]);
    assert!(matches!(session.next_control(seconds(21)), Some(client_message::Message::Heartbeat(_))), "told again");
    assert_eq!(session.resume().unwrap().token, "second");

    // The same seat: only what changed in the room is news.
    hear(&mut session, seat_message(TAG, &[2, 3]));
    let told = events(&mut session);
    assert!(
        matches!(&told[..], [Event::Disconnected { why: LOST, .. }, Event::Resumed { way: Way::WebSocket },
            Event::MembersChanged { joined, left }] if joined.len() == 1 && left.is_empty()),
        "{told:?}"
    );
    hear(&mut session, seat_message(TAG + 1, &[2]));
    assert!(matches!(session.next_event(), Some(Event::IslandChanged(_))));
}

#[test]
fn a_new_session_tells_what_is_lost_and_begins_anew() {
    let mut session = seated();
    say(&mut session, START, "heard").unwrap();
    say(&mut session, START, "perhaps").unwrap();
    session.send(START, Lane::Large, Tag(TAG), Bytes::from_static(b"never")).unwrap();
    numbers_sent(&mut session, START);
    hear(&mut session, server_message::Message::Received(Received { ordered: 1, ..Received::default() }));
    session.lost(seconds(20), &LOST).unwrap();
    events(&mut session);

    assert_eq!(session.welcomed(seconds(90), &welcome("other", None)), Ok(Login::New));
    session.goes_on(Login::New, None, Way::Quic);
    let undelivered = |lane, number| Event::Undelivered { lane, first: number, last: number };
    assert_eq!(
        events(&mut session),
        [undelivered(Lane::Ordered, 2), undelivered(Lane::Large, 1), Event::Restarted { way: Way::Quic }]
    );
    assert_eq!(session.tag(), None);
    assert!(numbers_sent(&mut session, seconds(90)).is_empty());
    assert_eq!(say(&mut session, seconds(90), "again"), Some(1));
    session.ordered(seconds(90), &ordered(1).encode_to_vec()).unwrap();
    assert_eq!((session.stats.resumed, session.stats.restarted), (0, 1));
}

#[test]
fn the_close_code_decides_what_follows() {
    for code in CloseCode::ALL {
        let mut session = session();
        let pause = session.lost(seconds(20), &Closed::from_code(code, ""));
        let expected = match code.advice() {
            RetryAdvice::Retry => pause == Some(Duration::ZERO),
            RetryAdvice::RetryElsewhere => pause.is_some_and(|pause| pause >= seconds(5)),
            RetryAdvice::DoNotRetry => pause.is_none(),
        };
        assert!(expected, "{code:?}: {pause:?}");
        // A session that the edge ended cannot be taken up, only one that was parked.
        assert_eq!(session.resume().is_some(), code == CloseCode::TooSlow, "{code:?}");
        assert_eq!(session.next_event().is_some(), pause.is_some(), "{code:?}");
    }
    for loss in [Closed::TimedOut, Closed::Lost(String::new()), Closed::Edge { code: 1012, reason: String::new() }] {
        let mut session = session();
        assert!(session.lost(seconds(20), &loss).is_some() && session.resume().is_some(), "{loss:?}");
    }
    assert_eq!(session().lost(seconds(20), &Closed::Lagged), None);
}

#[test]
fn attempts_that_fail_wait_longer_and_are_one_event() {
    let mut session = session();
    let pauses: Vec<_> = (0..40).map(|attempt| session.lost(seconds(20 + attempt), &LOST).unwrap()).collect();
    assert!(pauses[0].is_zero() && pauses.iter().all(|pause| *pause <= seconds(15)));
    assert!(pauses.iter().any(|pause| *pause > seconds(10)), "{pauses:?}");
    assert_eq!(events(&mut session).len(), 1);
}

#[test]
fn a_kick_is_the_end_even_without_its_code() {
    let mut session = seated();
    say(&mut session, START, "lost").unwrap();
    hear(&mut session, server_message::Message::Kicked(Default::default()));
    assert_eq!(session.lost(seconds(1), &LOST), None);
    session.end(LOST);
    let told = std::iter::from_fn(|| session.next_event()).take(3);
    let undelivered = Event::Undelivered { lane: Lane::Ordered, first: 1, last: 1 };
    let kicked = Event::Closed(Closed::from_code(CloseCode::Kicked, "kicked"));
    assert_eq!(told.collect::<Vec<_>>(), [undelivered, kicked.clone(), kicked]);
}

#[test]
fn messages_of_others_come_once_and_gaps_are_told() {
    let mut session = seated();
    for number in [1, 1, 2, 1] {
        session.ordered(START, &ordered(number).encode_to_vec()).unwrap();
    }
    let gap = ordered_message::Message::Gap(Gap { first: 2, last: 4 });
    session.ordered(START, &OrderedMessage { message: Some(gap) }.encode_to_vec()).unwrap();
    assert!(session.ordered(START, &ordered(6).encode_to_vec()).is_err(), "5 was left out");
    let large = Large { tag: TAG, number: 2, length: 1, ..Large::default() };
    let header = LargeHeader { message: Some(large_header::Message::Large(large)) };
    for _ in 0..2 {
        session.large(START, header.clone(), Bytes::from_static(b"L")).unwrap();
    }
    let heard: Vec<_> = events(&mut session)
        .into_iter()
        .map(|event| match event {
            Event::Ordered(Message { number, sender, .. }) => ("ordered", number, sender.alias.0.into()),
            Event::Large(Message { number, .. }) => ("large", number, 0),
            Event::Gap { lane: Lane::Ordered, first, last } => ("gap", first, last),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(heard, [("ordered", 1, 2), ("ordered", 2, 2), ("gap", 3, 4), ("large", 2, 0)]);
    let due = session.control_at().unwrap();
    assert_eq!(session.next_control(START), None);
    let received = Received { ordered: 4, large: 0, large_beyond: vec![2] };
    assert_eq!(session.next_control(due), Some(client_message::Message::Received(received)));
    assert_eq!(session.stats.messages_received, 3);
}

#[test]
fn draining_is_news_and_what_is_left_untaken_ends_the_session() {
    let mut session = session();
    let draining = || server_message::Message::Draining(Draining { close_in_ms: 5000 });
    hear(&mut session, draining());
    assert_eq!(session.next_event(), Some(Event::Draining { closes_in: seconds(5) }));
    let frame = ServerMessage { message: Some(draining()) }.encode_to_vec();
    let lagged = (0..5000).find_map(|_| session.control(&frame).err());
    assert_eq!(lagged, Some(Closed::Lagged));
}

/// An edge's side of the lanes, and a connection between that loses whatever is on it when it breaks.
mod simulated {
    use super::*;
    use atoll_proto::lanes::{Incoming, Item, ORDERED_BOUNDS, Outgoing, Verdict};
    use std::collections::VecDeque;

    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }
    }

    #[derive(Default)]
    struct Network {
        up: VecDeque<OrderedMessage>,
        up_control: VecDeque<client_message::Message>,
        down: VecDeque<OrderedMessage>,
        down_control: VecDeque<Received>,
    }

    fn payload_number(payload: &[u8]) -> u64 {
        std::str::from_utf8(payload).unwrap().parse().unwrap()
    }

    /// Both sides say numbers from 1 on; each must hear them all, in order, once.
    fn run(seed: u64) {
        let mut random = Random(seed);
        let (mut session, mut now) = (seated(), START);
        let (mut own, mut incoming) = (Outgoing::new(ORDERED_BOUNDS), Incoming::default());
        let (mut said, mut said_by_edge, mut heard, mut heard_by_edge) = (0, 0, 0, 0);
        let mut network = Network::default();
        let mut steps = 0;
        while (heard, heard_by_edge) != (60, 60) {
            steps += 1;
            assert!(steps < 20_000, "seed {seed}: {heard} and {heard_by_edge} heard of {said_by_edge} and {said}");
            now += Duration::from_millis(random.below(30));
            match random.below(12) {
                0 if said < 60 => {
                    said += 1;
                    session.send(now, Lane::Ordered, Tag(TAG), said.to_string().into()).unwrap();
                }
                1 if said_by_edge < 60 => {
                    said_by_edge += 1;
                    own.push(now, 10, said_by_edge);
                }
                2 => network.up.extend(session.next_ordered(now)),
                3 => network.up_control.extend(session.next_control(now)),
                4 => {
                    if let Some(Item::Message { number, message }) = own.next(now) {
                        let mut sent = ordered(number);
                        if let Some(ordered_message::Message::Ordered(sent)) = &mut sent.message {
                            sent.payload = message.to_string().into_bytes();
                        }
                        network.down.push_back(sent);
                    }
                }
                5 => network.down_control.extend(incoming.acknowledge()),
                6 | 7 => {
                    if let Some(ordered_message::Message::Ordered(got)) = network.up.pop_front().and_then(|m| m.message)
                        && incoming.ordered.accept(got.number) == Ok(Verdict::New)
                    {
                        heard_by_edge += 1;
                        assert_eq!(payload_number(&got.payload), heard_by_edge, "seed {seed}");
                    }
                }
                8 | 9 => {
                    if let Some(message) = network.down.pop_front() {
                        session.ordered(now, &message.encode_to_vec()).unwrap();
                    }
                }
                10 => {
                    if let Some(client_message::Message::Received(received)) = network.up_control.pop_front() {
                        own.acknowledge(received.ordered, &[]).unwrap();
                    }
                    if let Some(received) = network.down_control.pop_front() {
                        hear(&mut session, server_message::Message::Received(received));
                    }
                }
                _ if random.below(8) == 0 => {
                    network = Network::default();
                    session.lost(now, &LOST).unwrap();
                    let received = session.resume().unwrap().received.unwrap();
                    own.rewind(now, received.ordered, &[]).unwrap();
                    session.welcomed(now, &welcome("next", Some(incoming.received()))).unwrap();
                }
                _ => {}
            }
            for event in events(&mut session) {
                if let Event::Ordered(message) = event {
                    heard += 1;
                    assert_eq!(payload_number(&message.payload), heard, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_lost_doubled_or_reordered_over_any_losses() {
        for seed in 0..300 {
            run(seed);
        }
    }
}
