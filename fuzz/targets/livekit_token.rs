//! LiveKit's tokens: any text, and any claims under a signature that holds. A token lets one identity into the one room that it
//! names, while its time lasts, and under its own key.
#![no_main]

use atoll_core::auth::{LIVEKIT_TOKEN_SECONDS, LivekitKeys, LivekitToken, LivekitTokenError};
use atoll_core::room::SessionId;
use atoll_fuzz::Input;
use atoll_proto::Address;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

const API_KEY: &str = "APIown";
const SECRET: &str = "a secret of sixteen bytes or more";
const OTHER: &str = "another secret of sixteen bytes";
const NOW: u64 = 1_700_000_000;

const ALGORITHMS: [(Algorithm, &str); 3] = [
    (Algorithm::HS256, r#"{"alg":"HS256"}"#),
    (Algorithm::HS384, r#"{"alg":"HS384","typ":"JWT"}"#),
    (Algorithm::HS512, r#"{"typ":"JWT","alg":"HS512"}"#),
];

struct Keys {
    own: LivekitKeys,
    after_change: LivekitKeys,
    other: LivekitKeys,
    of_another_name: LivekitKeys,
    signing: EncodingKey,
}

thread_local! {
    static KEYS: LazyCell<Keys> = LazyCell::new(|| Keys {
        own: LivekitKeys::new(API_KEY, SECRET, None),
        after_change: LivekitKeys::new("APInew", OTHER, Some((API_KEY, SECRET))),
        other: LivekitKeys::new(API_KEY, OTHER, None),
        of_another_name: LivekitKeys::new("APInew", SECRET, None),
        signing: EncodingKey::from_secret(SECRET.as_bytes()),
    });
}

/// Whatever `claims` are, signed.
fn signed(claims: &[u8], key: &EncodingKey, (algorithm, header): (Algorithm, &str)) -> String {
    let text = [header.as_bytes(), claims].map(|part| BASE64URL_NOPAD.encode(part)).join(".");
    let signature = sign(text.as_bytes(), key, algorithm).expect("a key for HMAC");
    format!("{text}.{signature}")
}

fn minted(keys: &Keys, room: &str, number: u64) {
    let (address, session) = (Address([number as u8; 20]), Some(SessionId(number)));
    let token = keys.own.mint(room, address, session, NOW).expect("a room and an address");
    let end = NOW + LIVEKIT_TOKEN_SECONDS;
    let read = keys.own.verify(&token, room, end - 1);
    if room.is_empty() {
        assert_eq!(read, Err(LivekitTokenError::NoJoin));
        return;
    }
    let read = read.expect("a token of ours");
    assert_eq!((read.address(), read.session, read.room.as_str()), (Ok(address), session, room));
    assert_eq!(keys.own.verify(&token, room, end), Err(LivekitTokenError::Expired));
}

fn checked(keys: &Keys, token: &str, now: u64) {
    let read = keys.own.read(token, now);
    assert_eq!(
        keys.after_change.read(token, now).ok(),
        read.as_ref().ok().cloned(),
        "the former key's tokens are taken"
    );
    let Ok(LivekitToken { room, identity, .. }) = &read else { return };
    assert!(token.len() <= 8192 && !room.is_empty() && !identity.is_empty());
    assert_eq!(keys.own.verify(token, room, now), read);
    assert_eq!(keys.own.verify(token, &format!("{room}-elsewhere"), now), Err(LivekitTokenError::OtherRoom));
    assert_eq!(keys.other.read(token, now), Err(LivekitTokenError::Signature));
    assert_eq!(keys.of_another_name.read(token, now), Err(LivekitTokenError::Issuer));
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (choice, now) = (input.byte(), input.number(NOW));
    let rest = input.rest();
    KEYS.with(|keys| match choice % 8 {
        0 => {
            // Longer names would come to tokens that are not read.
            if let Ok(room) = std::str::from_utf8(&rest[..rest.len().min(200)]) {
                minted(keys, room, now);
            }
        }
        1 => {
            if let Ok(token) = std::str::from_utf8(rest) {
                checked(keys, token, now);
            }
        }
        choice => {
            let token = signed(rest, &keys.signing, ALGORITHMS[usize::from(choice) % ALGORITHMS.len()]);
            checked(keys, &token, now);
        }
    });
});
