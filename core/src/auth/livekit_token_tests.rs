use super::*;
use jsonwebtoken::{Header, encode};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;

fn address() -> Address {
    "0x7f40c139686518b7d06de6207690577c9d6c0c26".parse().unwrap()
}

fn keys() -> LivekitKeys {
    LivekitKeys::new("APIone", "the first secret", None)
}

/// A token with these claims, signed as told.
fn signed(algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(b"the first secret")).unwrap()
}

/// What a token says whose `video`, and other claims, are these.
fn with(video: Value, others: Value) -> Result<LivekitToken, LivekitTokenError> {
    let mut claims = json!({ "iss": "APIone", "sub": address().to_string(), "video": video });
    claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    keys().verify(&signed(Algorithm::HS256, &claims), "I1", NOW)
}

fn join() -> Value {
    json!({ "roomJoin": true, "room": "I1" })
}

#[test]
fn ours_hold_for_their_room_and_their_time() {
    let token = keys().mint("I1", address(), Some(SessionId(u64::MAX)), NOW).unwrap();
    let read = keys().verify(&token, "I1", NOW).unwrap();
    assert_eq!((read.address(), read.session), (Ok(address()), Some(SessionId(u64::MAX))));
    assert_eq!((read.identity.as_str(), read.room.as_str()), (&*address().to_string(), "I1"));
    let expected = LivekitGrants {
        can_publish: true,
        can_publish_data: true,
        can_subscribe: true,
        can_publish_sources: vec![LivekitSource::Microphone],
        can_update_own_metadata: true,
        hidden: false,
        room_admin: false,
        room_create: false,
        room_list: false,
    };
    assert_eq!(read.grants, expected);
    assert_eq!(keys().read(&token, NOW + LIVEKIT_TOKEN_SECONDS - 1), Ok(read));
    assert_eq!(keys().verify(&token, "I1", NOW + LIVEKIT_TOKEN_SECONDS), Err(LivekitTokenError::Expired));
    assert_eq!(keys().verify(&token, "I2", NOW), Err(LivekitTokenError::OtherRoom));
    let without = keys().mint("I1", address(), None, NOW).unwrap();
    assert_eq!(keys().verify(&without, "I1", NOW).unwrap().session, None);
}

#[test]
fn the_former_key_is_taken_and_not_used() {
    let old = keys().mint("I1", address(), None, NOW).unwrap();
    for api_key in ["APItwo", "APIone"] {
        let rotated = LivekitKeys::new(api_key, "another secret", Some(("APIone", "the first secret")));
        assert!(rotated.verify(&old, "I1", NOW).is_ok(), "{api_key}");
        let new = rotated.mint("I1", address(), None, NOW).unwrap();
        assert!(rotated.verify(&new, "I1", NOW).is_ok());
        assert_eq!(keys().verify(&new, "I1", NOW), Err(LivekitTokenError::Signature));
        assert_eq!(rotated.api_key(), api_key);
        assert!(!format!("{rotated:?}").contains("secret"));
    }
    // A secret is good for its own API key only.
    let crossed = LivekitKeys::new("APItwo", "the first secret", Some(("APIone", "another secret")));
    assert_eq!(crossed.verify(&old, "I1", NOW), Err(LivekitTokenError::Issuer));
}

#[test]
fn only_hmac_is_a_signature() {
    let claims = json!({ "iss": "APIone", "sub": "x", "video": join() });
    for algorithm in ALGORITHMS {
        assert!(keys().verify(&signed(algorithm, &claims), "I1", NOW).is_ok(), "{algorithm:?}");
    }
    let good = signed(Algorithm::HS256, &claims);
    let (_, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"NONE"}, and {"alg":"none","typ":"JWT"}; RS256 and ES256.
    for header in [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJOT05FIn0",
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJhbGciOiJFUzI1NiJ9",
    ] {
        for forged in [format!("{header}.{body}."), format!("{header}.{body}.{signature}")] {
            assert_eq!(keys().verify(&forged, "I1", NOW), Err(LivekitTokenError::Algorithm), "{forged}");
        }
    }
    for broken in ["", ".", "..", "a.b.c", "\u{0}", &good[..good.len() - 40], &"x".repeat(MAX_TOKEN + 1)] {
        let error = keys().verify(broken, "I1", NOW).unwrap_err();
        assert!(matches!(error, LivekitTokenError::Malformed | LivekitTokenError::Signature), "{broken}: {error}");
        assert!(!error.is_forbidden());
    }
    let long = |length: usize| with(join(), json!({ "metadata": "x".repeat(length) }));
    assert!(long(5000).is_ok());
    assert_eq!(long(MAX_TOKEN), Err(LivekitTokenError::Malformed));
}

