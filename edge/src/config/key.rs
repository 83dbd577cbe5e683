//! What a key is.

use super::{Config, KEYS, Value};

/// One thing that can be decided.
pub struct Key {
    /// Its name with sections, such as `archipelago.max_peers`.
    pub name: &'static str,
    /// Its flag without dashes, for the common ones.
    pub flag: Option<&'static str>,
    /// What the help shows in place of a value.
    pub placeholder: &'static str,
    /// What it is for: one sentence without its full stop.
    pub help: &'static str,
    /// What a value has to be, with its bounds and unit: the end of "it has to be ...".
    pub rule: &'static str,
    /// A value in TOML, for keys without a default.
    pub(super) example: &'static str,
    /// The value in TOML that a configuration has, if any.
    pub(super) written: fn(&Config) -> Option<String>,
    /// Takes a value over, unless it breaks the rule.
    pub(super) set: fn(&mut Config, &Value) -> Option<()>,
}

/// Keys whose values nobody should read in a log. A URL may hold a password.
const SECRETS: [&str; 9] = [
    "ws_room.secret",
    "ws_room.former_secret",
    "livekit.ice_servers",
    "livekit.api_secret",
    "livekit.former_api_secret",
    "nats.url",
    "nats.password",
    "nats.token",
    "nats.nkey",
];

impl Key {
    /// The environment variable by the key's name: `ATOLL_QUIC__LISTEN` for `quic.listen`.
    pub fn variable(&self) -> String {
        format!("ATOLL_{}", self.name.replace('.', "__").to_uppercase())
    }

    /// The environment variables it has: the flag's, `ATOLL_QUIC` for `--quic`, and the name's, if that is another.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let by_name = self.variable();
        let by_flag = self.flag.map(|flag| format!("ATOLL_{}", flag.replace('-', "_").to_uppercase()));
        by_flag.filter(|by_flag| *by_flag != by_name).into_iter().chain([by_name])
    }

    /// What a message shows of a value as it was written: nothing of a secret, nor of a URL that may have a password in it.
    pub(super) fn shown(&self, written: &str) -> String {
        if SECRETS.contains(&self.name) || written.contains('@') { "…".to_owned() } else { written.to_owned() }
    }

    /// Its default in TOML, if it has one.
    pub fn default_value(&self) -> Option<String> {
        (self.written)(&Config::default())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// The known key that looks most like `name`. One whose last part fits is near, too, wherever it stands; nearest to the
/// name of a section is what it holds.
pub(super) fn nearest(name: &str) -> &'static Key {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |key: &&Key| {
        if key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) {
            return 0;
        }
        let whole = strsim::damerau_levenshtein(key.name, name);
        whole.min(strsim::damerau_levenshtein(&last(key.name), &last(name)) + 1)
    };
    KEYS.iter().min_by_key(distance).unwrap_or(&KEYS[0])
}
