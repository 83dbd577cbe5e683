//! The examples of docs/protocol.md as bytes: `proto/vectors/atoll1.json`, for who writes a client without reading Rust.
//!
//! The file is written from the cases in these modules by `ATOLL_BLESS=1 cargo test -p atoll-proto --test examples`;
//! without that variable the test compares.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod control;
mod datagrams;
mod lanes;
mod websocket;

use serde_json::{Value, json};
use std::fmt::Write;

const ADDRESS: &str = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
const OTHER: &str = "0x1563915e194d8cfba1943570603f7606a3115508";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn case(note: &str, bytes: &[u8], value: Value) -> Value {
    json!({"note": note, "hex": hex(bytes), "value": value})
}

#[test]
fn the_examples_are_what_this_version_writes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/atoll1.json");
    let examples = json!({
        "datagrams_up": datagrams::up(),
        "datagrams_down": datagrams::down(),
        "frames": control::frames(),
        "client_messages": control::client_messages(),
        "server_messages": control::server_messages(),
        "ordered_frames": lanes::ordered_frames(),
        "large_messages": lanes::large_messages(),
        "websocket_messages": websocket::messages(),
    });
    if std::env::var_os("ATOLL_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&examples).unwrap();
        std::fs::write(path, text + "\n").unwrap();
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(written, examples);
}
