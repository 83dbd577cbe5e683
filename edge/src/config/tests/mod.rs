//! The configuration from its sources.

mod refused;

use super::*;
use std::io::Write;
use tempfile::NamedTempFile;

/// Sources under construction.
#[derive(Default)]
struct Given {
    file: Option<NamedTempFile>,
    sources: Sources,
}

impl Given {
    fn file(text: &str) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        Self { file: Some(file), sources }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &str, text: &str) -> Self {
        self.sources.flags.push((key_of(key), text.to_owned()));
        self
    }

    fn read(self) -> Result<Config, ConfigError> {
        let result = Config::read(self.sources);
        drop(self.file);
        result
    }

    /// What is wrong, with `FILE` for the path.
    fn refused(self) -> Vec<String> {
        let path = self.sources.file.as_ref().map(|path| path.display().to_string());
        let problems = self.read().unwrap_err().0;
        let named = |text: String| path.as_ref().map_or(text.clone(), |path| text.replace(path, "FILE"));
        problems.iter().map(|problem| named(problem.to_string())).collect()
    }
}

fn key_of(name: &str) -> &'static Key {
    KEYS.iter().find(|key| key.name == name).unwrap()
}

fn variable(name: &str, value: &str) -> Given {
    Given::default().variable(name, value)
}

/// What has to stand in the file beside some keys.
fn partner(key: &str) -> &'static str {
    match key {
        "tls.certificate" => "\ntls.key = '/partner'",
        "tls.key" => "\ntls.certificate = '/partner'",
        "livekit.api_key" => "\nlivekit.api_secret = 'sixteen bytes or'",
        "livekit.api_secret" => "\nlivekit.api_key = 'partner'",
        "livekit.former_api_key" => "\nlivekit.former_api_secret = 'sixteen bytes or'",
        "livekit.url" => "\nlivekit.api_key = 'partner'\nlivekit.api_secret = 'sixteen bytes or'",
        "nats.user" => "\nnats.url = ['nats://a']\nnats.password = 'partner'",
        "nats.password" => "\nnats.url = ['nats://a']\nnats.user = 'partner'",
        "nats.certificate" => "\nnats.url = ['nats://a']\nnats.key = '/partner'",
        "nats.key" => "\nnats.url = ['nats://a']\nnats.certificate = '/partner'",
        "nats.token" | "nats.nkey" | "nats.credentials" | "nats.roots" | "roles" => "\nnats.url = ['nats://a']",
        _ => "",
    }
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(Config::read(Sources::default()).unwrap(), Config::default());
    assert_eq!(Given::file("").read().unwrap(), Config::default());
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let peers = |given: Given| given.read().unwrap().archipelago.max_peers;
    let file = || Given::file("[archipelago]\nmax_peers = 10\n");
    let both = || file().variable("ATOLL_ARCHIPELAGO__MAX_PEERS", "20");
    assert_eq!(peers(Given::default()), 100);
    assert_eq!(peers(file()), 10);
    assert_eq!(peers(both()), 20);
    assert_eq!(peers(both().flag("archipelago.max_peers", "30")), 30);
    assert_eq!(peers(file().flag("archipelago.max_peers", "30")), 30);
}

