//! `livekit.*`: LiveKit's clients, here or elsewhere.

use super::rooms::secret;
use super::{list, quoted};
use crate::config::{Key, Value};
use std::net::SocketAddr;

pub(super) const ENABLED: Key = Key {
    name: "livekit.enabled",
    flag: None,
    placeholder: "BOOL",
    help: "Whether LiveKit's clients are served here, unless livekit.url is set",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.livekit.enabled.to_string()),
    set: |config, value| value.boolean().map(|enabled| config.livekit.enabled = enabled),
};

pub(super) const LISTEN: Key = Key {
    name: "livekit.listen",
    flag: Some("livekit"),
    placeholder: "ADDR",
    help: "Where data and voice of LiveKit's clients arrive (UDP, and TCP with livekit.tcp); port 0 takes a free one",
    rule: "an IP address and a port, such as `0.0.0.0:7882` or `[::]:7882`",
    example: "",
    written: |config| Some(quoted(config.livekit.listen)),
    set: |config, value| value.parse::<SocketAddr>().map(|address| config.livekit.listen = address),
};

pub(super) const TCP: Key = Key {
    name: "livekit.tcp",
    flag: None,
    placeholder: "BOOL",
    help: "Whether they may come by TCP, too, on the same port: for those whose network passes no UDP",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.livekit.tcp.to_string()),
    set: |config, value| value.boolean().map(|tcp| config.livekit.tcp = tcp),
};

pub(super) const ICE_SERVERS: Key = Key {
    name: "livekit.ice_servers",
    flag: None,
    placeholder: "SERVER,...",
    help: "STUN and TURN servers that LiveKit's clients are told of; none when not set, for a public UDP or TCP port needs none",
    rule: "a list of up to 64 servers: `stun:<host>`, or `turn:<host>`, a space, the user, a space and the password; `stuns:` and `turns:`, a port, and `?transport=udp` or `tcp` after TURN's, too",
    example: "[\"stun:stun.example.org\", \"turn:turn.example.org:3478?transport=udp atoll secret\"]",
    written: |config| list(&config.livekit.ice_servers),
    set: |config, value| value.list().map(|servers| config.livekit.ice_servers = servers),
};

pub(super) const API_KEY: Key = Key {
    name: "livekit.api_key",
    flag: None,
    placeholder: "TEXT",
    help: "The issuer of LiveKit's tokens; made at the first start, with its secret, and kept in state_dir when not set",
    rule: "1 to 128 visible characters",
    example: "\"APIatoll\"",
    written: |config| config.livekit.api_key.as_ref().map(quoted),
    set: |config, value| name(value).map(|key| config.livekit.api_key = Some(key)),
};

pub(super) const API_SECRET: Key = Key {
    name: "livekit.api_secret",
    flag: None,
    placeholder: "TEXT",
    help: "Signs LiveKit's tokens (HS256); its letters are the key, as everywhere with LiveKit",
    rule: "16 bytes or more",
    example: "\"another text that nobody guesses\"",
    written: |config| config.livekit.api_secret.as_ref().map(|_| quoted("…")),
    set: |config, value| secret(value).map(|secret| config.livekit.api_secret = Some(secret)),
};

pub(super) const FORMER_API_KEY: Key = Key {
    name: "livekit.former_api_key",
    flag: None,
    placeholder: "TEXT",
    help: "The issuer that livekit.former_api_secret belongs to; livekit.api_key when not set",
    rule: "1 to 128 visible characters",
    example: "\"APIbefore\"",
    written: |config| config.livekit.former_api_key.as_ref().map(quoted),
    set: |config, value| name(value).map(|key| config.livekit.former_api_key = Some(key)),
};

pub(super) const FORMER_API_SECRET: Key = Key {
    name: "livekit.former_api_secret",
    flag: None,
    placeholder: "TEXT",
    help: "What livekit.api_secret was before: tokens signed with it are still taken",
    rule: "16 bytes or more",
    example: "\"the text that it was before\"",
    written: |config| config.livekit.former_api_secret.as_ref().map(|_| quoted("…")),
    set: |config, value| secret(value).map(|secret| config.livekit.former_api_secret = Some(secret)),
};

pub(super) const WEBHOOK_URLS: Key = Key {
    name: "livekit.webhook_urls",
    flag: None,
    placeholder: "URL,...",
    help: "Who is told that somebody came to a room or left, and that it began or ended: a POST for each, signed as LiveKit's; nobody when not set",
    rule: "a list of up to 64 `http` or `https` URLs",
    example: "[\"https://game.example.org/livekit\"]",
    written: |config| list(&config.livekit.webhook_urls),
    set: |config, value| value.list().map(|urls| config.livekit.webhook_urls = urls),
};

pub(super) const URL: Key = Key {
    name: "livekit.url",
    flag: None,
    placeholder: "URL",
    help: "A LiveKit elsewhere, to which clients are sent with tokens of livekit.api_key, in place of here; who is sent there does not meet the others of its island",
    rule: "`wss://` or `ws://`, a host and perhaps a port and a path",
    example: "\"wss://livekit.example.org\"",
    written: |config| config.livekit.url.as_ref().map(quoted),
    set: |config, value| value.parse().map(|url| config.livekit.url = Some(url)),
};

fn name(value: &Value) -> Option<String> {
    let is_name = |text: &&str| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    value.text().filter(is_name).map(str::to_owned)
}
