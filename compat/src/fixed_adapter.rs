//! Where a realm with one room for everybody sends its kernels.

use atoll_core::Address;
use atoll_core::region::{Capabilities, ConnectionStrings, Transport};
use atoll_core::room::SessionId;
use axum::http::Uri;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest connection string taken, in bytes. With a token they have some hundreds.
const MAX_LENGTH: usize = 2048;

/// A connection string that kernels can use without an island (`about.comms.fixedAdapter`): `livekit:<url>`, `ws-room:<url>`,
/// `signed-login:<url>`, `offline:<anything>` or `simulator:<anything>`.
///
/// `p2p:` is none: its peers find each other by their island.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAdapter(String);

/// A text that is no [`FixedAdapter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fixed adapter is a connection string such as `livekit:<url>`, `ws-room:<url>` or `signed-login:<url>`")]
pub struct FixedAdapterError;

/// The connection strings of a realm where all kernels are in one room: native clients hear of their islands as before, and
/// kernels of none, for they would leave the room for them.
#[derive(Debug, Clone)]
pub struct FixedRoom(pub Arc<dyn ConnectionStrings>);

impl ConnectionStrings for FixedRoom {
    fn write(&self, island: &str, address: Address, session: SessionId, client: Capabilities) -> String {
        self.0.write(island, address, session, client)
    }

    fn write_for_foreign(&self, island: &str, address: Address) -> String {
        self.0.write_for_foreign(island, address)
    }

    fn tells_of_islands(&self, client: Capabilities) -> bool {
        client.includes(Transport::Quic) && self.0.tells_of_islands(client)
    }
}

impl FixedAdapter {
    /// The connection string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether kernels have to ask for the real one, with a signature.
    pub fn is_signed_login(&self) -> bool {
        self.0.starts_with("signed-login:")
    }
}

impl FromStr for FixedAdapter {
    type Err = FixedAdapterError;

    fn from_str(text: &str) -> Result<Self, FixedAdapterError> {
        let is_plain = text.len() <= MAX_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (protocol, rest) = text.split_once(':').ok_or(FixedAdapterError)?;
        let is_usable = match protocol {
            "livekit" => is_url(rest, &["wss", "ws", "https", "http"]),
            // Kernels put `wss://` before what is no WebSocket's address yet.
            "ws-room" if rest.starts_with("wss:") || rest.starts_with("ws:") => is_url(rest, &["wss", "ws"]),
            "ws-room" => is_url(&format!("wss://{rest}"), &["wss"]),
            "signed-login" => is_url(rest, &["https", "http"]),
            "offline" | "simulator" => !rest.is_empty(),
            _ => false,
        };
        (is_plain && is_usable).then(|| Self(text.to_owned())).ok_or(FixedAdapterError)
    }
}

impl fmt::Display for FixedAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    let url: Option<Uri> = text.parse().ok();
    let is_known = |url: &Uri| url.scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
    url.filter(is_known).and_then(|url| url.host().map(|host| !host.is_empty())).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernels_can_use_is_taken() {
        for text in [
            "offline:offline",
            "simulator:anything",
            "livekit:wss://livekit.example.org?access_token=a.b.c",
            "livekit:https://livekit.example.org:7880/x?access_token=a.b.c",
            "ws-room:wss://rooms.example.org/rooms/one",
            "ws-room:rooms.example.org/rooms/one?access_token=x",
            "signed-login:https://gatekeeper.example.org/get-comms-adapter",
            "signed-login:http://127.0.0.1:7480/signed-login",
        ] {
            let adapter = text.parse::<FixedAdapter>().unwrap();
            assert_eq!((adapter.as_str(), adapter.to_string().as_str()), (text, text));
            assert_eq!(adapter.is_signed_login(), text.starts_with("signed-login"), "{text}");
        }
    }

    #[test]
    fn what_they_cannot_use_is_refused() {
        for text in [
            "",
            "offline",
            "offline:",
            ":offline",
            "fixed-adapter:offline:offline",
            "archipelago:archipelago:wss://example.org/ws",
            "p2p:I1.0x1",
            "lighthouse:x",
            "ws:test-adapter.com",
            "livekit:livekit.example.org",
            "livekit:ftp://example.org",
            "ws-room:",
            "ws-room:wss://",
            "ws-room:wss:/rooms",
            "signed-login:wss://example.org",
            "signed-login:/path",
            "offline:off line",
            "offline:\u{e4}",
        ] {
            assert_eq!(text.parse::<FixedAdapter>(), Err(FixedAdapterError), "{text}");
        }
        assert!(format!("offline:{}", "x".repeat(MAX_LENGTH)).parse::<FixedAdapter>().is_err());
    }
}
