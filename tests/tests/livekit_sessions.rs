//! LiveKit's clients that come twice, or come back.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Position, Wallet, Way};
use atoll_tests::livekit::{Bot, Lane, Line, Side, VARIABLES, path_back, token};
use atoll_tests::room::Explorer;
use atoll_tests::{Edge, chat};
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{DisconnectReason, Ping};
use serde_json::json;

const ROOM: &str = "world-a";
const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

fn wallet() -> Wallet {
    Wallet::random().unwrap()
}

fn fresh(room: &str) -> String {
    token(room, &wallet().address().to_string(), json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_of_the_same_identity_takes_its_place() {
    let edge = edge().await;
    let mut witness = Bot::join(edge.http(), &fresh(ROOM)).await;
    let mine = fresh(ROOM);
    let mut first = Bot::join(edge.http(), &mine).await;
    witness.among(&[first.identity().to_owned()]).await;
    let mut elsewhere = Bot::join(edge.http(), &token("world-b", first.identity(), json!({}))).await;
    let second = Bot::join(edge.http(), &mine).await;
    let leave = first.left().await;
    assert_eq!(leave.reason(), DisconnectReason::DuplicateIdentity);
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Disconnect, false));
    assert_ne!(first.sid(), second.sid(), "receivers would drop what a new client numbers from 1");
    let sid = second.sid().to_owned();
    witness.sees(second.identity(), |info| info.sid == sid).await;
    second.say(Lane::Reliable, &chat("the second")).await.unwrap();
    assert_eq!(witness.hears().await.payload, chat("the second"));
    // In another room, the same identity is nobody's rival.
    let mut other = Bot::join(edge.http(), &fresh("world-b")).await;
    elsewhere.say(Lane::Reliable, &chat("still here")).await.unwrap();
    assert_eq!(other.hears().await.payload, chat("still here"));
    assert!(!elsewhere.heard_more());
}

/// A session whose island is LiveKit's, and its token.
async fn explorer(edge: &Edge, wallet: &Wallet) -> (Explorer, String) {
    let mut session = Explorer::log_in(edge.http(), wallet).await;
    session.stand(HERE).await;
    let (_, string) = session.island().await;
    let (url, token) = string.strip_prefix("livekit:").unwrap().split_once("?access_token=").unwrap();
    assert_eq!(url.trim_end_matches('/'), edge.http().replacen("http", "ws", 1));
    (session, token.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_connection_of_the_same_session_is_a_reseat() {
    let variables = [&VARIABLES[..], &[("ATOLL_TRANSPORT__DEFAULT", "livekit")]].concat();
    let edge = Edge::start_with_variables(&variables).await;
    let mut native = edge.peer(Way::Quic).await;
    native.heartbeat(HERE);
    let island = native.seated(1).await;
    let who = wallet();
    let (session, string) = explorer(&edge, &who).await;
    let (_other_session, others) = explorer(&edge, &wallet()).await;
    let mut witness = Bot::join(edge.http(), &others).await;
    let mut first = Bot::join(edge.http(), &string).await;
    assert_eq!(first.identity(), who.address().to_string());
    assert_eq!(first.joined.room.as_ref().unwrap().name, island.id);
    native.seated(3).await;
    witness.among(&[native.address().to_string(), first.identity().to_owned()]).await;
    let events = native.stats();
    let second = Bot::join(edge.http(), &string).await;
    let leave = first.left().await;
    assert_ne!(leave.reason(), DisconnectReason::DuplicateIdentity);
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Disconnect, false));
    // Nobody saw it go.
    second.say(Lane::Reliable, &chat("the same seat")).await.unwrap();
    assert_eq!(native.message().await.payload, chat("the same seat"));
    assert_eq!(witness.hears().await.payload, chat("the same seat"));
    assert_eq!((native.island().members.len(), native.stats().islands), (3, events.islands));
    assert!(witness.others.contains_key(second.identity()));
    assert!(!was_told_of_leaving(&mut witness, second.identity()));
    // The end of the session is that of its seat.
    drop(session);
    native.seated(2).await;
    witness.among(&[native.address().to_string()]).await;
}

/// Whether a bot was told that somebody has gone.
fn was_told_of_leaving(bot: &mut Bot, identity: &str) -> bool {
    use livekit_protocol::participant_info::State;
    bot.signals_so_far().iter().any(|signal| match signal {
        Signal::Update(update) => {
            update.participants.iter().any(|info| info.identity == identity && info.state() == State::Disconnected)
        }
        _ => false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_socket_was_cut_goes_on_and_nobody_saw_it_go() {
    let edge = edge().await;
    let mut witness = Bot::join(edge.http(), &fresh(ROOM)).await;
    let mut bot = Bot::join(edge.http(), &fresh(ROOM)).await;
    witness.among(&[bot.identity().to_owned()]).await;
    bot.say(Lane::Reliable, &chat("before")).await.unwrap();
    assert_eq!(witness.hears().await.payload, chat("before"));
    bot.cut();
    // Data flows without signals.
    bot.say(Lane::Reliable, &chat("meanwhile")).await.unwrap();
    assert_eq!(witness.hears().await.payload, chat("meanwhile"));
    let mut late = Bot::join(edge.http(), &fresh(ROOM)).await;
    late.among(&[witness.identity().to_owned(), bot.identity().to_owned()]).await;
    bot.resume().await.unwrap();
    bot.among(&[witness.identity().to_owned(), late.identity().to_owned()]).await;
    bot.is_connected(Side::Subscriber).await;
    bot.say(Lane::Reliable, &chat("after")).await.unwrap();
    for listener in [&mut witness, &mut late] {
        assert_eq!(listener.hears().await.payload, chat("after"));
    }
    witness.say(Lane::Reliable, &chat("to who is back")).await.unwrap();
    while bot.hears().await.payload != chat("to who is back") {}
    assert!(!was_told_of_leaving(&mut witness, bot.identity()));
    // It hears of who left meanwhile.
    bot.cut();
    drop(late);
    witness.among(&[bot.identity().to_owned()]).await;
    bot.resume().await.unwrap();
    bot.among(&[witness.identity().to_owned()]).await;
    // Pings of both kinds are answered.
    bot.request(Request::Ping(7));
    bot.request(Request::PingReq(Ping { timestamp: 8, rtt: 0 }));
    bot.signal("a pong", |signal| matches!(signal, Signal::Pong(7)).then_some(())).await;
    let is_pong =
        |signal: &Signal| matches!(signal, Signal::PongResp(pong) if pong.last_ping_timestamp == 8).then_some(());
    bot.signal("another pong", is_pong).await;
}

async fn bot_of(edge: &Edge) -> Bot {
    Bot::join(edge.http(), &fresh(ROOM)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_as_nobody_is_to_begin_anew() {
    let edge = edge().await;
    let bot = bot_of(&edge).await;
    for sid in ["PA_nobody", "", bot.sid()] {
        let mut line = Line::open(edge.http(), &path_back(&fresh(ROOM), sid)).await.unwrap();
        let leave = line.leave().await;
        assert_eq!(leave.reason(), DisconnectReason::StateMismatch, "{sid}");
        assert_eq!((leave.action(), leave.can_reconnect), (Action::Reconnect, true), "{sid}");
    }
    // Whose sid was tried by another is there.
    let mut other = bot_of(&edge).await;
    bot.say(Lane::Reliable, &chat("still here")).await.unwrap();
    assert_eq!(other.hears().await.payload, chat("still here"));
}
