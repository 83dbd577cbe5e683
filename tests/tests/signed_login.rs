//! The endpoint that explorers ask with a signature for a room's connection string.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Wallet, Way, signed_fetch_text};
use atoll_core::auth::LivekitKeys;
use atoll_proto::atoll::ErrorCode;
use atoll_tests::room::Rfc5;
use atoll_tests::{Answer, Edge, ask, within};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const METADATA: &str = r#"{"origin":"https://play.example","intent":"dcl:explorer:comms-handshake","signer":"dcl:explorer","isGuest":false}"#;

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64
}

/// The headers of a request for `path` that was signed at `timestamp`.
fn signed(path: &str, timestamp: u64, metadata: &str) -> Vec<(String, String)> {
    let text = signed_fetch_text("POST", path, timestamp, metadata);
    let wallet = Wallet::random().unwrap();
    let chain: Value = serde_json::from_str(&wallet.sign(&text, SystemTime::now() + Duration::from_secs(600))).unwrap();
    let links = chain.as_array().unwrap().iter().enumerate();
    let mut headers: Vec<_> =
        links.map(|(at, link)| (format!("X-Identity-Auth-Chain-{at}"), link.to_string())).collect();
    headers.push(("X-Identity-Timestamp".to_owned(), timestamp.to_string()));
    headers.push(("X-Identity-Metadata".to_owned(), metadata.to_owned()));
    headers
}

async fn post(edge: &Edge, path: &str, headers: &[(String, String)]) -> Answer {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    ask(edge.http(), "POST", path, &headers).await
}

