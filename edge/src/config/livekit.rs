//! `livekit.*`.

use super::{Public, Secret};
use crate::outbound::ServiceUrl;
use atoll_core::auth::LivekitKeys;
use axum::http::Uri;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// How many random bytes become the API key and the secret of who has none: 8 and 32.
pub const LIVEKIT_KEY_BYTES: usize = 40;

/// LiveKit's clients: served here, or sent to a LiveKit elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Livekit {
    /// `livekit.enabled`: whether they are served here, unless `url` is set.
    pub enabled: bool,
    /// `livekit.listen`: the UDP address of their media and data, and the TCP address if `tcp`.
    pub listen: SocketAddr,
    /// `livekit.tcp`: whether they may come by TCP.
    pub tcp: bool,
    /// `livekit.ice_servers`: which servers help them to find a way here.
    pub ice_servers: Vec<IceServer>,
    /// `livekit.api_key`: names `api_secret`; both are made at the first start when `None`.
    pub api_key: Option<String>,
    /// `livekit.api_secret`: signs tokens. Set when `api_key` is.
    pub api_secret: Option<Secret>,
    /// `livekit.former_api_key`: names `former_api_secret`; as `api_key` when `None`.
    pub former_api_key: Option<String>,
    /// `livekit.former_api_secret`: what the secret was before; its tokens are still taken.
    pub former_api_secret: Option<Secret>,
    /// `livekit.webhook_urls`: who is told of what happens in rooms.
    pub webhook_urls: Vec<ServiceUrl>,
    /// `livekit.url`: a LiveKit elsewhere.
    pub url: Option<LivekitUrl>,
}

/// What the door for LiveKit's clients is opened with.
#[derive(Debug, Clone)]
pub struct LivekitDoor {
    /// Where their packets arrive (UDP, and TCP if `tcp`). Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether TCP of the same port is listened on, too.
    pub tcp: bool,
    /// Told to clients, in this order.
    pub ice_servers: Vec<IceServer>,
    /// This machine's addresses as clients see them; those it has when there are none.
    pub public_ips: Vec<IpAddr>,
    /// Who is told of what happens in rooms.
    pub webhooks: Vec<ServiceUrl>,
}

/// A STUN or TURN server. As text: its URL, and for TURN the user's name and password, each after a space.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// Its URLs, such as `turn:turn.example.org:3478?transport=udp`.
    pub urls: Vec<String>,
    /// The user's name, for TURN.
    pub username: Option<String>,
    /// The user's password, for TURN.
    pub credential: Option<String>,
}

/// Where a LiveKit is: `wss://` or `ws://`, a host, and perhaps a port and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivekitUrl(String);

/// A text that is no [`IceServer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an ICE server is `stun:<host>`, or `turn:<host>` with user and password after it")]
pub struct IceServerError;

/// A text that is no [`LivekitUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a LiveKit is at `wss://` or `ws://`, a host, and perhaps a port and a path")]
pub struct LivekitUrlError;

impl Livekit {
    /// The keys that tokens are made and checked with; `kept` are the random bytes of an operator who has none.
    ///
    /// # Errors
    /// Those of `kept`.
    pub fn keys<E>(&self, kept: impl FnOnce() -> Result<[u8; LIVEKIT_KEY_BYTES], E>) -> Result<LivekitKeys, E> {
        let (api_key, secret) = match (&self.api_key, &self.api_secret) {
            (Some(api_key), Some(secret)) => (api_key.clone(), secret.0.clone()),
            _ => made(kept()?),
        };
        let former_key = self.former_api_key.as_ref().unwrap_or(&api_key);
        let former = self.former_api_secret.as_ref().map(|secret| (former_key.as_str(), secret.0.as_str()));
        Ok(LivekitKeys::new(&api_key, &secret, former))
    }

    /// Whether LiveKit's clients are served by an edge with this configuration.
    pub fn is_served(&self) -> bool {
        self.enabled && self.url.is_none()
    }

    /// What an edge opens its door with, if it has one.
    pub fn door(&self, public: &Public) -> Option<LivekitDoor> {
        self.is_served().then(|| LivekitDoor {
            listen: self.listen,
            tcp: self.tcp,
            ice_servers: self.ice_servers.clone(),
            public_ips: public.ips.clone(),
            webhooks: self.webhook_urls.clone(),
        })
    }
}

/// An API key in LiveKit's manner, and a secret.
fn made(bytes: [u8; LIVEKIT_KEY_BYTES]) -> (String, String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (name, secret) = bytes.split_at(8);
    (format!("API{}", hex(name)), hex(secret))
}

impl Default for Livekit {
    /// Loopback only, as the other doors.
    fn default() -> Self {
        Self {
            enabled: true,
            listen: (Ipv4Addr::LOCALHOST, 7882).into(),
            tcp: true,
            ice_servers: Vec::new(),
            api_key: None,
            api_secret: None,
            former_api_key: None,
            former_api_secret: None,
            webhook_urls: Vec::new(),
            url: None,
        }
    }
}

impl FromStr for IceServer {
    type Err = IceServerError;

    fn from_str(text: &str) -> Result<Self, IceServerError> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (url, who) = match words[..] {
            [url] => (url, None),
            [url, user, password] => (url, Some((user.to_owned(), password.to_owned()))),
            _ => return Err(IceServerError),
        };
        let (scheme, place) = url.split_once(':').ok_or(IceServerError)?;
        let (host, query) = place.split_once('?').map_or((place, None), |(host, query)| (host, Some(query)));
        let is_turn = match scheme {
            "stun" | "stuns" => false,
            "turn" | "turns" => true,
            _ => return Err(IceServerError),
        };
        let query_is_one = matches!(query, None | Some("transport=udp" | "transport=tcp"));
        // Browsers refuse a TURN server without a password, and with it every connection.
        if !is_authority(host) || !query_is_one || is_turn != who.is_some() || (!is_turn && query.is_some()) {
            return Err(IceServerError);
        }
        let (username, credential) = who.unzip();
        Ok(Self { urls: vec![url.to_owned()], username, credential })
    }
}

/// Whether it is a host, and perhaps a port.
fn is_authority(text: &str) -> bool {
    format!("http://{text}").parse::<super::HttpUrl>().is_ok_and(|url| url.websocket() == format!("ws://{text}"))
}

impl fmt::Display for IceServer {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urls.join(" "))?;
        self.username.iter().try_for_each(|user| write!(f, " {user} …"))
    }
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IceServer").field(&self.to_string()).finish()
    }
}

impl LivekitUrl {
    /// The URL, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LivekitUrl {
    type Err = LivekitUrlError;

    fn from_str(text: &str) -> Result<Self, LivekitUrlError> {
        let url: Uri = text.parse().map_err(|_| LivekitUrlError)?;
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let is_one = matches!(url.scheme_str(), Some("wss" | "ws")) && is_authority(authority);
        if !is_one || url.query().is_some() || text.contains('#') {
            return Err(LivekitUrlError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for LivekitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[path = "livekit_tests.rs"]
mod tests;
