//! `allowed_origins`.

use std::fmt;
use std::str::FromStr;

/// Which web pages may open sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowedOrigins {
    /// All: a session is opened by an auth chain, and no cookie is used.
    #[default]
    Any,
    /// Pages of these origins. Clients that name none are not browsers, and are let in, too.
    Only(Vec<WebOrigin>),
}

impl AllowedOrigins {
    /// Whether a request with this `Origin` header, if it has one, may open a session.
    pub fn allows(&self, origin: Option<&str>) -> bool {
        match (self, origin) {
            (Self::Any, _) | (_, None) => true,
            (Self::Only(allowed), Some(origin)) => {
                origin.parse().is_ok_and(|origin: WebOrigin| allowed.contains(&origin))
            }
        }
    }
}

/// An origin as browsers write it: scheme, host, and the port unless it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

/// A text that is not a [`WebOrigin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is `https://` or `http://`, a host, and perhaps a port")]
pub struct WebOriginError;

impl FromStr for WebOrigin {
    type Err = WebOriginError;

    fn from_str(text: &str) -> Result<Self, WebOriginError> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(WebOriginError)?;
        let own_port = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return Err(WebOriginError),
        };
        let authority: axum::http::uri::Authority = authority.parse().map_err(|_| WebOriginError)?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(WebOriginError);
        }
        let authority = authority.as_str();
        Ok(Self(format!("{scheme}://{}", authority.strip_suffix(own_port).unwrap_or(authority))))
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_pages_are_let_in_and_who_is_no_browser() {
        let only = AllowedOrigins::Only(vec![
            "https://Play.Example:443".parse().unwrap(),
            "http://[::1]:8000".parse().unwrap(),
        ]);
        for origin in [None, Some("https://play.example"), Some("http://[::1]:8000")] {
            assert!(only.allows(origin) && AllowedOrigins::Any.allows(origin), "{origin:?}");
        }
        for origin in [
            "http://play.example",
            "https://play.example:444",
            "https://play.example.evil",
            "https://evil/https://play.example",
            "null",
            "",
            "http://[::1]",
            "https://play.example/",
            "https://play.example@evil",
        ] {
            assert!(!only.allows(Some(origin)), "{origin}");
            assert!(AllowedOrigins::Any.allows(Some(origin)));
        }
        assert!(!AllowedOrigins::Only(Vec::new()).allows(Some("https://play.example")));
    }
}
