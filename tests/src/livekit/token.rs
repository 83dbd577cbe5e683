//! Tokens of LiveKit, made by hand.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The API key of edges under test.
pub const API_KEY: &str = "APIofTests";

/// Its secret.
pub const API_SECRET: &str = "a secret of LiveKit's for tests alone";

/// Variables of an edge's environment: it takes tokens of [`token`], and lets others into rooms `world-…` without one.
pub const VARIABLES: [(&str, &str); 3] = [
    ("ATOLL_LIVEKIT__API_KEY", API_KEY),
    ("ATOLL_LIVEKIT__API_SECRET", API_SECRET),
    ("ATOLL_ROOMS__RULES", "world-* open"),
];

/// A token that lets `identity` into `room` for five minutes; `grants` are added to its video grants.
pub fn token(room: &str, identity: &str, grants: Value) -> String {
    signed(&claims(room, identity, grants), API_SECRET)
}

/// What such a token says.
pub fn claims(room: &str, identity: &str, grants: Value) -> Value {
    let mut video = json!({ "roomJoin": true, "room": room });
    if let (Some(video), Value::Object(grants)) = (video.as_object_mut(), grants) {
        video.extend(grants);
    }
    json!({ "iss": API_KEY, "sub": identity, "nbf": 0, "exp": now() + 300, "video": video })
}

/// A token of these claims, signed with HS256.
pub fn signed(claims: &Value, secret: &str) -> String {
    let head = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!("{head}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = BASE64URL_NOPAD.encode(hmac::sign(&key, text.as_bytes()).as_ref());
    format!("{text}.{signature}")
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
