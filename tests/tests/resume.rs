//! A session goes on over another connection, spoken by hand: what its token is good for, and what neighbours notice.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::raw::{Connection, FrameWriter};
use atoll_client::{ConnectError, Options, Position, Target, Wallet, Way, signed_fetch};
use atoll_proto::archipelago::Heartbeat;
use atoll_proto::atoll::{
    IslandChanged, Member, Ordered, OrderedMessage, Received, Resume, Welcome, client_message, ordered_message,
    server_message,
};
use atoll_proto::close::CloseCode;
use atoll_proto::lanes::{MAX_ORDERED_FRAME, ORDERED_STREAM};
use atoll_tests::proxy::UdpProxy;
use atoll_tests::{Edge, Peer, eventually, within};
use std::time::{Duration, SystemTime};

const WAYS: [Way; 3] = [Way::Quic, Way::WebTransport, Way::WebSocket];

/// A logged-in connection, and its session's token.
async fn logged_in(mut connection: Connection, wallet: &Wallet) -> (Connection, String) {
    let challenge = connection.request_challenge(&wallet.address().to_string()).await.unwrap();
    let expiration = SystemTime::now() + Duration::from_secs(60);
    let welcome = connection.answer_challenge(wallet.sign(&challenge, expiration)).await.unwrap();
    assert!(welcome.resumed.is_none() && welcome.resume_token.len() >= 32);
    assert_eq!(welcome.resume_window_ms, 60_000);
    (connection, welcome.resume_token)
}

async fn resume(connection: &mut Connection, token: &str, received: Received) -> Option<Welcome> {
    let resume = Resume { token: token.to_owned(), received: Some(received) };
    within("an answer", connection.login_by_resume(resume, None)).await.unwrap()
}

async fn stand(connection: &mut Connection) {
    let heartbeat = Heartbeat { position: Some(Position::default()), desired_room: None };
    connection.send(client_message::Message::Heartbeat(heartbeat)).await.unwrap();
}

async fn island(connection: &mut Connection) -> IslandChanged {
    within("an island", async {
        loop {
            if let server_message::Message::IslandChanged(island) = connection.recv().await.unwrap() {
                return island;
            }
        }
    })
    .await
}

/// The numbers of ordered messages are their payloads, too.
async fn say(stream: &mut FrameWriter, tag: u32, number: u64) {
    let payload = number.to_be_bytes().to_vec();
    let message = ordered_message::Message::Ordered(Ordered { tag, number, sender: None, payload });
    stream.send(&OrderedMessage { message: Some(message) }).await.unwrap();
}

async fn ordered_stream(connection: &Connection) -> FrameWriter {
    FrameWriter::new(connection.open_stream(&[ORDERED_STREAM]).await.unwrap())
}

/// Hears so many ordered messages on a new connection: their numbers.
async fn hear(connection: &Connection, count: usize) -> Vec<u64> {
    within("ordered messages", async {
        let mut stream = connection.accept_stream().await.unwrap();
        assert_eq!(stream.bytes(1).await.unwrap()[..], [ORDERED_STREAM]);
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let message: OrderedMessage = atoll_proto::decode(&stream.frame(MAX_ORDERED_FRAME).await.unwrap()).unwrap();
            let Some(ordered_message::Message::Ordered(ordered)) = message.message else { panic!("{message:?}") };
            numbers.push(ordered.number);
        }
        numbers
    })
    .await
}

async fn close_code(connection: &Connection) -> Option<CloseCode> {
    within("the close", connection.closed()).await.code()
}

async fn native(edge: &Edge, name: &str) -> u64 {
    edge.status().await["native"][name].as_u64().unwrap()
}

