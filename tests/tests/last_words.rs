//! What a kernel said last is heard, however its connection ends: broken, taken over, or with its session.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Position, Wallet, Way};
use atoll_tests::room::{Explorer, Rfc5};
use atoll_tests::{Edge, Peer, chat};
use bytes::Bytes;

const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };

/// Each of them is a race that the last words could lose.
const ROUNDS: usize = 40;

async fn hears(peer: &mut Peer, text: &Bytes) {
    while peer.message().await.payload != *text {}
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_connection_is_reset() {
    let edge = Edge::start_configured("[rooms]\nrules = [\"world-* open\"]\n").await;
    let mut witness = edge.peer(Way::Quic).await;
    witness.join_room("quic:world-a").unwrap();
    witness.seated(1).await;
    for round in 0..ROUNDS {
        let wallet = Wallet::random().unwrap();
        let mut speaker = Rfc5::signed_in(edge.http(), "world-a", &wallet).await;
        let mut reader = Rfc5::signed_in(edge.http(), "world-a", &Wallet::random().unwrap()).await;
        // What a client has not read when it goes makes its system reset the connection.
        witness.send_ordered(chat("unread")).unwrap();
        while reader.hears().await.1 != chat("unread") {}
        let last = chat(&format!("last words {round}"));
        speaker.say(last.to_vec(), false).await;
        drop(speaker);
        hears(&mut witness, &last).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_another_connection_takes_the_seat_or_the_session_ends() {
    let edge = Edge::start().await;
    let mut witness = edge.peer(Way::WebTransport).await;
    witness.heartbeat(HERE);
    witness.seated(1).await;
    for round in 0..ROUNDS {
        let mut session = Explorer::log_in(edge.http(), &Wallet::random().unwrap()).await;
        session.stand(HERE).await;
        let (_, string) = session.island().await;
        let mut first = Rfc5::by_string(edge.http(), &string).await;
        let last = chat(&format!("before the reseat {round}"));
        first.say(last.to_vec(), false).await;
        let mut second = Rfc5::by_string(edge.http(), &string).await;
        hears(&mut witness, &last).await;
        let last = chat(&format!("before the end {round}"));
        second.say(last.to_vec(), false).await;
        drop(session);
        hears(&mut witness, &last).await;
    }
}