#[test]
fn a_source_that_is_silent_leaves_what_a_weaker_one_said() {
    let file = "state_dir = '/a'\nroles = ['edge']\nlog = 'error'\ntrusted_proxies = ['10.0.0.1']\nallowed_origins = ['http://o']\npublic_peers = false\nethereum.rpc_url = 'http://e'\nethereum.network = 'goerli'\ncomms.fixed_adapter = 'offline:x'\ncatalyst.content_url = 'http://c'\ncatalyst.lambdas_url = 'http://l'\nquic.gso = false\nserver.name = 'f'\nquic.listen = '[::1]:1'\nhttp.listen = '[::1]:2'\n\
                [archipelago]\nflush_interval = 3\njoin_distance = 11\nleave_distance = 12.5\nmax_peers = 13\n\
                peer_timeout = 14\nroom_prefix = 'f'\n[limits]\nmax_sessions = 15\nmax_room_members = 16\npre_auth = 20\npre_auth_per_ip = 17\nhttp_rate = 21\nhttp_burst = 22\n\
                [tls]\ncertificate = '/c'\nkey = '/k'\n[public]\nhttp_url = 'http://h'\nquic_url = 'https://q:1'\n\
                ips = ['::2']\n[session]\nresume_window = 18\n[room]\ntick = 0.5\n[rooms]\nrules = ['x open']\n[ws_room]\nsecret = '0123456789abcdef'\nformer_secret = '0123456789abcdef'\nurl = 'http://r'\n[transport]\ndefault = 'livekit'\n[livekit]\nenabled = false\nlisten = '[::1]:3'\ntcp = false\nice_servers = ['stun:s']\napi_key = 'k'\napi_secret = '0123456789abcdef'\nformer_api_key = 'f'\nformer_api_secret = '0123456789abcdef'\nwebhook_urls = ['http://w']\nurl = 'wss://l'\n[kernels]\nbff_p2p = true\nbff_coordinates = 'float'\narchipelago_ws_room = false\n[region]\nallow_split = true\n[nats]\nurl = ['nats://n']\nuser = 'u'\npassword = 'p'\nroots = '/r'\ncertificate = '/c'\nkey = '/k'\n\
                engine_subjects = false\ndocumented_subjects = false\ndocumented_heartbeats = true\nclient_proto_coordinates = 'float'\nengine_coordinates = 'double'\n[shutdown]\ngrace = 19\n";
    let config = Given::file(file).read().unwrap();
    // Of the ways to say who one is there can be one.
    let others = ["nats.token", "nats.nkey", "nats.credentials"];
    for key in KEYS.iter().filter(|key| !others.contains(&key.name)) {
        assert_ne!((key.written)(&config), key.default_value(), "{}", key.name);
    }
    let with = Given::file(file).variable("ATOLL_ARCHIPELAGO__MAX_PEERS", "9").variable("ATOLL_SERVER_NAME", "");
    let mut expected = config;
    expected.archipelago.max_peers = 9;
    expected.http_listen.set_port(3);
    assert_eq!(with.flag("http.listen", "[::1]:3").read().unwrap(), expected);
}

#[test]
fn each_key_can_be_given_by_each_of_its_names() {
    // What is true of every key: its sample value, by every variable and by its flag, reads as the same configuration.
    for key in KEYS {
        let toml = key.default_value().unwrap_or_else(|| key.example.to_owned());
        let text = toml.replace(['"', '[', ']'], "");
        let by_file = Given::file(&format!("{} = {toml}{}", key.name, partner(key.name))).read().unwrap();
        for name in key.variables() {
            let given = Given::file(partner(key.name)).variable(&name, &text);
            assert_eq!(given.read().unwrap(), by_file, "{name}");
        }
        let given = Given::file(partner(key.name)).flag(key.name, &text);
        assert_eq!(given.read().unwrap(), by_file, "{}", key.name);
        assert!(toml == "true" || key.default_value().is_some() || by_file != Config::default(), "{}", key.name);
    }
    for (key, names) in [
        ("quic.listen", &["ATOLL_QUIC", "ATOLL_QUIC__LISTEN"][..]),
        ("http.listen", &["ATOLL_HTTP", "ATOLL_HTTP__LISTEN"]),
        ("livekit.listen", &["ATOLL_LIVEKIT", "ATOLL_LIVEKIT__LISTEN"]),
        ("server.name", &["ATOLL_SERVER_NAME", "ATOLL_SERVER__NAME"]),
        ("state_dir", &["ATOLL_STATE_DIR"]),
        ("log", &["ATOLL_LOG"]),
        ("limits.max_sessions", &["ATOLL_LIMITS__MAX_SESSIONS"]),
        ("trusted_proxies", &["ATOLL_TRUSTED_PROXIES"]),
        ("tls.key", &["ATOLL_TLS_KEY", "ATOLL_TLS__KEY"]),
        ("public.http_url", &["ATOLL_PUBLIC_HTTP_URL", "ATOLL_PUBLIC__HTTP_URL"]),
    ] {
        assert_eq!(key_of(key).variables().collect::<Vec<_>>(), names);
    }
}