fn names(members: &[Member]) -> Vec<(u32, String)> {
    let mut names: Vec<_> = members.iter().map(|member| (member.alias, member.name.clone())).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_moves_between_ways_and_nobody_notices() {
    let edge = Edge::start().await;
    let mut neighbour = edge.peer(Way::Quic).await;
    neighbour.heartbeat(Position::default());
    neighbour.seated(1).await;
    let wallet = Wallet::random().unwrap();
    let (mut connection, mut token) = logged_in(edge.raw(Way::WebSocket).await, &wallet).await;
    stand(&mut connection).await;
    neighbour.seated(2).await;
    // It comes into an island that is there, so both are in the first list of members that it gets of it.
    let mut at = island(&mut connection).await;
    while at.members.len() < 2 {
        at = island(&mut connection).await;
    }
    let (mut said, mut heard) = (0, 0);
    for way in WAYS {
        let mut stream = ordered_stream(&connection).await;
        for number in said + 1..=said + 3 {
            say(&mut stream, at.tag, number).await;
        }
        for _ in 0..3 {
            neighbour.send_ordered(vec![1].into()).unwrap();
        }
        let numbers = hear(&connection, 3).await;
        assert_eq!(numbers, (heard + 1..=heard + 3).collect::<Vec<_>>());

        // The old connection stands. The client says that it lacks the last two.
        let mut next = edge.raw(way).await;
        let received = Received { ordered: heard + 1, ..Received::default() };
        let welcome = resume(&mut next, &token, received).await.unwrap();
        let resumed = welcome.resumed.unwrap().ordered;
        assert!((said..=said + 3).contains(&resumed), "{resumed}");
        assert_eq!(close_code(&connection).await, Some(CloseCode::Resumed), "to {way}");
        assert_ne!(welcome.resume_token, token);
        token = welcome.resume_token;
        let again = island(&mut next).await;
        assert_eq!((again.tag, again.alias, names(&again.members)), (at.tag, at.alias, names(&at.members)));
        assert_eq!(again.island.unwrap().island_id, at.island.as_ref().unwrap().island_id);
        assert_eq!(hear(&next, 2).await, [heard + 2, heard + 3]);
        // What the edge lacks is said again, and more than it lacks does no harm.
        let mut stream = ordered_stream(&next).await;
        for number in resumed + 1..=said + 3 {
            say(&mut stream, at.tag, number).await;
        }
        let three = async {
            for number in said + 1..=said + 3 {
                assert_eq!(neighbour_hears(&mut neighbour).await, number);
            }
        };
        within("three messages, once and in order", three).await;
        // On the next connection the neighbour's three are those after these.
        next.send(client_message::Message::Received(Received { ordered: heard + 3, ..Received::default() }))
            .await
            .unwrap();
        (said, heard) = (said + 3, heard + 3);
        drop(stream);
        // A second ordered stream may not be opened on one connection, so the next round begins on a new one.
        let mut third = edge.raw(way).await;
        let received = Received { ordered: heard, ..Received::default() };
        token = resume(&mut third, &token, received).await.unwrap().resume_token;
        connection = third;
    }
    assert_eq!(neighbour.stats().islands, 1);
    assert_eq!(native(&edge, "resumed").await, 6);
}

/// The next ordered message as a number. Nobody may come or go before.
async fn neighbour_hears(neighbour: &mut Peer) -> u64 {
    loop {
        match neighbour.next_event().await {
            atoll_client::Event::Ordered(message) => {
                return u64::from_be_bytes(message.payload[..].try_into().unwrap());
            }
            atoll_client::Event::MembersChanged { joined, left } => panic!("{joined:?} came, {left:?} left"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_the_seat_and_a_session_that_was_closed_does_not() {
    let edge = Edge::start().await;
    let proxy = UdpProxy::start(edge.quic().strip_prefix("https://").unwrap().parse().unwrap()).await.unwrap();
    let mut neighbour = edge.peer(Way::Quic).await;
    neighbour.heartbeat(Position::default());
    let options = Options { idle_timeout: Duration::from_secs(1), ..edge.options() };
    let target = Target::quic(&proxy.address().to_string()).unwrap();
    let endpoint = atoll_client::Endpoint::open(&target, &options).await.unwrap();
    let wallet = Wallet::random().unwrap();
    let (mut lost, token) = logged_in(endpoint.connect_raw().await.unwrap(), &wallet).await;
    stand(&mut lost).await;
    neighbour.seated(2).await;

    proxy.block();
    eventually("a parked session", || async { (native(&edge, "parked").await == 1).then_some(()) }).await;
    assert_eq!(edge.status().await["region"]["sessions"], 2);
    neighbour.send_ordered(b"while you were away".to_vec().into()).unwrap();
    let mut connection = edge.raw(Way::WebSocket).await;
    resume(&mut connection, &token, Received::default()).await.unwrap();
    assert_eq!(island(&mut connection).await.members.len(), 2);
    assert_eq!(hear(&connection, 1).await, [1]);
    assert_eq!(native(&edge, "parked").await, 0);
    assert_eq!(neighbour.island().members.len(), 2);

    connection.transport.close(CloseCode::Closed, "");
    neighbour.seated(1).await;
    assert_eq!(native(&edge, "parked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_once_for_a_session_that_is_there() {
    let edge = Edge::start().await;
    for way in WAYS {
        let wallet = Wallet::random().unwrap();
        let (_first, used) = logged_in(edge.raw(way).await, &wallet).await;
        let mut second = edge.raw(way).await;
        let token = resume(&mut second, &used, Received::default()).await.unwrap().resume_token;
        // Its client has spoken: it has the new token.
        stand(&mut second).await;
        island(&mut second).await;

        // Refused, and the connection can still be logged in.
        let mut third = edge.raw(way).await;
        assert!(resume(&mut third, &used, Received::default()).await.is_none());
        let (third, _) = logged_in(third, &Wallet::random().unwrap()).await;
        third.transport.close(CloseCode::Closed, "");

        // Twice is once too often.
        let mut fourth = edge.raw(way).await;
        assert!(resume(&mut fourth, "0".repeat(64).as_str(), Received::default()).await.is_none());
        let again = Resume { token: used, received: None };
        let Err(ConnectError::Closed(closed)) = fourth.login_by_resume(again, None).await else {
            panic!("a second refused token was answered")
        };
        assert_eq!(closed.code(), Some(CloseCode::Unauthorized));

        // A login of the same address takes the session's place, and its token with it.
        let (replacing, _) = logged_in(edge.raw(way).await, &wallet).await;
        assert_eq!(close_code(&second).await, Some(CloseCode::Kicked));
        let mut fifth = edge.raw(way).await;
        let fetch = signed_fetch(&wallet, "atoll", SystemTime::now());
        let late = Resume { token, received: None };
        let welcome = within("a welcome", fifth.login_by_resume(late, Some(fetch))).await.unwrap().unwrap();
        assert!(welcome.resumed.is_none(), "by the proof beside the token");
        assert_eq!(close_code(&replacing).await, Some(CloseCode::Kicked));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_that_is_lost_costs_no_session() {
    let edge = Edge::start().await;
    for way in WAYS {
        let (first, shown) = logged_in(edge.raw(way).await, &Wallet::random().unwrap()).await;
        let come_back = async |token: &str| {
            let mut connection = edge.raw(way).await;
            let welcome = resume(&mut connection, token, Received::default()).await;
            welcome.map(|welcome| (connection, welcome.resume_token))
        };
        // The client does not hear this welcome, and comes again with the token that it has.
        let (unheard, lost_token) = come_back(&shown).await.unwrap();
        assert_eq!(close_code(&first).await, Some(CloseCode::Resumed));
        let (second, token) = come_back(&shown).await.unwrap();
        assert_eq!(close_code(&unheard).await, Some(CloseCode::Resumed));
        assert!(come_back(&lost_token).await.is_none(), "two tokens are valid at most: the one shown and the next");

        // It hears this one, but is lost before it says a word.
        let (mut third, next_token) = come_back(&token).await.unwrap();
        assert_eq!(close_code(&second).await, Some(CloseCode::Resumed));
        assert!(come_back(&shown).await.is_none());
        stand(&mut third).await;
        island(&mut third).await;
        assert!(come_back(&token).await.is_none(), "its client has spoken: it has the next one");
        let (last, _) = come_back(&next_token).await.unwrap();
        last.transport.close(CloseCode::Closed, "");
        // Held until its close has been answered: over WebSocket it would be a loss otherwise.
        close_code(&last).await;
        eventually("the end of the session", || async {
            (edge.status().await["region"]["sessions"] == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_claims_to_have_what_was_never_sent_loses_the_session() {
    let edge = Edge::start().await;
    let wallet = Wallet::random().unwrap();
    let (first, token) = logged_in(edge.raw(Way::Quic).await, &wallet).await;
    let mut liar = edge.raw(Way::WebTransport).await;
    let resume = Resume { token, received: Some(Received { ordered: 1, ..Received::default() }) };
    let Err(ConnectError::Closed(closed)) = liar.login_by_resume(resume, None).await else { panic!("welcome, liar") };
    assert_eq!(closed.code(), Some(CloseCode::Malformed));
    assert_eq!(close_code(&first).await, Some(CloseCode::Resumed));
    eventually("no session", || async { (edge.status().await["region"]["sessions"] == 0).then_some(()) }).await;
}
