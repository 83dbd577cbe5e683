//! What no source may say, and what is shown of it.

use super::*;

#[test]
fn unknown_names_are_refused_with_the_nearest_key() {
    let file = "lgo = 'warn'\nmax_sessions = 3\n[archipelago]\n\nflush_intervall = 2\n[archipelag]\nmax_peers = 3\n[x]\n[[limits]]\n";
    let refused = Given::file(file).refused();
    assert_eq!(
        refused,
        [
            "FILE:1: there is no key lgo; the nearest is log",
            "FILE:2: there is no key max_sessions; the nearest is limits.max_sessions",
            "FILE:5: there is no key archipelago.flush_intervall; the nearest is archipelago.flush_interval",
            "FILE:7: there is no key archipelag.max_peers; the nearest is archipelago.max_peers",
            "FILE:8: there is no key x; the nearest is log",
            "FILE:9: there is no key limits; the nearest is limits.max_sessions",
        ]
    );
    let refused = variable("ATOLL_ARCHIPELAGO__MAXPEERS", "1").refused();
    let nearest = "there is no key archipelago.maxpeers; the nearest is ATOLL_ARCHIPELAGO__MAX_PEERS";
    assert_eq!(refused, [format!("ATOLL_ARCHIPELAGO__MAXPEERS: {nearest}")]);
    // Variables of others.
    let others = variable("ATOLL_BIN", "x").variable("ATOLL_URL", "y").variable("HOME__X", "z");
    assert_eq!(others.read().unwrap(), Config::default());
}

