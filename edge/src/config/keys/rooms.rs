//! `rooms.*`, `transport.*` and `ws_room.*`: rooms and the way there.

use super::{list, quoted};
use crate::config::{Key, Secret, Value};
use atoll_core::region::NamedRooms;

/// Shortest secret, in bytes: half of what HS256 makes of it.
const SHORTEST: usize = 16;

pub(super) const RULES: Key = Key {
    name: "rooms.rules",
    flag: None,
    placeholder: "RULE,...",
    help: "The rooms beside those of islands, and who may enter without a token; the first that fits a name counts; none when not set",
    rule: "a list of up to 64 rules: a name in which each `*` stands for anything, a space, and `open`, `token` or addresses with spaces between them",
    example: "[\"world-* open\", \"backstage token\"]",
    written: |config| list(&config.rooms.named.0),
    set: |config, value| value.list().map(|rules| config.rooms.named = NamedRooms(rules)),
};

pub(super) const TRANSPORT_DEFAULT: Key = Key {
    name: "transport.default",
    flag: None,
    placeholder: "NAME",
    help: "The transport that kernels are sent to for their island, if they can use it; else the first that they can",
    rule: "`ws` or `livekit`",
    example: "",
    written: |config| Some(quoted(config.rooms.transport)),
    set: |config, value| value.parse().map(|transport| config.rooms.transport = transport),
};

pub(super) const WS_ROOM_SECRET: Key = Key {
    name: "ws_room.secret",
    flag: None,
    placeholder: "TEXT",
    help: "Signs tokens for WebSocket rooms (HS256); made at the first start and kept in state_dir when not set, except that archipelago without an edge needs one",
    rule: "16 bytes or more",
    example: "\"a long text that nobody guesses\"",
    written: |config| config.rooms.secret.as_ref().map(|_| quoted("…")),
    set: |config, value| secret(value).map(|secret| config.rooms.secret = Some(secret)),
};

pub(super) const WS_ROOM_FORMER_SECRET: Key = Key {
    name: "ws_room.former_secret",
    flag: None,
    placeholder: "TEXT",
    help: "What ws_room.secret was before: tokens signed with it are still taken",
    rule: "16 bytes or more",
    example: "\"the text that it was before\"",
    written: |config| config.rooms.former_secret.as_ref().map(|_| quoted("…")),
    set: |config, value| secret(value).map(|secret| config.rooms.former_secret = Some(secret)),
};

pub(super) const WS_ROOM_URL: Key = Key {
    name: "ws_room.url",
    flag: None,
    placeholder: "URL",
    help: "Where archipelago sends sessions of other programs for WebSocket rooms; to those of this process when not set, to none if it is no edge",
    rule: "`http://` or `https://`, a host and perhaps a port",
    example: "\"https://rooms.example.org\"",
    written: |config| config.rooms.url.as_ref().map(quoted),
    set: |config, value| value.parse().map(|url| config.rooms.url = Some(url)),
};

/// A secret that is long enough.
pub(super) fn secret(value: &Value) -> Option<Secret> {
    value.text().filter(|text| text.len() >= SHORTEST).map(|text| Secret(text.to_owned()))
}
