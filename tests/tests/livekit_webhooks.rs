//! Programs that are told who comes to rooms and goes, and receivers that do not listen.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Wallet, Way};
use atoll_tests::livekit::{API_KEY, API_SECRET, Api, Bot, VARIABLES, now, signed, token};
use atoll_tests::{Asked, Edge, Upstream, eventually};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ROOM: &str = "world-a";
const HOOK: &str = "POST /hook";

async fn edge(urls: &str) -> Edge {
    // Programs of one address may not call as fast as these tests do.
    let more = [("ATOLL_LIVEKIT__WEBHOOK_URLS", urls), ("ATOLL_LIMITS__HTTP_BURST", "100000")];
    Edge::start_with_variables(&[&VARIABLES[..], &more].concat()).await
}

/// The events of named rooms so far: the name, and whose it is.
fn events(upstream: &Upstream) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let asked = upstream.asked(HOOK).into_iter().filter(|asked| asked.body["room"]["name"] == ROOM);
    asked.map(|Asked { body, .. }| (text(&body["event"]), text(&body["participant"]["identity"]))).collect()
}

/// Whether an event is signed as LiveKit signs: a token of the key, with the hash of the body in it.
fn is_signed(asked: &Asked) -> bool {
    let (text, signature) = asked.header("authorization").unwrap().rsplit_once('.').unwrap();
    let claims = text.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap();
    let hash = BASE64.encode(digest(&SHA256, &asked.bytes).as_ref());
    let key = hmac::Key::new(hmac::HMAC_SHA256, API_SECRET.as_bytes());
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let holds = hmac::verify(&key, text.as_bytes(), &signature).is_ok() && claims["exp"].as_u64().unwrap() > now();
    holds && claims["sha256"] == hash && claims["iss"] == API_KEY
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_a_room_is_told_once_and_in_order() {
    let upstream = Upstream::start().await;
    upstream.answer(HOOK, 200, &Value::Null);
    let edge = edge(&format!("{}/hook", upstream.url())).await;
    let identity = Wallet::random().unwrap().address().to_string();
    let claims = json!({ "iss": API_KEY, "sub": identity, "exp": now() + 300, "name": "Ann", "metadata": "m",
        "video": { "roomJoin": true, "room": ROOM } });
    let bot = Bot::join(edge.http(), &signed(&claims, API_SECRET)).await;
    let mut peer = edge.peer(Way::WebTransport).await;
    peer.join_room(&format!("quic:{ROOM}")).unwrap();
    peer.seated(2).await;
    let native = peer.address().to_string();
    let hidden = Wallet::random().unwrap().address().to_string();
    let witness = Bot::join(edge.http(), &token(ROOM, &hidden, json!({ "hidden": true }))).await;
    drop(witness);
    bot.leave();
    peer.seated(1).await;
    drop(peer);
    let expected = [
        ("room_started", ""),
        ("participant_joined", identity.as_str()),
        ("participant_joined", native.as_str()),
        ("participant_left", identity.as_str()),
        ("participant_left", native.as_str()),
        ("room_finished", ""),
    ];
    let expected = expected.map(|(event, identity)| (event.to_owned(), identity.to_owned()));
    eventually("all events", || async { (events(&upstream).len() >= expected.len()).then_some(()) }).await;
    assert_eq!(events(&upstream), expected);
    let asked = upstream.asked(HOOK);
    assert!(asked.iter().all(is_signed));
    assert!(asked.iter().all(|asked| asked.header("content-type") == Some("application/webhook+json")));
    let ids: std::collections::BTreeSet<String> = asked.iter().map(|asked| asked.body["id"].to_string()).collect();
    assert_eq!(ids.len(), asked.len());
    let joined = asked.iter().find(|asked| asked.body["participant"]["identity"] == identity.as_str()).unwrap();
    let participant = &joined.body["participant"];
    assert_eq!((&participant["name"], &participant["metadata"]), (&json!("Ann"), &json!("m")));
    assert_eq!(participant["sid"].as_str().unwrap(), bot.sid());
    assert_eq!(joined.body["room"]["numParticipants"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_room_begins_and_ends_without_anybody_and_a_failure_is_tried_again() {
    let upstream = Upstream::start().await;
    upstream.answer(HOOK, 503, &Value::Null);
    let edge = edge(&format!("{}/hook", upstream.url())).await;
    let api = Api::granted(edge.http(), json!({ "roomCreate": true }));
    api.does("CreateRoom", json!({ "name": ROOM, "metadata": "m" })).await;
    eventually("two tries", || async { (events(&upstream).len() >= 2).then_some(()) }).await;
    upstream.answer(HOOK, 200, &Value::Null);
    api.does("DeleteRoom", json!({ "room": ROOM })).await;
    let last = || async { events(&upstream).last().filter(|(event, _)| event == "room_finished").map(|_| ()) };
    eventually("the end of the room", last).await;
    // One that nobody enters ends by itself.
    api.does("CreateRoom", json!({ "name": ROOM, "emptyTimeout": 1 })).await;
    let ends = || async {
        (events(&upstream).iter().filter(|(event, _)| event == "room_finished").count() == 2).then_some(())
    };
    eventually("the end of an empty room", ends).await;
    let (_, page) = edge.get("/metrics").await;
    assert!(page.contains("atoll_livekit_webhooks_total{outcome=\"delivered\"} 4"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_or_are_away_cost_nobody_else_anything() {
    let upstream = Upstream::start().await;
    upstream.answer(HOOK, 200, &Value::Null);
    // It takes connections, and says nothing; the other is nobody's.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (hangs, gone) = (hanging.local_addr().unwrap(), away.local_addr().unwrap());
    drop(away);
    let edge = edge(&format!("http://{hangs}/hook,http://{gone}/hook,{}/hook", upstream.url())).await;
    let api = Api::granted(edge.http(), json!({ "roomCreate": true }));
    for _ in 0..600 {
        api.does("CreateRoom", json!({ "name": ROOM })).await;
        api.does("DeleteRoom", json!({ "room": ROOM })).await;
    }
    eventually("all events", || async { (events(&upstream).len() == 1200).then_some(()) }).await;
    let bot = Bot::join(edge.http(), &token(ROOM, &Wallet::random().unwrap().address().to_string(), json!({}))).await;
    assert!(bot.sid().starts_with("PA_"));
    let status = edge.status().await;
    let shed = status["kernels"]["livekit_api"]["webhooks_shed"].as_u64().unwrap();
    assert!(shed >= 2 * (1200 - 1026), "{status}");
    drop(hanging);
}
