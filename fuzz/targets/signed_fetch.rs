//! Signed fetches: any metadata is refused or taken, and who changes its case, which the signature does not cover,
//! cannot turn it to another server.
#![no_main]

use atoll_core::auth::{MAX_METADATA_BYTES, SIGNED_FETCH_WINDOW_MS, ServerName, SignedFetch};
use atoll_fuzz::Input;
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_700_000_000_000;

fn fetch(timestamp_ms: u64, metadata: String) -> SignedFetch {
    SignedFetch { method: "connect".to_owned(), path: "/atoll".to_owned(), timestamp_ms, metadata }
}

/// `text` with the case of some letters changed: those whose turn it is when `pattern` is gone through again and again.
fn in_other_case(text: &str, pattern: u64) -> String {
    let change = |(index, letter): (usize, char)| match pattern.rotate_right(index as u32 % 64) & 1 {
        1 if letter.is_ascii_lowercase() => letter.to_ascii_uppercase(),
        1 => letter.to_ascii_lowercase(),
        _ => letter,
    };
    text.chars().enumerate().map(change).collect()
}

fuzz_target!(|data: &[u8]| {
    let [own, other] = ["atoll", "other"].map(|name| name.parse::<ServerName>().expect("a name"));
    let mut input = Input::new(data);
    let timestamp = input.number(NOW);
    let pattern = input.number(0);
    let Ok(metadata) = std::str::from_utf8(input.rest()) else {
        return;
    };
    let taken = fetch(timestamp, metadata.to_owned());
    if taken.check(&own, NOW).is_err() {
        return;
    }
    assert!(timestamp.abs_diff(NOW) <= SIGNED_FETCH_WINDOW_MS && metadata.len() <= MAX_METADATA_BYTES);
    let changed = fetch(timestamp, in_other_case(metadata, pattern));
    assert_eq!(changed.payload(), taken.payload());
    for elsewhere in [taken, changed] {
        assert!(elsewhere.check(&other, NOW).is_err(), "{:?} holds for two servers", elsewhere.metadata);
    }
});
