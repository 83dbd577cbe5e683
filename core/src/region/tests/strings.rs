//! What clients are told of the way to a room, by what they can use and what is served.

use super::*;
use crate::auth::{LivekitKeys, LivekitToken, RoomKeys};
use crate::room::SessionId;

const WS_ROOM: &str = "ws-room:wss://edge.example.org/base/rooms/I7?access_token=";
const FIRST_WS_ROOM: &str = "ws-room:wss://edge.example.org/base/ws-rooms/I7?access_token=";
const LIVEKIT: &str = "livekit:wss://edge.example.org/base?access_token=";

fn keys() -> RoomKeys {
    RoomKeys::new(b"the secret of these tests", None)
}

fn livekit_keys() -> LivekitKeys {
    LivekitKeys::new("APItest", "the secret of these tests", None)
}

fn ws_rooms(foreign_url: Option<&str>) -> Box<dyn TransportStrings> {
    let url = "wss://edge.example.org/base".to_owned();
    Box::new(WsRooms { url, foreign_url: foreign_url.map(str::to_owned), keys: keys() })
}

fn livekit(is_outside: bool) -> Box<dyn TransportStrings> {
    let url = "wss://edge.example.org/base".to_owned();
    Box::new(LivekitRooms { url, is_outside, keys: livekit_keys() })
}

fn strings(default: DefaultTransport, transports: Vec<Box<dyn TransportStrings>>) -> ByCapabilities {
    ByCapabilities { default, transports, host: Arc::new(TestHost(Instant::now())) }
}

/// What a session is told whose client has these transports.
fn write(strings: &ByCapabilities, transports: &[Transport]) -> String {
    let client = transports.iter().fold(Capabilities::NONE, |all, transport| all.with(*transport));
    strings.write("I7", address(1), SessionId(3), client)
}

/// The token for LiveKit at the end of a string that begins so.
fn livekit_token(string: &str, start: &str) -> LivekitToken {
    livekit_keys().verify(string.strip_prefix(start).unwrap(), "I7", 0).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_default_goes_first_then_whatever_is_served() {
    use Transport::{FirstWsRoom, Livekit, P2p, Quic, WsRoom};
    // The generations of kernels: July to October 2022, until 2023, and archipelago's clients of 2023 with and without rooms.
    let generations = [&[FirstWsRoom, Livekit, P2p][..], &[WsRoom, Livekit, P2p], &[Livekit, WsRoom], &[Livekit]];
    for (default, starts) in
        [(DefaultTransport::Ws, [FIRST_WS_ROOM, WS_ROOM, WS_ROOM, LIVEKIT]), (DefaultTransport::Livekit, [LIVEKIT; 4])]
    {
        for served in [vec![ws_rooms(None), livekit(false)], vec![livekit(false), ws_rooms(None)]] {
            let strings = strings(default, served);
            for (transports, start) in generations.into_iter().zip(starts) {
                let string = write(&strings, transports);
                assert!(string.starts_with(start), "{default} {transports:?}: {string}");
            }
            assert_eq!(write(&strings, &[Quic, WsRoom, Livekit]), "quic:I7");
            for none in [&[][..], &[P2p]] {
                assert_eq!(write(&strings, none), OFFLINE);
            }
        }
        // What is not served is not tried.
        let without = strings(default, vec![ws_rooms(None)]);
        let told = generations.map(|transports| write(&without, transports));
        assert!(told[1].starts_with(WS_ROOM) && told[3] == OFFLINE, "{told:?}");
        assert!(!format!("{without:?}").contains("secret"));
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_for_the_session() {
    let served = || vec![ws_rooms(None), livekit(false)];
    let ws = write(&strings(DefaultTransport::Ws, served()), &[Transport::WsRoom]);
    let token = keys().verify(ws.strip_prefix(WS_ROOM).unwrap(), "I7", 0).unwrap();
    assert_eq!((token.address, token.session), (address(1), Some(SessionId(3))));
    let string = write(&strings(DefaultTransport::Livekit, served()), &[Transport::Livekit]);
    let token = livekit_token(&string, LIVEKIT);
    assert_eq!((token.address(), token.session), (Ok(address(1)), Some(SessionId(3))));
    // To another server it would mean nothing.
    let outside = strings(DefaultTransport::Livekit, vec![ws_rooms(None), livekit(true)]);
    assert_eq!(livekit_token(&write(&outside, &[Transport::Livekit]), LIVEKIT).session, None);
}

#[tokio::test(start_paused = true)]
async fn of_other_programs_sessions_nothing_is_known_but_the_address() {
    let rooms = Some("wss://rooms.example.org");
    let foreign = |default, served| strings(default, served).write_for_foreign("I7", address(1));
    let start = "ws-room:wss://rooms.example.org/rooms/I7?access_token=";
    for default in [DefaultTransport::Ws, DefaultTransport::Livekit] {
        let string = foreign(default, vec![ws_rooms(rooms)]);
        let token = keys().verify(string.strip_prefix(start).unwrap(), "I7", 0).unwrap();
        assert_eq!((token.address, token.session), (address(1), None));
        assert_eq!(foreign(default, vec![ws_rooms(None)]), OFFLINE);
        for is_outside in [false, true] {
            let string = foreign(default, vec![ws_rooms(None), livekit(is_outside)]);
            let token = livekit_token(&string, LIVEKIT);
            assert_eq!((token.address(), token.session), (Ok(address(1)), None));
        }
    }
    let both = || vec![livekit(false), ws_rooms(rooms)];
    assert!(foreign(DefaultTransport::Ws, both()).starts_with(start));
    assert!(foreign(DefaultTransport::Livekit, both()).starts_with(LIVEKIT));
}

#[tokio::test(start_paused = true)]
async fn rules_open_rooms_to_livekit_too() {
    let rooms = NamedRooms(vec!["world-* open".parse().unwrap(), "backstage token".parse().unwrap()]);
    let settings = Settings { rooms, ..settings() };
    let region = Region::start(settings, Arc::new(TestHost(Instant::now())), Arc::new(LocalBus::default()));
    let token = region.mint_livekit("world-a", address(1), &livekit_keys()).unwrap();
    let token = livekit_keys().verify(&token, "world-a", 0).unwrap();
    assert_eq!((token.address(), token.session), (Ok(address(1)), None));
    for closed in ["backstage", "I7", "world-a/b", ""] {
        let refused = region.mint_livekit(closed, address(1), &livekit_keys());
        assert!(matches!(refused, Err(GrantError::NoSuchRoom)), "{closed}");
    }
}

#[test]
fn transports_have_names() {
    for transport in [DefaultTransport::Ws, DefaultTransport::Livekit] {
        assert_eq!(transport.to_string().parse(), Ok(transport));
    }
    for other in ["", "WS", "p2p"] {
        assert_eq!(other.parse::<DefaultTransport>(), Err(DefaultTransportError));
    }
}