#[test]
fn each_source_is_held_to_the_same_bounds() {
    for (name, right, wrong) in [
        ("state_dir", &["/x", "x/y z"][..], &["", "~/x"][..]),
        ("log", &["warn,atoll=debug", "off"], &["atoll=loud"]),
        ("server.name", &["eu-1"], &["", "EU", "a.b"]),
        ("quic.listen", &["[::]:7443"], &["localhost:7443", "127.0.0.1", "127.0.0.1:65536"]),
        ("http.listen", &["0.0.0.0:0"], &["7480"]),
        ("archipelago.flush_interval", &["0.05", "86400", "2"], &["0.04", "86400.1", "0", "NaN", "inf", "-1", "2s"]),
        ("archipelago.join_distance", &["1", "80"], &["0.9", "100001", "-1", "NaN"]),
        ("archipelago.leave_distance", &["64", "100000"], &["0", "inf"]),
        ("archipelago.max_peers", &["1", "1000"], &["0", "1001", "1.5", "-1", "many"]),
        ("archipelago.peer_timeout", &["2", "86400"], &["1.9", "0", "never"]),
        ("archipelago.room_prefix", &["I", "a_b-c"], &["", "a.b", "123456789012345678901234567890123"]),
        ("limits.max_sessions", &["1", "100000"], &["0", "100001", "1e3"]),
        ("limits.max_room_members", &["100", "1000"], &["0", "1001"]),
        ("limits.pre_auth", &["1", "100000"], &["0", "100001"]),
        ("limits.pre_auth_per_ip", &["1", "100000"], &["0", "100001"]),
        ("public_peers", &["true", "false"], &["no"]),
        ("kernels.bff_p2p", &["true", "false"], &["maybe"]),
        ("kernels.bff_coordinates", &["double", "float"], &["Double", "f32"]),
        ("kernels.archipelago_ws_room", &["true", "false"], &["yes"]),
        ("limits.http_rate", &["1", "1000000"], &["0", "1000001"]),
        ("limits.http_burst", &["10", "1000000"], &["9", "1000001"]),
        (
            "comms.fixed_adapter",
            &["offline:offline", "livekit:wss://a?b=c"],
            &["", "offline", "fixed-adapter:offline:x"],
        ),
        ("catalyst.content_url", &["http://127.0.0.1:6969", "https://a/content/"], &["", "a", "https://a/b?c"]),
        ("catalyst.lambdas_url", &["https://a/lambdas"], &["", "ftp://a", "https://u:p@a"]),
        ("ethereum.network", &["mainnet", "goerli", "sepolia"], &["", "Mainnet", "1"]),
        ("ethereum.rpc_url", &["http://127.0.0.1:8545", "https://a/b?c=d"], &["", "a", "ws://a"]),
        ("transport.default", &["ws", "livekit"], &["", "WS", "p2p"]),
        ("ws_room.secret", &["sixteen bytes or"], &["", "fifteen bytes o"]),
        ("ws_room.former_secret", &["sixteen bytes or"], &["", "fifteen bytes o"]),
        ("livekit.enabled", &["true", "false"], &["yes"]),
        ("livekit.listen", &["[::]:7882", "127.0.0.1:0"], &["localhost:7882", "127.0.0.1"]),
        ("livekit.tcp", &["true", "false"], &["no"]),
        ("livekit.api_key", &["k"], &["", "a b"]),
        ("livekit.api_secret", &["sixteen bytes or"], &["", "fifteen bytes o"]),
        ("livekit.former_api_key", &["k"], &["", "a b"]),
        ("livekit.former_api_secret", &["sixteen bytes or"], &["", "fifteen bytes o"]),
        ("livekit.url", &["wss://a", "ws://[::1]:7880/x"], &["", "a", "https://a", "wss://a?b"]),
        ("quic.gso", &["true", "false"], &["yes", "1", "TRUE"]),
        ("tls.certificate", &["/x"], &["", "~/x"]),
        ("tls.key", &["/x"], &["", "~/x"]),
        ("public.http_url", &["https://a", "http://[::1]:8/"], &["", "a", "https://a/b", "wss://a"]),
        ("public.quic_url", &["https://a:1"], &["", "http://a", "a:1"]),
        ("session.resume_window", &["0", "3600", "0.5"], &["-1", "3601", "NaN"]),
        ("room.tick", &["0", "0.02", "1"], &["-0.1", "1.1", "fast"]),
        ("shutdown.grace", &["0", "60"], &["-1", "61"]),
        ("region.allow_split", &["true", "false"], &["1"]),
        ("nats.user", &["me"], &[""]),
        ("nats.password", &["p w"], &[""]),
        ("nats.token", &["t"], &[""]),
        ("nats.nkey", &["SUAB"], &[""]),
        ("nats.credentials", &["/x"], &["", "~/x"]),
        ("nats.roots", &["/x"], &["", "~/x"]),
        ("nats.certificate", &["/x"], &["", "~/x"]),
        ("nats.key", &["/x"], &["", "~/x"]),
        ("nats.engine_subjects", &["true", "false"], &["on"]),
        ("nats.documented_subjects", &["true", "false"], &["on"]),
        ("nats.documented_heartbeats", &["true", "false"], &["on"]),
        ("nats.client_proto_coordinates", &["double", "float"], &["doubles"]),
        ("nats.engine_coordinates", &["double", "float"], &["f32"]),
    ] {
        let key = key_of(name);
        let sample = key.default_value().unwrap_or_else(|| key.example.to_owned());
        let quotes = if sample.starts_with('"') { "\"" } else { "" };
        let line = |text: &str| format!("\n{name} = {quotes}{text}{quotes}{}", partner(name));
        for text in right {
            let by_flag = Given::file(partner(name)).flag(name, text).read().unwrap();
            assert_eq!(Given::file(&line(text)).read().unwrap(), by_flag, "{name} {text}");
            let by_variable = Given::file(partner(name)).variable(&key.variable(), text);
            assert_eq!(by_variable.read().unwrap(), by_flag, "{name} {text}");
        }
        for text in wrong {
            let end = |shown: &str| format!("{name} = {shown} is refused: it has to be {}", key.rule);
            let shown = &*key.shown(if text.is_empty() { "\"\"" } else { text });
            let flag = key.flag.unwrap_or(name);
            assert_eq!(Given::default().flag(name, text).refused(), [format!("--{flag}: {}", end(shown))]);
            if !text.is_empty() {
                assert_eq!(variable(&key.variable(), text).refused(), [format!("{}: {}", key.variable(), end(shown))]);
            }
            // A bare word is not TOML at all.
            let [refused] = &Given::file(&line(text)).refused()[..] else { panic!("one problem: {name} {text}") };
            let as_value = format!("FILE:2: {}", end(&key.shown(&format!("{quotes}{text}{quotes}"))));
            assert!(*refused == as_value || refused.starts_with("FILE:2: not TOML: "), "{refused}");
        }
    }
}

