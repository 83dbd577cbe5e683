//! Who may ask over HTTP, how often, and from which page.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Way;
use atoll_tests::{Answer, Edge, ask, ask_from};
use std::net::Ipv4Addr;

/// Fewer requests than the tests make in any case: a second brings one more.
const STRICT: &str = "[limits]\nhttp_rate = 1\nhttp_burst = 20\n";

const LAPTOP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

async fn get(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_from(LAPTOP, edge.http(), "GET", path, headers).await
}

/// How many of `count` requests are answered, and the last answer.
async fn answered(edge: &Edge, count: usize, path: &str, headers: &[(&str, &str)]) -> (usize, Answer) {
    let (mut answered, mut last) = (0, None);
    for _ in 0..count {
        let answer = get(edge, path, headers).await;
        answered += usize::from(answer.status == 200);
        last = Some(answer);
    }
    (answered, last.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_that_every_path_may_be_asked() {
    let edge = Edge::start().await;
    for path in ["/about", "/peers", "/comms/islands/x", "/signed-login", "/rpc", "/atoll/ws", "/nowhere", "/"] {
        let wanted = "x-identity-timestamp,x-identity-metadata";
        let headers = [
            ("origin", "https://play.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", wanted),
        ];
        let answer = ask(edge.http(), "OPTIONS", path, &headers).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET,HEAD,POST"));
        assert_eq!(answer.header("access-control-allow-headers"), Some(wanted));
        assert_eq!(answer.header("access-control-max-age"), Some("36000"));
        assert_eq!(answer.header("access-control-allow-credentials"), None, "no cookie is used");
    }
    for (method, path, status) in [
        ("GET", "/about", 200),
        ("HEAD", "/about", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/peers/0x0", 404),
        ("POST", "/about", 405),
        ("POST", "/signed-login", 400),
        ("GET", "/rpc", 426),
    ] {
        let answer = ask(edge.http(), method, path, &[("origin", "https://play.example")]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_told_when_to_come_again() {
    let edge = Edge::start_configured(STRICT).await;
    let (about, refused) = answered(&edge, 40, "/about", &[("origin", "https://play.example")]).await;
    // As many seconds as this takes bring one more each.
    assert!((20..40).contains(&about), "{about}");
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert!(refused.json()["message"].as_str().unwrap().contains("too many requests"));
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "a page can read it");
    assert_eq!(refused.header("access-control-expose-headers"), Some("retry-after"));
    // Health checks are not counted, nor others' requests, nor what browsers ask before.
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(answered(&edge, 40, path, &[]).await.0, 40, "{path}");
    }
    assert_eq!(ask_from(LAPTOP, edge.http(), "OPTIONS", "/about", &[]).await.status, 204);
    let other = Ipv4Addr::new(127, 0, 0, 8);
    assert_eq!(ask_from(other, edge.http(), "GET", "/about", &[]).await.status, 200);
    let metrics = ask_from(other, edge.http(), "GET", "/metrics", &[]).await.body;
    let limited: usize =
        metrics.lines().find_map(|line| line.strip_prefix("atoll_http_limited_total ")).unwrap().parse().unwrap();
    assert!((1..=20).contains(&limited), "{limited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_signatures_cost_ten_and_websockets_nothing() {
    let edge = Edge::start_configured(STRICT).await;
    let (lists, refused) = answered(&edge, 12, "/comms/peers", &[]).await;
    assert!((2..4).contains(&lists) && refused.status == 429, "{lists} {refused:?}");
    let answer = ask_from(LAPTOP, edge.http(), "POST", "/signed-login", &[]).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    // From this machine's usual address: all that it may is used up, but not its way in.
    for _ in 0..30 {
        ask(edge.http(), "GET", "/peers", &[]).await;
    }
    assert_eq!(ask(edge.http(), "GET", "/peers", &[]).await.status, 429);
    for _ in 0..3 {
        edge.peer(Way::WebSocket).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_clients_are_counted_and_networks_of_ipv6_as_one() {
    let edge = Edge::start_configured(&format!("trusted_proxies = ['{LAPTOP}']\n{STRICT}")).await;
    let through = |client: &'static str| [("x-forwarded-for", client)];
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        let (about, refused) = answered(&edge, 40, "/about", &through(client)).await;
        assert!((20..40).contains(&about) && refused.status == 429, "{client}: {about}");
    }
    assert_eq!(get(&edge, "/about", &through("2001:db8::ffff:2")).await.status, 429, "the same 64 bits");
    assert_eq!(get(&edge, "/about", &through("2001:db8:0:1::1")).await.status, 200);
    assert_eq!(get(&edge, "/about", &[]).await.status, 200, "the proxy itself");
    // Who is no proxy cannot write itself another address.
    let edge = Edge::start_configured(STRICT).await;
    answered(&edge, 40, "/about", &through("192.0.2.1")).await;
    assert_eq!(get(&edge, "/about", &through("192.0.2.2")).await.status, 429);
}
