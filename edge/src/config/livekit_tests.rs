use super::super::{Config, ConfigError, Sources};
use super::*;
use atoll_core::Address;
use atoll_core::region::DefaultTransport;

const ONE: [(&str, &str); 2] =
    [("ATOLL_LIVEKIT__API_KEY", "APIone"), ("ATOLL_LIVEKIT__API_SECRET", "the first of secrets")];

fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Config::read(Sources { environment, ..Sources::default() })
}

fn keys(livekit: &Livekit, kept: u8) -> LivekitKeys {
    livekit.keys(|| Ok::<_, ()>([kept; LIVEKIT_KEY_BYTES])).unwrap()
}

fn minted(keys: &LivekitKeys) -> String {
    keys.mint("x", Address([1; 20]), None, 0).unwrap()
}

#[test]
fn keys_are_the_operators_or_kept() {
    let before = with(&ONE).unwrap().livekit;
    let (old_keys, secret) = (keys(&before, 0), ("ATOLL_LIVEKIT__API_SECRET", "another of secrets"));
    assert_eq!(old_keys.api_key(), "APIone");
    let old = minted(&old_keys);
    let former_secret = ("ATOLL_LIVEKIT__FORMER_API_SECRET", ONE[1].1);
    for rotated in [
        // Another secret of the same API key, and another API key with its secret.
        &[ONE[0], secret, former_secret][..],
        &[("ATOLL_LIVEKIT__API_KEY", "APItwo"), secret, ("ATOLL_LIVEKIT__FORMER_API_KEY", "APIone"), former_secret],
    ] {
        let after = with(rotated).unwrap().livekit;
        let new_keys = keys(&after, 0);
        let new = minted(&new_keys);
        assert!(new_keys.read(&old, 0).is_ok() && new_keys.read(&new, 0).is_ok());
        assert!(old_keys.read(&new, 0).is_err());
        assert!(!format!("{after:?}").contains("of secrets"));
    }
    let of_bytes = keys(&Livekit::default(), 0xab);
    assert_eq!(of_bytes.api_key(), "APIabababababababab");
    let spelled = LivekitKeys::new("APIabababababababab", &"ab".repeat(32), None);
    assert!(spelled.read(&minted(&of_bytes), 0).is_ok());
    assert!(keys(&Livekit::default(), 1).read(&minted(&of_bytes), 0).is_err());
    assert!(Livekit::default().keys(|| Err("no disk")).is_err());
    let refused = with(&[ONE[0], ("ATOLL_LIVEKIT__API_SECRET", "too short, yes")]).unwrap_err().to_string();
    assert!(refused.contains("livekit.api_secret = … is refused") && !refused.contains("too short"), "{refused}");
}

#[test]
fn the_door_is_here_unless_it_is_elsewhere() {
    let door = |variables: &[(&str, &str)]| {
        let config = with(&[&ONE[..], variables].concat()).unwrap();
        config.livekit.door(&config.public)
    };
    let usual = door(&[]).unwrap();
    assert_eq!((usual.listen.to_string().as_str(), usual.tcp), ("127.0.0.1:7882", true));
    assert!(usual.ice_servers.is_empty() && usual.public_ips.is_empty());
    let servers = "stun:stun.example.org, turn:turn.example.org:3478?transport=udp me hush";
    let other = door(&[
        ("ATOLL_LIVEKIT", "[::]:0"),
        ("ATOLL_LIVEKIT__TCP", "false"),
        ("ATOLL_LIVEKIT__ICE_SERVERS", servers),
        ("ATOLL_PUBLIC__IPS", "203.0.113.7"),
    ])
    .unwrap();
    assert_eq!((other.listen.to_string().as_str(), other.tcp), ("[::]:0", false));
    assert_eq!(other.public_ips, [IpAddr::from([203, 0, 113, 7])]);
    let [stun, turn] = &other.ice_servers[..] else { panic!("{other:?}") };
    assert_eq!((stun.urls[0].as_str(), &stun.username), ("stun:stun.example.org", &None));
    assert_eq!(turn.urls, ["turn:turn.example.org:3478?transport=udp"]);
    assert_eq!((turn.username.as_deref(), turn.credential.as_deref()), (Some("me"), Some("hush")));
    assert!(!format!("{other:?}").contains("hush"));
    for off in [("ATOLL_LIVEKIT__ENABLED", "false"), ("ATOLL_LIVEKIT__URL", "wss://livekit.example.org")] {
        assert!(door(&[off]).is_none(), "{off:?}");
    }
}

#[test]
fn the_default_has_to_be_served() {
    let default = ("ATOLL_TRANSPORT__DEFAULT", "livekit");
    let outside = [ONE[0], ONE[1], ("ATOLL_LIVEKIT__URL", "wss://livekit.example.org/x/")];
    assert_eq!(with(&[default]).unwrap().rooms.transport, DefaultTransport::Livekit);
    let elsewhere = with(&[&[default, ("ATOLL_LIVEKIT__ENABLED", "false")][..], &outside].concat()).unwrap();
    assert_eq!(elsewhere.livekit.url.unwrap().as_str(), "wss://livekit.example.org/x");
    let why = |variables: &[(&str, &str)]| with(variables).unwrap_err().to_string();
    let off = why(&[default, ("ATOLL_LIVEKIT__ENABLED", "false")]);
    assert!(off.contains("transport.default = livekit (ATOLL_TRANSPORT__DEFAULT) leads nowhere"), "{off}");
    let no_edge = [("ATOLL_ROLES", "archipelago"), ("ATOLL_NATS", "nats://a"), default];
    assert!(why(&no_edge).contains("leads nowhere"));
    assert!(with(&[&no_edge[..], &outside].concat()).is_ok());
    // Whose tokens another server is to take has to be said, and each secret belongs to a key.
    assert!(why(&[outside[2]]).contains("livekit.url (ATOLL_LIVEKIT__URL) needs livekit.api_key"));
    assert!(why(&[ONE[0]]).contains("needs livekit.api_secret") && why(&[ONE[1]]).contains("needs livekit.api_key"));
}

#[test]
fn what_is_no_ice_server_is_refused() {
    for right in ["stun:a", "stuns:[::1]:5349", "turn:a u p", "turns:a:443?transport=tcp u p,!"] {
        assert!(right.parse::<IceServer>().is_ok(), "{right}");
    }
    for wrong in [
        "",
        "stun",
        "stun:",
        "stun:a?transport=udp",
        "stun:a u p",
        "stun://a",
        "turn:a",
        "turn:a u",
        "turn:a u p q",
        "turn:a?transport=sctp u p",
        "turn:u@a u p",
        "turn:a:0 u p",
        "http:a",
    ] {
        assert_eq!(wrong.parse::<IceServer>(), Err(IceServerError), "{wrong}");
    }
}

#[test]
fn a_livekit_elsewhere_has_a_websocket() {
    for (right, url) in [
        ("wss://a", "wss://a"),
        ("ws://[::1]:7880/", "ws://[::1]:7880"),
        ("wss://a:443/livekit", "wss://a:443/livekit"),
    ] {
        assert_eq!(right.parse::<LivekitUrl>().unwrap().as_str(), url);
    }
    for wrong in ["", "a", "https://a", "wss://", "wss:///x", "wss://u:p@a", "wss://a?b=c", "wss://a#b", "wss://a:0"] {
        assert_eq!(wrong.parse::<LivekitUrl>(), Err(LivekitUrlError), "{wrong}");
    }
}