#[test]
fn times_hold_to_the_second() {
    let at = |times: Value| with(join(), times).map(|_| ());
    for good in [json!({}), json!({ "exp": NOW + 1 }), json!({ "exp": NOW as f64 + 0.5, "nbf": NOW, "iat": NOW + 9 })] {
        assert_eq!(at(good.clone()), Ok(()), "{good}");
    }
    assert_eq!(at(json!({ "exp": NOW })), Err(LivekitTokenError::Expired));
    assert_eq!(at(json!({ "exp": -1 })), Err(LivekitTokenError::Expired));
    assert_eq!(at(json!({ "nbf": NOW + 1 })), Err(LivekitTokenError::NotNow));
    for odd in [json!("soon"), json!(null), json!(true), json!([1])] {
        assert_eq!(at(json!({ "exp": odd })), Err(LivekitTokenError::Malformed));
        assert_eq!(at(json!({ "nbf": odd })), Err(LivekitTokenError::Malformed));
    }
}

#[test]
fn who_and_where_have_to_be_said() {
    let refused = |video: Value, others: Value| with(video, others).unwrap_err();
    for video in [
        json!({}),
        json!(null),
        json!({ "room": "I1" }),
        json!({ "roomJoin": false, "room": "I1" }),
        json!({ "roomJoin": true }),
        json!({ "roomJoin": true, "room": "" }),
        json!({ "roomAdmin": true, "room": "I1" }),
    ] {
        assert_eq!(refused(video.clone(), json!({})), LivekitTokenError::NoJoin, "{video}");
    }
    for identity in [json!(""), json!(null)] {
        assert_eq!(refused(join(), json!({ "sub": identity })), LivekitTokenError::NoIdentity);
    }
    assert_eq!(refused(json!({ "roomJoin": true, "room": "i1" }), json!({})), LivekitTokenError::OtherRoom);
    for issuer in [json!("APItwo"), json!(""), json!(null)] {
        assert_eq!(refused(join(), json!({ "iss": issuer })), LivekitTokenError::Issuer);
    }
    for malformed in [json!({ "roomJoin": "true", "room": "I1" }), json!({ "roomJoin": 1 }), json!("I1"), json!([1])] {
        assert_eq!(refused(malformed, json!({})), LivekitTokenError::Malformed);
    }
    let somebody = with(join(), json!({ "sub": "somebody" })).unwrap();
    assert_eq!(somebody.address(), Err(LivekitTokenError::NoAddress));
    let upper = with(join(), json!({ "sub": address().to_string().to_uppercase() })).unwrap();
    assert_eq!(upper.address(), Ok(address()));
    let forbidden = [LivekitTokenError::NoJoin, LivekitTokenError::OtherRoom, LivekitTokenError::NoAddress];
    assert!(forbidden.into_iter().all(LivekitTokenError::is_forbidden));
    let unproven = [LivekitTokenError::Signature, LivekitTokenError::Issuer, LivekitTokenError::Expired];
    assert!(!unproven.into_iter().any(LivekitTokenError::is_forbidden));
}

#[test]
fn what_is_not_mentioned_has_livekits_defaults() {
    let token = with(join(), json!({})).unwrap();
    assert_eq!((token.name.as_str(), token.metadata, token.attributes.len()), ("", None, 0));
    let grants = token.grants;
    assert!(grants.can_publish && grants.can_publish_data && grants.can_subscribe);
    assert!(grants.can_publish_sources.is_empty() && grants.may_publish(LivekitSource::Unknown));
    let others = [grants.can_update_own_metadata, grants.hidden, grants.room_admin, grants.room_create];
    assert_eq!((others, grants.room_list), ([false; 4], false));

    let said = json!({ "name": "Zoé", "metadata": "{\"a\":1}", "attributes": { "a": "b" } });
    let token = with(join(), said).unwrap();
    assert_eq!((token.name.as_str(), token.metadata.as_deref()), ("Zoé", Some("{\"a\":1}")));
    assert_eq!(token.attributes, BTreeMap::from([("a".to_owned(), "b".to_owned())]));

    let grants = |claims: Value| {
        let mut video = join();
        video.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        with(video, json!({})).unwrap().grants
    };
    let silent = grants(json!({ "canPublish": false, "canSubscribe": false }));
    assert!(!silent.can_publish_data, "without a word of its own it is as the other");
    assert!(!silent.can_subscribe && !silent.may_publish(LivekitSource::Microphone));
    assert!(grants(json!({ "canPublish": false, "canPublishData": true })).can_publish_data);
    let some = grants(json!({ "canPublishSources": ["MICROPHONE", "screen_share_audio", "smell"] }));
    assert!(some.may_publish(LivekitSource::Microphone) && some.may_publish(LivekitSource::ScreenShareAudio));
    for other in [LivekitSource::Camera, LivekitSource::ScreenShare, LivekitSource::Unknown] {
        assert!(!some.may_publish(other), "{other:?}");
    }
    assert!(grants(json!({ "canPublishSources": [] })).may_publish(LivekitSource::Camera));
    let all = json!({ "canUpdateOwnMetadata": true, "hidden": true, "roomAdmin": true, "roomCreate": true, "roomList": true });
    let all = grants(all);
    assert!(all.can_update_own_metadata && all.hidden && all.room_admin && all.room_create && all.room_list);
}

