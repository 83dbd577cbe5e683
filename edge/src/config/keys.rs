//! The one list of keys.

use super::{AllowedOrigins, Config, Value};
use std::net::SocketAddr;

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

/// Every key, in the order of the sample: those without a section first, then section by section.
pub const KEYS: &[Key] = &[
    Key {
        name: "state_dir",
        flag: Some("state-dir"),
        placeholder: "DIR",
        help: "Where the development certificate and keys of QUIC are kept between starts; the user's state directory when not set",
        rule: "a path, without `~`",
        example: "\"/var/lib/atoll\"",
        written: |config| config.state_dir.as_ref().map(|dir| quoted(dir.display())),
        set: |config, value| value.path().map(|path| config.state_dir = Some(path)),
    },
    Key {
        name: "log",
        flag: Some("log"),
        placeholder: "FILTER",
        help: "What is logged on standard error",
        rule: "a filter, such as `warn,atoll=debug`",
        example: "",
        written: |config| Some(quoted(&config.log)),
        set: |config, value| value.parse().map(|filter| config.log = filter),
    },
    Key {
        name: "trusted_proxies",
        flag: None,
        placeholder: "NETWORK,...",
        help: "Proxies whose `X-Forwarded-For` is believed; none when not set",
        rule: "a list of up to 64 networks, such as `10.0.0.0/8` or `::1`",
        example: "[\"10.0.0.0/8\", \"::1/128\"]",
        written: |config| list(&config.trusted_proxies),
        set: |config, value| value.list().map(|networks| config.trusted_proxies = networks),
    },
    Key {
        name: "allowed_origins",
        flag: None,
        placeholder: "ORIGIN,...",
        help: "Web pages that may open sessions; all when not set",
        rule: "a list of up to 64 origins, such as `https://play.example.org`",
        example: "[\"https://play.example.org\"]",
        written: |config| match &config.allowed_origins {
            AllowedOrigins::Any => None,
            AllowedOrigins::Only(origins) => list(origins),
        },
        set: |config, value| value.list().map(|origins| config.allowed_origins = AllowedOrigins::Only(origins)),
    },
    Key {
        name: "public_peers",
        flag: None,
        placeholder: "BOOL",
        help: "Whether `/peers` and `/islands` name peers and say where they stand",
        rule: "`true` or `false`",
        example: "",
        written: |config| Some(config.public_peers.to_string()),
        set: |config, value| value.boolean().map(|named| config.public_peers = named),
    },
    Key {
        name: "server.name",
        flag: Some("server-name"),
        placeholder: "NAME",
        help: "Names this edge in challenges and in `/about`",
        rule: "1 to 32 of a to z, 0 to 9 and `-`",
        example: "",
        written: |config| Some(quoted(&config.server_name)),
        set: |config, value| value.parse().map(|name| config.server_name = name),
    },
    Key {
        name: "quic.listen",
        flag: Some("quic"),
        placeholder: "ADDR",
        help: "Where WebTransport and raw QUIC listen (UDP); port 0 takes a free one",
        rule: "an IP address and a port, such as `0.0.0.0:7443` or `[::]:7443`",
        example: "",
        written: |config| Some(quoted(config.quic_listen)),
        set: |config, value| value.parse::<SocketAddr>().map(|address| config.quic_listen = address),
    },
    Key {
        name: "quic.gso",
        flag: None,
        placeholder: "BOOL",
        help: "Whether the system may cut several UDP packets out of one buffer; false where a driver fails at it",
        rule: "`true` or `false`",
        example: "",
        written: |config| Some(config.quic_gso.to_string()),
        set: |config, value| value.boolean().map(|gso| config.quic_gso = gso),
    },
    Key {
        name: "http.listen",
        flag: Some("http"),
        placeholder: "ADDR",
        help: "Where HTTP listens (TCP); port 0 takes a free one",
        rule: "an IP address and a port, such as `0.0.0.0:7480` or `[::]:7480`",
        example: "",
        written: |config| Some(quoted(config.http_listen)),
        set: |config, value| value.parse::<SocketAddr>().map(|address| config.http_listen = address),
    },
    Key {
        name: "tls.certificate",
        flag: Some("tls-certificate"),
        placeholder: "FILE",
        help: "The certificate for QUIC and HTTP, with its chain, in PEM; a development certificate when not set",
        rule: "a path, without `~`",
        example: "\"/etc/atoll/chain.pem\"",
        written: |config| config.tls_certificate.as_ref().map(|path| quoted(path.display())),
        set: |config, value| value.path().map(|path| config.tls_certificate = Some(path)),
    },
    Key {
        name: "tls.key",
        flag: Some("tls-key"),
        placeholder: "FILE",
        help: "The private key of tls.certificate, in PEM; both files are read again when they change",
        rule: "a path, without `~`",
        example: "\"/etc/atoll/key.pem\"",
        written: |config| config.tls_key.as_ref().map(|path| quoted(path.display())),
        set: |config, value| value.path().map(|path| config.tls_key = Some(path)),
    },
    Key {
        name: "public.http_url",
        flag: Some("public-http-url"),
        placeholder: "URL",
        help: "Where clients reach HTTP from outside; as they asked when not set, without TLS",
        rule: "`https://` or `http://`, a host and perhaps a port",
        example: "\"https://edge.example.org\"",
        written: |config| config.public.http_url.as_ref().map(quoted),
        set: |config, value| value.parse().map(|url| config.public.http_url = Some(url)),
    },
    Key {
        name: "public.quic_url",
        flag: Some("public-quic-url"),
        placeholder: "URL",
        help: "Where clients reach QUIC from outside; the listening address, public.ips or the host they asked for when not set",
        rule: "`https://`, a host and perhaps a port",
        example: "\"https://edge.example.org:7443\"",
        written: |config| config.public.quic_url.as_ref().map(quoted),
        set: |config, value| value.parse().map(|url| config.public.quic_url = Some(url)),
    },
    Key {
        name: "public.ips",
        flag: None,
        placeholder: "ADDR,...",
        help: "The addresses of this machine as clients see them; the first stands for `0.0.0.0` and `[::]`",
        rule: "a list of up to 64 IP addresses",
        example: "[\"203.0.113.7\", \"2001:db8::7\"]",
        written: |config| list(&config.public.ips),
        set: |config, value| value.list().map(|ips| config.public.ips = ips),
    },
    Key {
        name: "session.resume_window",
        flag: None,
        placeholder: "SECONDS",
        help: "How long the seat of a lost connection is kept for its client to come back; 0 keeps none",
        rule: "0 to 3600 seconds",
        example: "",
        written: |config| Some(format!("{:?}", config.resume_window.as_secs_f64())),
        set: |config, value| value.seconds(0.0..=3_600.0).map(|time| config.resume_window = time),
    },
    Key {
        name: "room.tick",
        flag: None,
        placeholder: "SECONDS",
        help: "Time between two batches of a room, 0 for none: packets pass at once; by the number of members when not set",
        rule: "0 to 1 second",
        example: "0.02",
        written: |config| config.room_tick.map(|tick| format!("{:?}", tick.as_secs_f64())),
        set: |config, value| value.seconds(0.0..=1.0).map(|tick| config.room_tick = Some(tick)),
    },
    Key {
        name: "kernels.bff_p2p",
        flag: None,
        placeholder: "BOOL",
        help: "Whether kernels that offer `bff` are taken to have P2P, as those before 2023 do; those that offer `comms` always are",
        rule: "`true` or `false`",
        example: "",
        written: |config| Some(config.kernels.bff.p2p.to_string()),
        set: |config, value| value.boolean().map(|p2p| config.kernels.bff.p2p = p2p),
    },
    Key {
        name: "kernels.bff_coordinates",
        flag: None,
        placeholder: "TYPE",
        help: "The type of coordinates in island changes to kernels that offer `bff`; float is what those since April 2023 read",
        rule: "`double` or `float`",
        example: "",
        written: |config| Some(quoted(config.kernels.bff.coordinates)),
        set: |config, value| value.parse().map(|coordinates| config.kernels.bff.coordinates = coordinates),
    },
    Key {
        name: "kernels.archipelago_ws_room",
        flag: None,
        placeholder: "BOOL",
        help: "Whether clients of archipelago's WebSocket are taken to have WebSocket rooms; all have LiveKit",
        rule: "`true` or `false`",
        example: "",
        written: |config| Some(config.kernels.archipelago.ws_room.to_string()),
        set: |config, value| value.boolean().map(|ws_room| config.kernels.archipelago.ws_room = ws_room),
    },
    Key {
        name: "ethereum.rpc_url",
        flag: None,
        placeholder: "URL",
        help: "The Ethereum node that is asked about logins by contract wallets; they are refused when not set",
        rule: "an `http` or `https` URL",
        example: "\"https://rpc.example.org/mainnet\"",
        written: |config| config.ethereum_rpc_url.as_ref().map(quoted),
        set: |config, value| value.parse().map(|url| config.ethereum_rpc_url = Some(url)),
    },
    Key {
        name: "archipelago.flush_interval",
        flag: Some("archipelago-flush-interval"),
        placeholder: "SECONDS",
        help: "Time between two regroupings; newcomers are placed early, at most every 250 ms",
        rule: "0.05 to 86400 seconds",
        example: "",
        written: |config| Some(format!("{:?}", config.archipelago.flush_interval.as_secs_f64())),
        set: |config, value| value.seconds(0.05..=86_400.0).map(|time| config.archipelago.flush_interval = time),
    },
    Key {
        name: "archipelago.join_distance",
        flag: Some("archipelago-join-distance"),
        placeholder: "METRES",
        help: "Islands merge when a member of one is this close to a member of the other",
        rule: "1 to 100000 metres",
        example: "",
        written: |config| Some(format!("{:?}", config.archipelago.join_distance)),
        set: |config, value| value.number(1.0..=100_000.0).map(|metres| config.archipelago.join_distance = metres),
    },
    Key {
        name: "archipelago.leave_distance",
        flag: Some("archipelago-leave-distance"),
        placeholder: "METRES",
        help: "Islands split where members are further apart than this",
        rule: "1 to 100000 metres, and not less than archipelago.join_distance",
        example: "",
        written: |config| Some(format!("{:?}", config.archipelago.leave_distance)),
        set: |config, value| value.number(1.0..=100_000.0).map(|metres| config.archipelago.leave_distance = metres),
    },
    Key {
        name: "archipelago.max_peers",
        flag: Some("archipelago-max-peers"),
        placeholder: "N",
        help: "Most members of an island",
        rule: "a whole number, 1 to 1000",
        example: "",
        written: |config| Some(config.archipelago.max_peers.to_string()),
        set: |config, value| value.whole(1..=1_000).map(|peers| config.archipelago.max_peers = peers),
    },
    Key {
        name: "archipelago.peer_timeout",
        flag: Some("archipelago-peer-timeout"),
        placeholder: "SECONDS",
        help: "A peer silent for longer leaves its island; clients send a heartbeat every second",
        rule: "2 to 86400 seconds",
        example: "",
        written: |config| Some(format!("{:?}", config.archipelago.peer_timeout.as_secs_f64())),
        set: |config, value| value.seconds(2.0..=86_400.0).map(|time| config.archipelago.peer_timeout = time),
    },
    Key {
        name: "archipelago.room_prefix",
        flag: Some("archipelago-room-prefix"),
        placeholder: "TEXT",
        help: "What island ids begin with, `I` in the original service; at random for each start when not set",
        rule: "1 to 32 letters, digits, `-` or `_`",
        example: "\"I\"",
        written: |config| config.archipelago.room_prefix.as_ref().map(quoted),
        set: |config, value| value.parse().map(|prefix| config.archipelago.room_prefix = Some(prefix)),
    },
    Key {
        name: "limits.max_sessions",
        flag: None,
        placeholder: "N",
        help: "Most sessions at a time; for one more, one goes from where most of them come from",
        rule: "a whole number, 1 to 100000",
        example: "",
        written: |config| Some(config.limits.max_sessions.to_string()),
        set: |config, value| value.whole(1..=100_000).map(|sessions| config.limits.max_sessions = sessions),
    },
    Key {
        name: "limits.max_room_members",
        flag: None,
        placeholder: "N",
        help: "Most members of a room; more are turned away",
        // A thousand members, all told in one control message, take 52 of its 64 KiB.
        rule: "a whole number, 1 to 1000, and not less than archipelago.max_peers",
        example: "",
        written: |config| Some(config.limits.max_room_members.to_string()),
        set: |config, value| value.whole(1..=1_000).map(|members| config.limits.max_room_members = members),
    },
    Key {
        name: "limits.pre_auth",
        flag: None,
        placeholder: "N",
        help: "Most connections that have not logged in yet; for one more, one goes from where most of them come from",
        rule: "a whole number, 1 to 100000",
        example: "",
        written: |config| Some(config.limits.pre_auth.to_string()),
        set: |config, value| value.whole(1..=100_000).map(|count| config.limits.pre_auth = count),
    },
    Key {
        name: "limits.pre_auth_per_ip",
        flag: None,
        placeholder: "N",
        help: "Most connections of one address that have not logged in yet; more are turned away",
        rule: "a whole number, 1 to 100000",
        example: "",
        written: |config| Some(config.limits.pre_auth_per_ip.to_string()),
        set: |config, value| value.whole(1..=100_000).map(|count| config.limits.pre_auth_per_ip = count),
    },
    Key {
        name: "shutdown.grace",
        flag: None,
        placeholder: "SECONDS",
        help: "How long clients have between being told that the edge ends and the end",
        rule: "0 to 60 seconds",
        example: "",
        written: |config| Some(format!("{:?}", config.shutdown_grace.as_secs_f64())),
        set: |config, value| value.seconds(0.0..=60.0).map(|time| config.shutdown_grace = time),
    },
];

/// A basic string of TOML: Rust writes one in the same way as long as nothing in it is unprintable, as in no default.
fn quoted(text: impl std::fmt::Display) -> String {
    format!("{:?}", text.to_string())
}

/// An array of basic strings, unless it is empty.
fn list<T: std::fmt::Display>(items: &[T]) -> Option<String> {
    let items: Vec<_> = items.iter().map(quoted).collect();
    (!items.is_empty()).then(|| format!("[{}]", items.join(", ")))
}