#[test]
fn names_of_keys_are_unique_and_sections_stand_together() {
    let mut names: Vec<_> = KEYS.iter().flat_map(Key::variables).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    let section = |key: &Key| key.name.rsplit_once('.').map_or("", |(section, _)| section);
    let sections = KEYS.chunk_by(|one, other| section(one) == section(other)).map(|keys| section(&keys[0]));
    assert_eq!(
        sections.collect::<Vec<_>>(),
        [
            "",
            "server",
            "quic",
            "http",
            "tls",
            "public",
            "session",
            "room",
            "rooms",
            "transport",
            "ws_room",
            "livekit",
            "kernels",
            "comms",
            "catalyst",
            "ethereum",
            "archipelago",
            "region",
            "nats",
            "limits",
            "shutdown"
        ]
    );
}

#[test]
fn the_sample_names_every_key_and_reads_as_the_defaults() {
    let sample = sample();
    assert_eq!(Given::file(&sample).read().unwrap(), Config::default());
    // With what is commented out, too, it names every key that there is.
    let uncommented =
        |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
    let whole: Vec<_> = sample.lines().map(uncommented).collect();
    let file = Given::file(&whole.join("\n"));
    let mut problems = Vec::new();
    let settings = file::read(file.sources.file.as_deref().unwrap(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let mut named: Vec<_> = settings.iter().map(|setting| setting.key.name).collect();
    let mut known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
    // All goes together, but for the ways to say who one is on NATS.
    assert_eq!(file.refused().len(), 1);
    let one_way = |line: &&String| !["token = ", "nkey = ", "credentials = "].iter().any(|key| line.starts_with(key));
    let whole: Vec<_> = whole.iter().filter(one_way).cloned().collect();
    assert!(Given::file(&whole.join("\n")).read().unwrap().state_dir.is_some());
}

#[test]
fn the_documents_are_true() {
    let page = include_str!("../../../../docs/configuration.md");
    assert!(page.contains(&sample()), "docs/configuration.md has the sample, as `atoll config` prints it");
    let readme = include_str!("../../../../README.md");
    for key in KEYS {
        let Some(flag) = key.flag else { continue };
        let row = readme.lines().find(|line| line.starts_with(&format!("| `--{flag}")));
        let row = row.unwrap_or_else(|| panic!("the README has no row for --{flag}"));
        assert!(key.variables().any(|variable| row.contains(&format!("`{variable}`"))), "{row}");
        assert!(row.contains(&format!("`{}`", key.name)), "{row}");
        if let Some(default) = key.default_value() {
            assert!(row.contains(&format!("`{}`", default.trim_matches('"'))), "{row}");
        }
    }
}

#[test]
fn values_have_to_go_together() {
    let refused = Given::file("[archipelago]\nleave_distance = 50").refused();
    let why = "the same peers would merge and split for ever";
    assert_eq!(
        refused,
        [format!(
            "archipelago.leave_distance = 50 (FILE:2) is less than archipelago.join_distance = 64 (default): {why}"
        )]
    );
    let refused = variable("ATOLL_LIMITS__MAX_ROOM_MEMBERS", "50").flag("archipelago.max_peers", "51").refused();
    let sides = "limits.max_room_members = 50 (ATOLL_LIMITS__MAX_ROOM_MEMBERS) is less than archipelago.max_peers = 51";
    assert_eq!(refused, [format!("{sides} (--archipelago-max-peers): an island's room would turn members away")]);
    let equal = Given::default().flag("archipelago.join_distance", "80");
    assert_eq!(equal.read().unwrap().archipelago.join_distance, 80.0);
}

#[test]
fn a_list_is_an_array_in_the_file_and_separated_by_commas_elsewhere() {
    for (name, items, wrong) in [
        ("trusted_proxies", ["10.0.0.0/8", "::1"], "10.0.0.1/8"),
        ("allowed_origins", ["https://a.example", "http://localhost:8000"], "a.example"),
        ("livekit.webhook_urls", ["http://127.0.0.1:1/hook", "https://a.example/hook"], "ws://a.example"),
        ("public.ips", ["203.0.113.7", "2001:db8::7"], "edge.example"),
    ] {
        let key = key_of(name);
        let both = Given::file(&format!("{name} = ['{}', '{}']", items[0], items[1])).read().unwrap();
        let one = Given::file(&format!("{name} = ['{}']", items[0])).read().unwrap();
        assert_ne!(one, both);
        for separator in [",", ", ", " , "] {
            assert_eq!(variable(&key.variable(), &items.join(separator)).read().unwrap(), both, "{name}");
        }
        assert_eq!(Given::default().flag(name, items[0]).read().unwrap(), one, "{name}");
        // The stronger source's list stands alone: lists are not added up.
        let given = Given::file(&format!("{name} = ['{}', '{}']", items[0], items[1]));
        assert_eq!(given.variable(&key.variable(), items[0]).read().unwrap(), one, "{name}");
        let refused = |value: &str| format!("{name} = {value} is refused: it has to be {}", key.rule);
        for value in [format!("['{wrong}']"), format!("['{}', 7]", items[0]), format!("'{}'", items[0]), "7".to_owned()]
        {
            let given = Given::file(&format!("{name} = {value}"));
            assert_eq!(given.refused(), [format!("FILE:1: {}", refused(&value))]);
        }
        for text in [wrong.to_owned(), format!("{},", items[0]), format!("{},,{}", items[0], items[1])] {
            assert_eq!(variable(&key.variable(), &text).refused(), [format!("{}: {}", key.variable(), refused(&text))]);
        }
        let items_of = |count| Given::default().flag(name, &vec![items[0]; count].join(","));
        assert!(items_of(64).read().is_ok() && items_of(65).read().is_err(), "{name}");
    }
}

#[test]
fn a_certificate_needs_its_key() {
    for (given, missing) in [("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")] {
        let refused = Given::file(&format!("{given} = '/x'")).refused();
        assert_eq!(refused, [format!("{given} (FILE:1) needs {missing}")]);
        let by_two_sources = Given::file(&format!("{given} = '/x'")).flag(missing, "/y");
        assert!(by_two_sources.read().is_ok());
    }
}

#[test]
fn the_variable_names_a_file_and_the_flag_another() {
    let file = Given::file("server.name = 'one'");
    let other = Given::file("server.name = 'other'");
    let path = file.sources.file.as_ref().unwrap().to_str().unwrap();
    assert_eq!(variable("ATOLL_CONFIG", path).read().unwrap().server_name.as_str(), "one");
    assert_eq!(other.variable("ATOLL_CONFIG", path).read().unwrap().server_name.as_str(), "other");
    assert_eq!(variable("ATOLL_CONFIG", "").read().unwrap(), Config::default());
}

#[test]
fn the_archipelago_is_the_originals_but_for_the_prefix() {
    let settings = Config::default().archipelago.service([0xab; 12]);
    assert_eq!((settings.engine.join_distance, settings.engine.leave_distance), (64.0, 80.0));
    assert_eq!((settings.engine.max_peers, settings.flush_interval.as_secs()), (100, 2));
    assert_eq!((settings.peer_timeout.as_secs(), &*settings.engine.room_prefix), (60, "Iabababab-"));
    let plain = Given::default().flag("archipelago.room_prefix", "I").read().unwrap();
    assert_eq!(plain.archipelago.service([0xab; 12]).engine.room_prefix, "I");
}
