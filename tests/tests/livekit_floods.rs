//! LiveKit's clients that send more than their share, or do not take what they are sent.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_tests::livekit::{Bot, Ear, Entrance, Lane, VARIABLES, token};
use atoll_tests::room::Rfc5;
use atoll_tests::{Edge, chat, position, within};
use livekit_protocol::leave_request::Action;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROOM: &str = "world-a";

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

fn fresh() -> String {
    token(ROOM, &Wallet::random().unwrap().address().to_string(), json!({}))
}

async fn kernel(edge: &Edge) -> Rfc5 {
    Rfc5::signed_in(edge.http(), ROOM, &Wallet::random().unwrap()).await
}

/// One kernel says something to another, in time.
async fn talk(speaker: &mut Rfc5, listener: &mut Rfc5, words: &str) {
    let began = Instant::now();
    speaker.say(chat(words).to_vec(), false).await;
    within(words, async { while listener.hears().await.1 != chat(words) {} }).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?} for {words}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_reliable_data_than_may_wait_ends_its_sender() {
    let edge = edge().await;
    let who = Wallet::random().unwrap();
    let (mut speaker, mut listener) = (kernel(&edge).await, Rfc5::signed_in(edge.http(), ROOM, &who).await);
    let name = who.address().to_string();
    let mut flooder = Bot::join(edge.http(), &fresh()).await;
    let much = vec![7; 15_000];
    let before = edge.memory();
    // 2 MiB at once are allowed, and 2 MiB may wait.
    for _ in 0..600 {
        if flooder.say(Lane::Reliable, &much).await.is_err() {
            break;
        }
    }
    talk(&mut speaker, &mut listener, "beside a flood").await;
    let leave = flooder.left().await;
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Disconnect, false), "{leave:?}");
    talk(&mut speaker, &mut listener, "after a flood").await;
    speaker.among(&[name]).await;
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 48, "{grown} MiB for 9 MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_what_may_be_lost_is_lost_and_nothing_else() {
    let edge = edge().await;
    let (mut speaker, mut listener) = (kernel(&edge).await, kernel(&edge).await);
    let flooder = Bot::join(edge.http(), &fresh()).await;
    let mut witness = Bot::join(edge.http(), &fresh()).await;
    let before = edge.memory();
    for number in 0..20_000_u32 {
        let payload = if number % 2 == 0 { position(1.0, 2.0, number) } else { chat("noise") };
        flooder.say(Lane::Lossy, &payload).await.unwrap();
        if number % 5000 == 0 {
            talk(&mut speaker, &mut listener, &format!("in a flood, {number}")).await;
        }
    }
    talk(&mut speaker, &mut listener, "after a flood").await;
    within("the same by LiveKit", async { while witness.hears().await.payload != chat("after a flood") {} }).await;
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 48, "{grown} MiB for a flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_its_data_is_sent_away_and_the_others_get_all() {
    const SIZE: usize = 15_000;
    const MESSAGES: usize = 130;
    const SPEAKERS: usize = 7;
    let edge = edge().await;
    let mut listener = kernel(&edge).await;
    let deaf = Entrance { takes_data: false, ..Entrance::default() };
    let mut stubborn = Bot::join_by(edge.http(), &fresh(), deaf).await;
    // Almost 2 MiB each, which they may say at once, one after the other: 13 MB, of
    // which 4 MiB may wait for one, and as much or a little more be on its way.
    let before = edge.memory();
    for _ in 0..SPEAKERS {
        let ear: Option<Ear> = Some(Arc::new(|_, _| {}));
        let speaker = Bot::join_by(edge.http(), &fresh(), Entrance { ear, ..Entrance::default() }).await;
        for _ in 0..MESSAGES {
            speaker.say(Lane::Reliable, &[7; SIZE]).await.unwrap();
        }
        for _ in 0..MESSAGES {
            assert_eq!(listener.hears().await.1.len(), SIZE);
        }
    }
    let leave = stubborn.left().await;
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Reconnect, true));
    let mut speaker = kernel(&edge).await;
    talk(&mut speaker, &mut listener, "without it").await;
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 64, "{grown} MiB for one who does not take its data");
}
