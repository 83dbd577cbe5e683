//! Tokens for rooms: any text, and any claims under a signature that holds. A token lets one address into the rooms that it
//! names and into no other, for some time, and under its own key.
#![no_main]

use atoll_core::auth::{ROOM_TOKEN_SECONDS, RoomKeys, RoomToken, RoomTokenError};
use atoll_core::room::SessionId;
use atoll_fuzz::Input;
use atoll_proto::Address;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

const SECRET: &[u8] = b"a secret of sixteen bytes or more";
const OTHER: &[u8] = b"another secret of sixteen bytes";
const NOW: u64 = 1_700_000_000;

/// A century, in seconds: no clock is so wrong.
const AGES: u64 = 3_155_760_000;

const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

struct Keys {
    own: RoomKeys,
    after_change: RoomKeys,
    other: RoomKeys,
    signing: EncodingKey,
}

thread_local! {
    static KEYS: LazyCell<Keys> = LazyCell::new(|| Keys {
        own: RoomKeys::new(SECRET, None),
        after_change: RoomKeys::new(OTHER, Some(SECRET)),
        other: RoomKeys::new(OTHER, None),
        signing: EncodingKey::from_secret(SECRET),
    });
}

/// Whatever `claims` are, signed.
fn signed(claims: &[u8], key: &EncodingKey) -> String {
    let text = [HEADER.as_bytes(), claims].map(|part| BASE64URL_NOPAD.encode(part)).join(".");
    let signature = sign(text.as_bytes(), key, Algorithm::HS256).expect("a key for HS256");
    format!("{text}.{signature}")
}

fn minted(keys: &Keys, room: &str, number: u64) {
    let (address, session) = (Address([number as u8; 20]), Some(SessionId(number)));
    let url = format!("wss://edge.example/base/rooms/{room}");
    let token = keys.own.mint(&url, address, session, NOW).expect("a URL and an address");
    // Names have neither of these.
    if room.contains(['/', '?', '#', '%']) {
        return;
    }
    let end = NOW + ROOM_TOKEN_SECONDS;
    assert_eq!(keys.own.verify(&token, room, end - 1), Ok(RoomToken { address, session }));
    assert_eq!(keys.own.verify(&token, room, end), Err(RoomTokenError::Expired));
}

fn checked(keys: &Keys, token: &str, room: &str, now: u64) {
    let read = keys.own.verify(token, room, now);
    assert_eq!(keys.after_change.verify(token, room, now).ok(), read.ok(), "the former key's tokens are taken");
    let Ok(RoomToken { address, .. }) = read else { return };
    assert!(token.len() <= 4096);
    assert_eq!(address.to_string().parse(), Ok(address));
    assert_eq!(keys.other.verify(token, room, now), Err(RoomTokenError::Signature));
    let elsewhere = format!("{room}-elsewhere");
    if !mentions_elsewhere(token) {
        assert_eq!(keys.own.verify(token, &elsewhere, now), Err(RoomTokenError::OtherRoom));
    }
}

/// Whether the claims may be for such a room, too: they may name several.
fn mentions_elsewhere(token: &str) -> bool {
    let claims = token.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    claims.is_none_or(|claims| String::from_utf8_lossy(&claims).contains("elsewhere"))
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (choice, now) = (input.byte(), input.number(NOW));
    let length = usize::from(input.byte());
    let name = input.bytes(length);
    let Ok(room) = std::str::from_utf8(name) else { return };
    let rest = input.rest();
    KEYS.with(|keys| match choice % 8 {
        0 => minted(keys, room, now),
        1 => {
            if let Ok(token) = std::str::from_utf8(rest) {
                checked(keys, token, room, now);
            }
        }
        _ => {
            let token = signed(rest, &keys.signing);
            checked(keys, &token, room, now);
            let _ = keys.own.verify(&token, room, now.saturating_add(AGES));
        }
    });
});
