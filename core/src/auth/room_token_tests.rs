use super::*;
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;
const URL: &str = "wss://edge.example.org/base/rooms/I1";

fn address() -> Address {
    "0x7f40c139686518b7d06de6207690577c9d6c0c26".parse().unwrap()
}

fn keys() -> RoomKeys {
    RoomKeys::new(b"the first secret", None)
}

/// A token with these claims, signed as told.
fn signed(algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(b"the first secret")).unwrap()
}

fn with(claims: &Value) -> Result<RoomToken, RoomTokenError> {
    keys().verify(&signed(Algorithm::HS256, claims), "I1", NOW)
}

#[test]
fn ours_hold_for_their_room_and_their_time() {
    let token = keys().mint(URL, address(), Some(SessionId(7)), NOW).unwrap();
    let expected = RoomToken { address: address(), session: Some(SessionId(7)) };
    assert_eq!(keys().verify(&token, "I1", NOW), Ok(expected));
    assert_eq!(keys().verify(&token, "I1", NOW + ROOM_TOKEN_SECONDS - 1), Ok(expected));
    assert_eq!(keys().verify(&token, "I1", NOW + ROOM_TOKEN_SECONDS), Err(RoomTokenError::Expired));
    assert_eq!(keys().verify(&token, "I1", NOW - 1000), Err(RoomTokenError::NotNow));
    assert_eq!(keys().verify(&token, "I2", NOW), Err(RoomTokenError::OtherRoom));
    let without = keys().mint(URL, address(), None, NOW).unwrap();
    assert_eq!(keys().verify(&without, "I1", NOW).unwrap().session, None);
}

#[test]
fn the_former_key_is_taken_and_not_used() {
    let old = keys().mint(URL, address(), None, NOW).unwrap();
    let rotated = RoomKeys::new(b"another secret", Some(b"the first secret"));
    assert!(rotated.verify(&old, "I1", NOW).is_ok());
    let new = rotated.mint(URL, address(), None, NOW).unwrap();
    assert!(rotated.verify(&new, "I1", NOW).is_ok());
    assert_eq!(keys().verify(&new, "I1", NOW), Err(RoomTokenError::Signature));
    let third = RoomKeys::new(b"a third secret", Some(b"another secret"));
    assert_eq!(third.verify(&old, "I1", NOW), Err(RoomTokenError::Signature));
    assert!(!format!("{rotated:?}").contains("secret"));
}

#[test]
fn only_hs256_is_a_signature() {
    let claims = json!({ "peerId": address().to_string(), "aud": URL, "iat": NOW });
    assert!(keys().verify(&signed(Algorithm::HS256, &claims), "I1", NOW).is_ok());
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(keys().verify(&signed(algorithm, &claims), "I1", NOW), Err(RoomTokenError::Algorithm));
    }
    let good = signed(Algorithm::HS256, &claims);
    let (_, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"NONE"}, and {"alg":"none","typ":"JWT"}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOT05FIn0", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"] {
        for forged in [format!("{header}.{body}."), format!("{header}.{body}.{signature}")] {
            assert_eq!(keys().verify(&forged, "I1", NOW), Err(RoomTokenError::Algorithm), "{forged}");
        }
    }
    for broken in ["", ".", "..", "a.b.c", &good[..good.len() - 40], &"x".repeat(MAX_TOKEN + 1)] {
        let error = keys().verify(broken, "I1", NOW).unwrap_err();
        assert!(matches!(error, RoomTokenError::Malformed | RoomTokenError::Signature), "{broken}: {error}");
    }
}

#[test]
fn one_without_an_end_holds_for_a_day() {
    let made = |ago: i64| {
        let iat = NOW.cast_signed() - ago;
        with(&json!({ "peerId": address().to_string(), "aud": URL, "iat": iat }))
    };
    assert!(made(0).is_ok() && made(-60).is_ok() && made(24 * 3600 - 1).is_ok());
    assert_eq!(made(24 * 3600), Err(RoomTokenError::Expired));
    assert_eq!(made(-3600), Err(RoomTokenError::NotNow));
    let times = |times: Value| {
        let mut claims = json!({ "peerId": address().to_string(), "aud": URL });
        claims.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        with(&claims)
    };
    assert_eq!(times(json!({})), Err(RoomTokenError::NotNow));
    assert!(times(json!({ "exp": NOW + 1, "iat": 0 })).is_ok(), "its end counts if it has one");
    assert_eq!(times(json!({ "exp": NOW, "iat": NOW })), Err(RoomTokenError::Expired));
    assert_eq!(times(json!({ "exp": NOW + 1000, "nbf": NOW + 900 })), Err(RoomTokenError::NotNow));
    for odd in [json!("soon"), json!(true), json!([1])] {
        assert_eq!(times(json!({ "exp": odd })), Err(RoomTokenError::Malformed));
    }
}

