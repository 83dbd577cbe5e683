//! What a connection string says of a room on this edge.

use atoll_core::region::MAX_ROOM_NAME;

/// Longest connection string that is read, in bytes: a token has 4 KiB at most, and a URL goes before it.
const MAX_LENGTH: usize = 8 * 1024;

/// A room by its name, and perhaps a token for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RoomString<'a> {
    pub(super) room: &'a str,
    pub(super) token: Option<&'a str>,
}

impl<'a> RoomString<'a> {
    /// Reads `quic:<room>` or `ws-room:<url>/rooms/<room>`, each perhaps with `?access_token=<token>`. The URL's host does not
    /// count: proxies rewrite it, and the client is here already.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let room = match scheme {
            "quic" => place,
            "ws-room" => {
                let (before, room) = place.rsplit_once('/')?;
                matches!(before.rsplit('/').next(), Some("rooms" | "ws-rooms")).then_some(room)?
            }
            _ => return None,
        };
        let token = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("access_token=")));
        (!room.is_empty() && room.len() <= MAX_ROOM_NAME).then_some(Self { room, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_named_by_itself_or_by_its_url() {
        let read = |text: &'static str| RoomString::parse(text).map(|read| (read.room, read.token));
        assert_eq!(read("quic:world-a"), Some(("world-a", None)));
        assert_eq!(read("quic:world-a?access_token=a.b.c"), Some(("world-a", Some("a.b.c"))));
        assert_eq!(read("ws-room:wss://edge.example/base/rooms/w?x=1&access_token=t"), Some(("w", Some("t"))));
        assert_eq!(read("ws-room:edge.example/ws-rooms/w"), Some(("w", None)));
        for wrong in ["", "world-a", "quic:", "ws-room:wss://edge.example/w", "ws-room:w", "livekit:wss://x/rooms/w"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(RoomString::parse(&format!("quic:{}", "x".repeat(MAX_ROOM_NAME + 1))), None);
        assert_eq!(RoomString::parse(&format!("quic:w?access_token={}", "x".repeat(MAX_LENGTH))), None);
    }
}
