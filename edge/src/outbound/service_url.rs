//! Where services answer.

use std::fmt;
use std::str::FromStr;
use url::Url;

/// Where a service answers: an `http` or `https` URL with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

/// Where several pages of a service are: a [`ServiceUrl`] that everybody may see, without a query and without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// A text that is no [`ServiceUrl`], or no [`BaseUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http or https URL")]
pub struct ServiceUrlError;

impl ServiceUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl BaseUrl {
    /// The page at `path` below this one.
    pub(crate) fn below(&self, path: &str) -> ServiceUrl {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        ServiceUrl(url)
    }
}

impl FromStr for ServiceUrl {
    type Err = ServiceUrlError;

    fn from_str(text: &str) -> Result<Self, ServiceUrlError> {
        let url = Url::parse(text).map_err(|_| ServiceUrlError)?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        is_http.then_some(Self(url)).ok_or(ServiceUrlError)
    }
}

impl FromStr for BaseUrl {
    type Err = ServiceUrlError;

    fn from_str(text: &str) -> Result<Self, ServiceUrlError> {
        let ServiceUrl(url) = text.parse()?;
        let is_bare = url.query().is_none() && url.fragment().is_none();
        let is_open = url.username().is_empty() && url.password().is_none();
        (is_bare && is_open).then_some(Self(url)).ok_or(ServiceUrlError)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BaseUrl {
    /// As JavaScript's `URL` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_http_urls() {
        for text in ["http://127.0.0.1:8545", "https://rpc.example.org/mainnet?project=atoll", "http://[::1]:8545/"] {
            assert!(text.parse::<ServiceUrl>().is_ok(), "{text}");
        }
        for text in ["", "rpc.example.org", "ws://rpc.example.org", "http://", "file:///etc/passwd"] {
            assert_eq!(text.parse::<ServiceUrl>(), Err(ServiceUrlError), "{text}");
            assert_eq!(text.parse::<BaseUrl>(), Err(ServiceUrlError), "{text}");
        }
    }

    #[test]
    fn pages_are_below_their_base() {
        for (base, page) in [
            ("http://127.0.0.1:6969", "http://127.0.0.1:6969/health"),
            ("https://peer.example.org/lambdas", "https://peer.example.org/lambdas/health"),
            ("https://peer.example.org/lambdas//", "https://peer.example.org/lambdas/health"),
        ] {
            assert_eq!(base.parse::<BaseUrl>().unwrap().below("health").to_string(), page);
        }
        assert_eq!("https://peer.example.org".parse::<BaseUrl>().unwrap().to_string(), "https://peer.example.org/");
        for text in ["https://a/b?c", "https://a/#b", "https://user@a/", "https://:secret@a/"] {
            assert_eq!(text.parse::<BaseUrl>(), Err(ServiceUrlError), "{text}");
        }
    }
}