#[test]
fn the_audience_is_a_rooms_url() {
    let of = |aud: Value| with(&json!({ "peerId": address().to_string(), "aud": aud, "iat": NOW }));
    for good in [
        "wss://a/rooms/I1",
        "https://b:1/x/y/rooms/I1?access_token=z",
        "ws://c/ws-rooms/I1#d",
        "/rooms/I1",
        "wss://a/rooms/%491",
    ] {
        assert!(of(json!(good)).is_ok(), "{good}");
    }
    assert!(of(json!(["x", "wss://a/rooms/I1"])).is_ok());
    for bad in [
        "",
        "I1",
        "wss://rooms/I1",
        "wss://a/rooms/I12",
        "wss://a/rooms/i1",
        "wss://a/rooms/I1/",
        "wss://a/x/I1",
        "wss://a/rooms?x=/rooms/I1",
        "wss://a/rooms/%4",
        "wss://a/ws-rooms",
        "wss://a/rooms//I1",
    ] {
        assert_eq!(of(json!(bad)), Err(RoomTokenError::OtherRoom), "{bad}");
    }
    assert_eq!(of(json!([])), Err(RoomTokenError::OtherRoom));
    assert_eq!(of(json!(7)), Err(RoomTokenError::Malformed));
    let misnamed = json!({ "peerId": address().to_string(), "audience": URL, "iat": NOW });
    assert_eq!(with(&misnamed), Err(RoomTokenError::Malformed), "what the originals looked for");
}

#[test]
fn the_peer_is_an_address() {
    let of = |peer: Value| with(&json!({ "peerId": peer, "aud": URL, "iat": NOW }));
    let upper = address().to_string().to_uppercase();
    assert_eq!(of(json!(upper)).unwrap().address, address());
    assert_eq!(of(json!("nobody")), Err(RoomTokenError::NoAddress));
    assert_eq!(of(json!(null)), Err(RoomTokenError::Malformed));
}

/// Tokens as the original service made them, and what a change of each part comes to.
#[test]
fn vectors_room_tokens() {
    let folder = std::env::var_os("ATOLL_VECTORS")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/vectors").into(), std::path::PathBuf::from);
    let text = std::fs::read_to_string(folder.join("livekit_tokens.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let (mut rooms, mut others) = (0, 0);
    for entry in file["entries"].as_array().unwrap() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let keys = RoomKeys::new(text("apiSecret").as_bytes(), None);
        let (token, room) = (text("token"), text("room"));
        if entry["kind"] != "ws-room-token" {
            // Tokens of other services are none for a room, whoever signed them.
            let now = entry["mintedAt"].as_u64().or(entry["now"].as_u64()).unwrap();
            assert!(keys.verify(token, room, now).is_err(), "{token}");
            others += 1;
            continue;
        }
        let made = entry["mintedAt"].as_u64().unwrap();
        let expected = RoomToken { address: text("identity").parse().unwrap(), session: None };
        assert!(text("connStr").ends_with(token));
        assert_eq!(keys.verify(token, room, made), Ok(expected));
        assert_eq!(keys.verify(token, room, made + 24 * 3600 - 1), Ok(expected));
        assert_eq!(keys.verify(token, room, made + 24 * 3600), Err(RoomTokenError::Expired));
        assert_eq!(keys.verify(token, "another", made), Err(RoomTokenError::OtherRoom));
        assert_eq!(RoomKeys::new(b"x", None).verify(token, room, made), Err(RoomTokenError::Signature));
        rooms += 1;
    }
    assert!(rooms > 0 && others > 0, "{rooms} tokens for rooms, {others} others");
}