#[test]
fn wrong_types_in_the_file_are_refused() {
    for (line, shown) in [
        ("archipelago.max_peers = \"5\"", "archipelago.max_peers = \"5\""),
        ("archipelago.max_peers = 5.0", "archipelago.max_peers = 5.0"),
        ("archipelago.join_distance = inf", "archipelago.join_distance = inf"),
        ("archipelago.flush_interval = true", "archipelago.flush_interval = true"),
        ("server.name = 7", "server.name = 7"),
        ("log = ['warn']", "log = ['warn']"),
        ("[log]", "log = [log]"),
        ("limits.max_sessions = 99999999999999999999999999", "limits.max_sessions = 99999999999999999999999999"),
    ] {
        let refused = Given::file(line).refused();
        assert!(refused.len() == 1 && refused[0].starts_with(&format!("FILE:1: {shown} is refused")), "{refused:?}");
    }
    assert_eq!(Given::file("limits.max_sessions = 0x10").read().unwrap().limits.max_sessions, 16);
}

#[test]
fn a_wrong_value_is_refused_even_where_another_goes_before_it() {
    let given = Given::file("server.name = 'EU'").variable("ATOLL_SERVER_NAME", "eu").flag("http.listen", "x");
    let refused = given.refused();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("FILE:1: server.name = 'EU'") && refused[1].starts_with("--http: "), "{refused:?}");
}

#[test]
fn two_variables_for_one_key_are_refused() {
    let refused = variable("ATOLL_QUIC__LISTEN", "127.0.0.1:1").variable("ATOLL_QUIC", "127.0.0.1:1").refused();
    assert_eq!(refused, ["ATOLL_QUIC and ATOLL_QUIC__LISTEN are both quic.listen: set one of them"]);
    assert!(variable("ATOLL_QUIC__LISTEN", "").variable("ATOLL_QUIC", "127.0.0.1:1").read().is_ok());
}

#[test]
fn files_that_are_none_are_refused() {
    let refused = Given::file("server.name = 'a'\nserver.name = 'b'\n").refused();
    assert!(refused[0].starts_with("FILE:2: not TOML: duplicate key"), "{refused:?}");
    let refused = Given::file("[archipelago\n").refused();
    assert!(refused[0].starts_with("FILE:1: not TOML: "), "{refused:?}");
    let refused = Given::file(&"#\n".repeat(600_000)).refused();
    assert_eq!(refused, ["FILE: cannot be read: more than 1 MiB"]);
    let refused = variable("ATOLL_CONFIG", "/nowhere/atoll.toml").refused();
    assert!(refused[0].starts_with("/nowhere/atoll.toml: cannot be read: "), "{refused:?}");
    // Deep nesting ends in an error, not in an overflow.
    assert!(!Given::file(&format!("a = {}", "[".repeat(100_000))).refused().is_empty());
    assert!(!Given::file(&format!("{}a = 1", "a.".repeat(100_000))).refused().is_empty());
}

#[test]
fn a_secret_that_is_refused_is_not_shown() {
    let secrets = KEYS.iter().filter(|key| ["nats.password", "nats.token", "nats.nkey"].contains(&key.name));
    let others = ["ws_room.secret", "ws_room.former_secret", "livekit.api_secret", "livekit.former_api_secret"];
    for key in secrets.chain(others.map(key_of)) {
        let (section, name) = key.name.split_once('.').unwrap();
        let refused = Given::file(&format!("[{section}]\n{name} = ['hush']")).refused();
        assert_eq!(refused, [format!("FILE:2: {} = … is refused: it has to be {}", key.name, key.rule)]);
    }
    // Whose value is hidden once it is set is hidden when it is refused, too.
    let hidden = |key: &&Key| key.example.contains("secret") || key.shown("x") == "…";
    assert!(KEYS.iter().filter(hidden).all(|key| key.shown("x") == "…"));
    let refused = Given::file("[nats]\nurl = ['http://user:hush@a']").refused();
    assert!(refused[0].contains("nats.url = … is refused"), "{refused:?}");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = OsString::from_vec(vec![b'/', 0xff]);
    let environment = vec![("ATOLL_STATE_DIR".into(), bytes)];
    let problems = Config::read(Sources { environment, ..Sources::default() }).unwrap_err().0;
    assert!(problems[0].to_string().starts_with("ATOLL_STATE_DIR: state_dir = /\u{fffd} is refused"), "{problems:?}");
}

#[test]
fn long_values_are_shown_shortened() {
    let refused = Given::file(&format!("server.name = '{}'", "ä".repeat(500))).refused();
    assert!(refused[0].contains("ä… is refused") && refused[0].chars().count() < 200, "{refused:?}");
}