/// A refusal's status and words. Whatever it is, pages can read it.
async fn refused(edge: &Edge, path: &str, headers: &[(String, String)]) -> (u16, String) {
    let answer = post(edge, path, headers).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    (answer.status, body["message"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_given_the_room_once() {
    let edge = Edge::start().await;
    for path in ["/signed-login", "/comms/signed-login"] {
        let headers = signed(path, now(), METADATA);
        let answer = post(&edge, path, &headers).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "fixedAdapter": "offline:offline" })), "{path}");
        let (status, message) = refused(&edge, path, &headers).await;
        assert!(status == 401 && message.contains("works once"), "{status} {message}");
    }
    assert_eq!(edge.status().await["region"]["logins"], 0, "nobody is logged in by it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_is_the_realms_unless_it_would_lead_back_here() {
    for (configured, handed_out) in [
        ("ws-room:wss://rooms.example.org/rooms/one", "ws-room:wss://rooms.example.org/rooms/one"),
        ("signed-login:https://edge.example.org/signed-login", "offline:offline"),
    ] {
        let edge = Edge::start_configured(&format!("comms.fixed_adapter = '{configured}'")).await;
        let answer = post(&edge, "/signed-login", &signed("/signed-login", now(), METADATA)).await;
        assert_eq!(answer.json(), json!({ "fixedAdapter": handed_out }), "{configured}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_this_edge_is_given_with_a_token_to_those_it_is_open_to() {
    let edge = Edge::start_configured("[rooms]\nrules = ['world-* open', 'backstage token']\n").await;
    let mut strings = Vec::new();
    for path in ["/signed-login/world-a", "/comms/signed-login/world-a"] {
        let answer = post(&edge, path, &signed(path, now(), METADATA)).await;
        assert_eq!(answer.status, 200, "{path}");
        strings.push(answer.json()["fixedAdapter"].as_str().unwrap().to_owned());
    }
    let origin = edge.http().replace("http:", "ws:");
    assert!(strings[0].starts_with(&format!("ws-room:{origin}/rooms/world-a?access_token=")), "{}", strings[0]);
    // It lets a kernel in, which need not sign again; a native client of another address it does not.
    let mut kernel = Rfc5::by_string(edge.http(), &strings[0]).await;
    let mut other = Rfc5::by_string(edge.http(), &strings[1]).await;
    kernel.say(&b"hi"[..], false).await;
    assert_eq!(other.hears().await.1, b"hi");
    let mut native = edge.peer(Way::Quic).await;
    native.join_room(&strings[0]).unwrap();
    let refusal = within("a refusal", async {
        loop {
            if let Event::Refused { code, .. } = native.next_event().await {
                return code;
            }
        }
    });
    assert_eq!(refusal.await, ErrorCode::RoomRefused);
    for room in ["backstage", "nowhere", "a%2Fb"] {
        let path = format!("/signed-login/{room}");
        let (status, message) = refused(&edge, &path, &signed(&path, now(), METADATA)).await;
        assert!(status == 404 && message.contains("no room"), "{room} {status} {message}");
    }
    let path = "/signed-login/world-a";
    let elsewhere = signed("/signed-login/world-b", now(), METADATA);
    assert_eq!(refused(&edge, path, &elsewhere).await.0, 401, "it was signed for another room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_given_for_the_transport_that_is_asked_for() {
    const KEYS: &str = "[livekit]\napi_key = 'APItest'\napi_secret = 'the secret of this test'\n";
    const RULES: &str = "[rooms]\nrules = ['world-* open']\n";
    let path = "/signed-login/world-a";
    let livekit_room = |string: &str| {
        let (url, token) = string.strip_prefix("livekit:").unwrap().split_once("?access_token=").unwrap();
        let keys = LivekitKeys::new("APItest", "the secret of this test", None);
        let token = keys.verify(token, "world-a", now() / 1000).unwrap();
        assert!(token.address().is_ok() && token.session.is_none());
        url.to_owned()
    };
    let given = async |edge: &Edge, query: &str| {
        let answer = post(edge, &format!("{path}{query}"), &signed(path, now(), METADATA)).await;
        assert_eq!(answer.status, 200, "{query}");
        answer.json()["fixedAdapter"].as_str().unwrap().to_owned()
    };

    let edge = Edge::start_configured(&format!("{RULES}{KEYS}")).await;
    let origin = edge.http().replace("http:", "ws:");
    assert_eq!(livekit_room(&given(&edge, "?transport=livekit").await), origin);
    for query in ["", "?x=y", "?transport=ws"] {
        assert!(given(&edge, query).await.starts_with("ws-room:"), "{query}");
    }
    let (status, message) =
        refused(&edge, "/signed-login/nowhere?transport=livekit", &signed("/signed-login/nowhere", now(), METADATA))
            .await;
    assert!(status == 404 && message.contains("no room"), "{status} {message}");
    let (status, message) = refused(&edge, &format!("{path}?transport=p2p"), &signed(path, now(), METADATA)).await;
    assert_eq!((status, message.as_str()), (400, "a transport is ws or livekit"));

    let outside = "url = 'wss://livekit.example.org/x/'\n[transport]\ndefault = 'livekit'\n";
    let edge = Edge::start_configured(&format!("{RULES}{KEYS}{outside}")).await;
    assert_eq!(livekit_room(&given(&edge, "").await), "wss://livekit.example.org/x");
    assert!(given(&edge, "?transport=ws").await.starts_with("ws-room:"));

    let edge = Edge::start_configured(&format!("{RULES}{KEYS}enabled = false\n")).await;
    let (status, message) = refused(&edge, &format!("{path}?transport=livekit"), &signed(path, now(), METADATA)).await;
    assert!(status == 404 && message.contains("LiveKit"), "{status} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_nothing_is_refused_with_the_reason() {
    let edge = Edge::start().await;
    let path = "/signed-login";
    let good = signed(path, now(), METADATA);
    let changed = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.extend((!value.is_empty()).then(|| (name.to_owned(), value.to_owned())));
        headers
    };
    let scene = METADATA.replace("dcl:explorer\"", "decentraland-kernel-scene\"");
    let other_server = METADATA.replace("{", r#"{"server":"other","#);
    let moved = changed("x-identity-timestamp", &(now() + 1).to_string());
    for (headers, status, reason) in [
        (Vec::new(), 400, "x-identity-auth-chain-<n> is missing"),
        (changed("x-identity-timestamp", ""), 400, "x-identity-timestamp is missing"),
        (changed("x-identity-timestamp", "soon"), 400, "cannot be read"),
        (changed("x-identity-metadata", ""), 400, "x-identity-metadata is missing"),
        (changed("x-identity-auth-chain-0", "{"), 400, "not JSON"),
        (changed("x-identity-auth-chain-1", r#"{"type":"SIGNER"}"#), 400, "SIGNER is first"),
        (changed("x-identity-auth-chain-2", &"x".repeat(17_000)), 431, "too large"),
        (moved, 401, "another authority"),
        (signed("/comms/signed-login", now(), METADATA), 401, "another authority"),
        (signed(path, now() - 61_000, METADATA), 401, "too long before"),
        (signed(path, now() + 120_000, METADATA), 401, "too long after"),
        (signed(path, now(), &scene), 403, "signer"),
        (signed(path, now(), &METADATA.replace("handshake", "other")), 403, "intent"),
        (signed(path, now(), "{}"), 403, "intent"),
        (signed(path, now(), &other_server), 401, "another server"),
    ] {
        let (said, message) = refused(&edge, path, &headers).await;
        assert!(said == status && message.contains(reason), "{said} {message}; not {status} {reason}");
    }
    let many: Vec<_> = (0..9).map(|link| (format!("x-identity-auth-chain-{link}"), "{}".to_owned())).collect();
    assert_eq!(refused(&edge, path, &many).await.0, 431);
    // Nothing of this has used it up.
    assert_eq!(post(&edge, path, &good).await.status, 200);

    let get = ask(edge.http(), "GET", path, &[]).await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert!(get.json()["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_not_let_in() {
    let edge = Edge::start_configured("allowed_origins = ['https://play.example']").await;
    let path = "/signed-login";
    for (origin, status) in [("https://evil.example", 403), ("https://play.example", 200)] {
        let mut headers = signed(path, now(), METADATA);
        headers.push(("origin".to_owned(), origin.to_owned()));
        assert_eq!(post(&edge, path, &headers).await.status, status, "{origin}");
    }
}
