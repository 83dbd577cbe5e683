//! LiveKit's clients that send more than their share, or do not take what they are sent.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_tests::livekit::{Bot, Ear, Entrance, Lane, Line, VARIABLES, path_back, token};
use atoll_tests::room::Rfc5;
use atoll_tests::{Edge, chat, eventually, position, within};
use livekit_protocol::data_packet::Value;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{ChatMessage, DataPacket};
use serde_json::json;
use std::sync::Arc;

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

/// One kernel says something to another.
async fn talk(speaker: &mut Rfc5, listener: &mut Rfc5, words: &str) {
    speaker.say(chat(words).to_vec(), false).await;
    within(words, async { while listener.hears().await.1 != chat(words) {} }).await;
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
    // 2 MiB at once are allowed, and 2 MiB may wait: while those come, the others talk.
    for _ in 0..200 {
        flooder.say(Lane::Reliable, &much).await.unwrap();
    }
    talk(&mut speaker, &mut listener, "beside a flood").await;
    // It goes on until it is sent away.
    within("the end of the flood", async { while flooder.say(Lane::Reliable, &much).await.is_ok() {} }).await;
    let leave = flooder.left().await;
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Disconnect, false), "{leave:?}");
    talk(&mut speaker, &mut listener, "after a flood").await;
    speaker.among(&[name]).await;
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 48, "{grown} MiB for a flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_only_livekit_understands_costs_its_sender_alone() {
    let edge = edge().await;
    let (mut speaker, mut listener) = (kernel(&edge).await, kernel(&edge).await);
    let mut witness = Bot::join(edge.http(), &fresh()).await;
    let mut flooder = Bot::join(edge.http(), &fresh()).await;
    let before = edge.memory();
    let value = ChatMessage { message: "x".repeat(15_000), ..Default::default() };
    let much = DataPacket { value: Some(Value::ChatMessage(value)), ..Default::default() };
    // Lossy, most of it is lost; the rest fills what the sender may say at once.
    for _ in 0..400 {
        flooder.send(Lane::Lossy, &much).await.unwrap();
    }
    talk(&mut speaker, &mut listener, "beside a flood").await;
    within("the same by LiveKit", async {
        while !matches!(witness.packet().await.1.value, Some(Value::User(user)) if user.payload == chat("beside a flood")) {}
    })
    .await;
    eventually("some of it was refused", || async {
        (edge.status().await["kernels"]["ws_room_packets"]["refused"].as_u64()? > 0).then_some(())
    })
    .await;
    // Reliable, it waits, until its sender has more waiting than it may.
    within("the end of the flood", async { while flooder.send(Lane::Reliable, &much).await.is_ok() {} }).await;
    let leave = flooder.left().await;
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Disconnect, false), "{leave:?}");
    talk(&mut speaker, &mut listener, "after a flood").await;
    witness.say(Lane::Reliable, &chat("unharmed")).await.unwrap();
    within("an unharmed witness", async { while listener.hears().await.1 != chat("unharmed") {} }).await;
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 48, "{grown} MiB for a flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_what_may_be_lost_is_lost_and_nothing_else() {
    let edge = edge().await;
    let (mut speaker, mut listener) = (kernel(&edge).await, kernel(&edge).await);
    let flooder = Bot::join(edge.http(), &fresh()).await;
    let mut witness = Bot::join(edge.http(), &fresh()).await;
    let before = edge.memory();
    for number in 0..8000_u32 {
        let payload = if number % 2 == 0 { position(1.0, 2.0, number) } else { chat("noise") };
        flooder.say(Lane::Lossy, &payload).await.unwrap();
        if number % 2000 == 0 {
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
    const SIZE: usize = 4000;
    const MESSAGES: usize = 450;
    /// What they say is three times as much as the edge and the one who does not take it hold together.
    const SPEAKERS: usize = 12;
    let edge = edge().await;
    let mut listener = kernel(&edge).await;
    let deaf = Entrance { takes_data: false, ..Entrance::default() };
    let token = fresh();
    let mut stubborn = Bot::join_by(edge.http(), &token, deaf).await;
    let before = edge.memory();
    // Almost the 2 MiB that each may say at once, one after the other, until more than 4 MiB wait for one.
    let mut speakers = 0;
    while !stubborn.has_ended() {
        assert!(speakers < SPEAKERS, "it is still there");
        speakers += 1;
        let ear: Option<Ear> = Some(Arc::new(|_, _| {}));
        let speaker = Bot::join_by(edge.http(), &fresh(), Entrance { ear, ..Entrance::default() }).await;
        let speaking = async {
            for _ in 0..MESSAGES {
                speaker.say(Lane::Reliable, &[7; SIZE]).await.unwrap();
            }
        };
        let hearing = async {
            for _ in 0..MESSAGES {
                assert_eq!(listener.hears().await.1.len(), SIZE);
            }
        };
        tokio::join!(speaking, hearing);
    }
    eventually("it was too slow", || async {
        (edge.status().await["kernels"]["livekit"]["closed"]["too_slow"] == 1).then_some(())
    })
    .await;
    // Its seat is gone: when it comes back as who it was, it is to begin anew.
    let leave = Line::open(edge.http(), &path_back(&token, stubborn.sid())).await.unwrap().leave().await;
    assert_eq!((leave.action(), leave.can_reconnect), (Action::Reconnect, true));
    let mut speaker = kernel(&edge).await;
    talk(&mut speaker, &mut listener, "without it").await;
    let grown = edge.memory().saturating_sub(before) >> 20;
    assert!(grown < 64, "{grown} MiB for one who does not take its data");
}
