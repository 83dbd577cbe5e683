//! `public.*`.

use axum::http::Uri;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Under which addresses clients reach this edge, where that is not what it listens on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Public {
    /// `public.http_url`: the HTTP door, perhaps behind a proxy that ends TLS.
    pub http_url: Option<HttpUrl>,
    /// `public.quic_url`: the QUIC doors.
    pub quic_url: Option<QuicUrl>,
    /// `public.ips`: addresses of this machine as clients see them.
    pub ips: Vec<IpAddr>,
}

/// Where HTTP is reached: `http://` or `https://`, a host, and perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    tls: bool,
    authority: String,
    host: String,
}

/// Where QUIC is reached: `https://`, a host, and perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuicUrl(HttpUrl);

/// A text that is neither [`HttpUrl`] nor [`QuicUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public URL has a scheme, a host and perhaps a port, and nothing else")]
pub struct PublicUrlError;

impl HttpUrl {
    /// The same place as a WebSocket URL, without a path: `wss://` for `https://`.
    pub fn websocket(&self) -> String {
        format!("{}://{}", if self.tls { "wss" } else { "ws" }, self.authority)
    }

    /// The host's name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl QuicUrl {
    /// Host and port.
    pub fn authority(&self) -> String {
        // A port follows the last colon, unless that is part of an IPv6 address.
        let has_port = self.0.authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port { self.0.authority.clone() } else { format!("{}:443", self.0.authority) }
    }

    /// The host's name or address, without brackets.
    pub fn host(&self) -> &str {
        self.0.host()
    }
}

impl FromStr for HttpUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url: Uri = text.parse().map_err(|_| PublicUrlError)?;
        let tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(PublicUrlError),
        };
        let authority = url.authority().ok_or(PublicUrlError)?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && !text.contains('#');
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.as_str().strip_prefix(authority.host());
        let port_is_one = match port.and_then(|port| port.strip_prefix(':')) {
            Some(digits) => digits.parse::<u16>().is_ok_and(|port| port > 0),
            None => port == Some(""),
        };
        if !bare || host.is_empty() || !port_is_one {
            return Err(PublicUrlError);
        }
        Ok(Self { tls, authority: authority.to_string(), host: host.to_owned() })
    }
}

impl FromStr for QuicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url: HttpUrl = text.parse()?;
        if url.tls { Ok(Self(url)) } else { Err(PublicUrlError) }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Display for QuicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url: HttpUrl = "https://edge.example/".parse().unwrap();
        assert_eq!(
            (url.to_string(), url.websocket()),
            ("https://edge.example".to_owned(), "wss://edge.example".to_owned())
        );
        let url: HttpUrl = "http://[2001:db8::1]:8080".parse().unwrap();
        assert_eq!((url.websocket().as_str(), url.host()), ("ws://[2001:db8::1]:8080", "2001:db8::1"));
        for (text, authority) in [
            ("https://edge.example", "edge.example:443"),
            ("https://edge.example:7443/", "edge.example:7443"),
            ("https://[2001:db8::1]", "[2001:db8::1]:443"),
            ("https://[2001:db8::1]:7443", "[2001:db8::1]:7443"),
        ] {
            assert_eq!(text.parse::<QuicUrl>().unwrap().authority(), authority);
        }
    }

    #[test]
    fn what_says_more_or_less_is_refused() {
        for text in [
            "",
            "edge.example",
            "https://",
            "https:///x",
            "https://edge.example/atoll",
            "https://edge.example?x",
            "https://a@edge.example",
            "https://edge.example#x",
            "ftp://edge.example",
            "https://edge.example:",
            "https://edge.example:0",
            "https://edge.example:65536",
            "https://edge example",
            "wss://edge.example",
        ] {
            assert_eq!(text.parse::<HttpUrl>(), Err(PublicUrlError), "{text}");
            assert_eq!(text.parse::<QuicUrl>(), Err(PublicUrlError), "{text}");
        }
        assert_eq!("http://edge.example".parse::<QuicUrl>(), Err(PublicUrlError));
    }
}
