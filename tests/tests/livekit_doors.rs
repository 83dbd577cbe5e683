//! Who LiveKit's door lets in, and what it says to the others.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_core::auth::LivekitKeys;
use atoll_tests::livekit::{API_KEY, API_SECRET, Bot, Line, VARIABLES, claims, now, path, signed, status_of, token};
use atoll_tests::{Answer, Edge, ask};
use serde_json::{Value, json};

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

fn identity() -> String {
    Wallet::random().unwrap().address().to_string()
}

async fn validate(edge: &Edge, path: &str, token: &str) -> Answer {
    let separator = if path.contains('?') { '&' } else { '?' };
    ask(edge.http(), "GET", &format!("{path}{separator}access_token={token}"), &[]).await
}

/// The status of an upgrade that is refused.
async fn refused(edge: &Edge, path: &str) -> u16 {
    let Err(error) = Line::open(edge.http(), path).await else { panic!("{path} was let in") };
    status_of(&error).unwrap_or_else(|| panic!("an HTTP answer: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_not_let_in_hears_why() {
    let edge = edge().await;
    let good = token("world-a", &identity(), json!({}));
    let wrong = signed(&claims("world-a", &identity(), json!({})), "another secret of sixteen bytes");
    let nobody = token("world-a", "nobody", json!({}));
    for door in ["/rtc", "/rtc/v1"] {
        let door = format!("{door}/validate");
        for (token, status) in [(&good, 200), (&wrong, 401), (&nobody, 403)] {
            let answer = validate(&edge, &door, token).await;
            assert_eq!(answer.status, status, "{door}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{door}: {answer:?}");
            assert!(!answer.body.is_empty(), "{door}: words for whoever looks");
        }
        let answer = ask(edge.http(), "GET", &door, &[]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some("*")));
        // As LiveKit's clients in Rust bring it.
        let header = format!("Bearer {good}");
        assert_eq!(ask(edge.http(), "GET", &door, &[("authorization", &header)]).await.status, 200);
    }
    // Rules of rooms are for those without a token.
    let elsewhere = token("of-no-rule", &identity(), json!({}));
    assert_eq!(validate(&edge, "/rtc/validate", &elsewhere).await.status, 200);
    let nowhere = token("no/room", &identity(), json!({}));
    assert_eq!(validate(&edge, "/rtc/validate", &nowhere).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_request_that_cannot_be_read_is_a_bad_request() {
    let edge = edge().await;
    let token = token("world-a", &identity(), json!({}));
    let huge = "A".repeat(40_000);
    for join_request in ["%%%", "not base64 !".replace(' ', "+").as_str(), "____", "CAESBA", huge.as_str()] {
        let path = format!("/rtc/v1?access_token={token}&join_request={join_request}");
        let status = refused(&edge, &path).await;
        assert!(matches!(status, 400 | 414 | 431), "{status} for {} characters", join_request.len());
    }
    assert_eq!(refused(&edge, &format!("/rtc/v1?access_token={token}")).await, 400);
    // And the next client is let in.
    Bot::join(edge.http(), &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_every_bad_kind_stay_outside() {
    let edge = edge().await;
    let who = identity();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims("world-a", &who, json!({}));
        change(&mut claims);
        signed(&claims, API_SECRET)
    };
    let good = with(&|_| {});
    let mut forged = good.clone();
    forged.replace_range(good.rfind('.').unwrap() + 1.., "AAAA");
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    let unauthorized = [
        String::new(),
        "nonsense".to_owned(),
        "a.b.c".to_owned(),
        "e".repeat(9000),
        forged,
        unsigned,
        signed(&claims("world-a", &who, json!({})), "another secret of sixteen bytes"),
        with(&|claims| claims["exp"] = json!(now() - 3600)),
        with(&|claims| claims["nbf"] = json!(now() + 3600)),
        with(&|claims| claims["iss"] = json!("another")),
        with(&|claims| claims["exp"] = json!("soon")),
    ];
    for token in &unauthorized {
        assert_eq!(refused(&edge, &path(token)).await, 401, "{token}");
    }
    let forbidden = [
        with(&|claims| claims["video"] = json!({})),
        with(&|claims| claims["video"]["roomJoin"] = json!(false)),
        with(&|claims| claims["video"]["room"] = json!("")),
        with(&|claims| claims["video"]["room"] = json!("no/room")),
        with(&|claims| claims["sub"] = json!("")),
        with(&|claims| claims["sub"] = json!("0x1234")),
    ];
    for token in &forbidden {
        assert_eq!(refused(&edge, &path(token)).await, 403, "{token}");
    }
    let refused = edge.status().await["kernels"]["livekit"].clone();
    assert_eq!(refused["logins"], 0, "{refused}");

    // One that archipelago would have made is as good as one by hand.
    let keys = LivekitKeys::new(API_KEY, API_SECRET, None);
    let minted = keys.mint("world-a", who.parse().unwrap(), None, now()).unwrap();
    let bot = Bot::join(edge.http(), &minted).await;
    assert_eq!(bot.identity(), who);
    assert!(bot.sid().starts_with("PA_"));
    assert_eq!(bot.joined.room.as_ref().map(|room| room.name.as_str()), Some("world-a"));
}
