//! Where an edge is, and by which way to reach it.

use std::fmt;
use url::Url;

/// A way into an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// WebTransport over HTTP/3, as browsers use it.
    WebTransport,
    /// Raw QUIC with ALPN `atoll/1`.
    Quic,
    /// WebSocket on the HTTP port, where UDP is blocked.
    WebSocket,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebTransport => "webtransport",
            Self::Quic => "quic",
            Self::WebSocket => "websocket",
        })
    }
}

/// One edge and the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The way in.
    pub way: Way,
    /// `https://<host>:<port>/<path>`; raw QUIC uses the host and the port only. For WebSocket `ws:` or `wss:`.
    pub url: Url,
}

/// Why a text names no edge.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// Its scheme is not `https` (for a WebSocket: none of `ws`, `wss`, `http`, `https`).
    #[error("the scheme {0} leads nowhere")]
    Scheme(String),
}

impl Target {
    /// Reads `https://<host>:<port>[/<path>]`, or `<host>:<port>` alone; without a path it is `/atoll`.
    ///
    /// For a WebSocket it is `ws:` or `wss:` (`http:` and `https:` mean the same), `wss:` when there is none, and
    /// the path is `/atoll/ws`.
    ///
    /// # Errors
    /// A [`TargetError`] when the text is no URL or has another scheme.
    pub fn parse(text: &str, way: Way) -> Result<Self, TargetError> {
        let mut text = match text.contains("://") {
            true => text.to_owned(),
            false => format!("https://{text}"),
        };
        let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
        let path = match (way, scheme.as_str()) {
            (Way::WebTransport | Way::Quic, "https") => "/atoll",
            (Way::WebSocket, "ws" | "wss") => "/atoll/ws",
            (Way::WebSocket, "http" | "https") => {
                text.replace_range(..4, "ws");
                "/atoll/ws"
            }
            _ => return Err(TargetError::Scheme(scheme)),
        };
        let mut url = Url::parse(&text)?;
        if url.path() == "/" {
            url.set_path(path);
        }
        Ok(Self { way, url })
    }

    /// The WebTransport session at this URL; see [`Target::parse`].
    ///
    /// # Errors
    /// A [`TargetError`] when the text is no URL or has another scheme.
    pub fn webtransport(text: &str) -> Result<Self, TargetError> {
        Self::parse(text, Way::WebTransport)
    }

    /// The raw QUIC port at this URL or `<host>:<port>`; see [`Target::parse`].
    ///
    /// # Errors
    /// A [`TargetError`] when the text is no URL or has another scheme.
    pub fn quic(text: &str) -> Result<Self, TargetError> {
        Self::parse(text, Way::Quic)
    }

    /// The WebSocket at this URL; see [`Target::parse`].
    ///
    /// # Errors
    /// A [`TargetError`] when the text is no URL or has another scheme.
    pub fn websocket(text: &str) -> Result<Self, TargetError> {
        Self::parse(text, Way::WebSocket)
    }

    /// The host name or address, without brackets: what the certificate is checked for.
    pub(crate) fn server_name(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_url_names_both_ways() {
        let target = Target::webtransport("https://127.0.0.1:7443").unwrap();
        assert_eq!(target.url.as_str(), "https://127.0.0.1:7443/atoll");
        let target = Target::quic("[::1]:7443").unwrap();
        assert_eq!((target.server_name(), target.port()), ("::1", 7443));
        let target = Target::webtransport("https://edge.example/elsewhere").unwrap();
        assert_eq!((target.url.path(), target.port()), ("/elsewhere", 443));
    }

    #[test]
    fn websockets_have_schemes_of_their_own() {
        for (text, url) in [
            ("http://127.0.0.1:7480", "ws://127.0.0.1:7480/atoll/ws"),
            ("https://edge.example", "wss://edge.example/atoll/ws"),
            ("wss://edge.example/elsewhere", "wss://edge.example/elsewhere"),
            ("edge.example:7480", "wss://edge.example:7480/atoll/ws"),
        ] {
            assert_eq!(Target::websocket(text).unwrap().url.as_str(), url);
        }
        assert_eq!(Target::websocket("ws://edge.example").unwrap().port(), 80);
        assert!(matches!(Target::websocket("ftp://edge.example"), Err(TargetError::Scheme(_))));
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(matches!(Target::quic("http://127.0.0.1:1"), Err(TargetError::Scheme(_))));
        assert!(matches!(Target::quic("https://"), Err(TargetError::Url(_))));
    }
}