/// Tokens of three versions of the original service, and what LiveKit's verifier says of each change to them.
#[test]
fn vectors_livekit_tokens() {
    let folder = std::env::var_os("ATOLL_VECTORS")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/vectors").into(), std::path::PathBuf::from);
    let text = std::fs::read_to_string(folder.join("livekit_tokens.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let (mut minted, mut verdicts, mut others) = (0, 0, 0);
    for entry in file["entries"].as_array().unwrap() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let keys = LivekitKeys::new(text("apiKey"), text("apiSecret"), None);
        let (token, room) = (text("token"), text("room"));
        match text("kind") {
            "minted" => {
                let made = entry["mintedAt"].as_u64().unwrap();
                let read = keys.verify(token, room, made).unwrap();
                assert_eq!((read.identity.as_str(), read.room.as_str()), (text("identity"), room));
                assert_eq!(read.grants.can_update_own_metadata, text("by").contains("final"));
                assert_eq!(keys.verify(token, room, made + 299), Ok(read));
                assert_eq!(keys.verify(token, room, made + 300), Err(LivekitTokenError::Expired));
                if text("by").contains("final") {
                    // Ours are the last version's to the byte, which is what the text of header and claims comes to.
                    assert_eq!(keys.mint_as(text("identity"), room, None, made).as_deref(), Ok(token));
                }
                minted += 1;
            }
            "verdict" => {
                let (name, expected) = (text("name"), &entry["expected"]);
                let verdict = keys.verify(token, room, entry["now"].as_u64().unwrap());
                assert_eq!(json!(verdict.is_ok()), expected["mayJoinRoom"], "{name}: {verdict:?}");
                let holds = verdict.as_ref().map_or_else(|error| error.is_forbidden(), |_| true);
                assert_eq!(json!(holds), expected["sdkAccepts"], "{name}: {verdict:?}");
                assert!(verdict.is_err() || verdict.is_ok_and(|token| token.address().is_ok()), "{name}");
                verdicts += 1;
            }
            // Tokens of other services are none of LiveKit's, whoever signed them.
            _ => {
                let error = keys.read(token, entry["mintedAt"].as_u64().unwrap()).unwrap_err();
                assert!(!error.is_forbidden(), "{token}");
                others += 1;
            }
        }
    }
    assert_eq!((minted, verdicts, others), (9, 48, 4));
}

#[test]
fn a_renewed_token_is_for_what_the_first_was_for() {
    let keys = LivekitKeys::new("key", "a secret of some length", None);
    let address: Address = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a".parse().unwrap();
    let first = keys.read(&keys.mint("I1", address, Some(SessionId(7)), 1_000).unwrap(), 1_000).unwrap();
    let grants = LivekitGrants { can_publish: false, can_subscribe: false, hidden: true, ..first.grants.clone() };
    let attributes = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let other = LivekitToken { name: "n".into(), metadata: Some("m".into()), attributes, grants, ..first.clone() };
    for token in [first, other] {
        let renewed = keys.renew(&token, 2_000).unwrap();
        assert_eq!(keys.read(&renewed, 2_000 + LIVEKIT_TOKEN_SECONDS - 1), Ok(token));
        assert_eq!(keys.read(&renewed, 2_000 + LIVEKIT_TOKEN_SECONDS), Err(LivekitTokenError::Expired));
    }
}

#[test]
fn a_renewed_token_is_never_too_long_to_be_taken() {
    let keys = LivekitKeys::new("key", "a secret of some length", None);
    let address: Address = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a".parse().unwrap();
    let first = keys.read(&keys.mint("I1", address, Some(SessionId(7)), 1_000).unwrap(), 1_000).unwrap();
    let much = "x".repeat(MAX_TOKEN);
    let attributes = BTreeMap::from([("a".to_owned(), much.clone())]);
    for (metadata, attributes) in [(Some(much), BTreeMap::new()), (Some("m".to_owned()), attributes)] {
        let long = LivekitToken { name: "n".into(), metadata, attributes, ..first.clone() };
        let short = LivekitToken { metadata: None, attributes: BTreeMap::new(), ..long.clone() };
        assert_eq!(keys.read(&keys.renew(&long, 2_000).unwrap(), 2_000), Ok(short));
    }
}
