//! Where an edge is, by which way to reach it, and which certificate to believe.

use rustls::RootCertStore;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A way into an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// WebTransport over HTTP/3, as browsers use it.
    WebTransport,
    /// Raw QUIC with ALPN `atoll/1`.
    Quic,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebTransport => "webtransport",
            Self::Quic => "quic",
        })
    }
}

/// One edge and the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The way in.
    pub way: Way,
    /// `https://<host>:<port>/<path>`; raw QUIC uses the host and the port only.
    pub url: Url,
}

/// Why a text names no edge.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// Its scheme is not `https`.
    #[error("the scheme is {0}, not https")]
    Scheme(String),
}

impl Target {
    /// Reads `https://<host>:<port>[/<path>]`, or `<host>:<port>` alone; without a path it is `/atoll`.
    ///
    /// # Errors
    /// A [`TargetError`] when the text is no URL or has another scheme.
    pub fn parse(text: &str, way: Way) -> Result<Self, TargetError> {
        let mut url = match text.contains("://") {
            true => Url::parse(text)?,
            false => Url::parse(&format!("https://{text}"))?,
        };
        if url.scheme() != "https" {
            return Err(TargetError::Scheme(url.scheme().to_owned()));
        }
        if url.path() == "/" {
            url.set_path("/atoll");
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

    /// The host name or address, without brackets: what the certificate is checked for.
    pub(crate) fn server_name(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }
}

/// Which certificate of an edge is believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The one whose DER form has this SHA-256 digest, whatever its name and dates: a development certificate.
    CertificateSha256(CertificateDigest),
    /// Those that lead to one of these roots and carry the host's name.
    Roots(Arc<RootCertStore>),
}

/// The SHA-256 digest of a DER certificate; read from 64 hexadecimal digits, with or without colons between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateDigest(pub [u8; 32]);

/// A text that is no SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest (64 hexadecimal digits)")]
pub struct DigestError;

impl FromStr for CertificateDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits: Option<Vec<_>> =
            text.trim().chars().filter(|digit| *digit != ':').map(|digit| digit.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(DigestError)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(Self(digest))
    }
}

/// How a client behaves, beyond where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which certificate is believed.
    pub trust: Trust,
    /// How long connecting and logging in may take together.
    pub connect_timeout: Duration,
    /// How long after the last sign of life a connection counts as lost. Keep-alives go out at a third of it.
    pub idle_timeout: Duration,
    /// How many received packets wait for [`next_event`](crate::Client::next_event) before the oldest are dropped.
    pub packet_queue: usize,
    /// The WebTransport subprotocols offered, best first; none is taken as `atoll.1`.
    pub subprotocols: Vec<String>,
}

impl Options {
    /// The defaults: 10 s to log in, 15 s idle, 1,024 packets, subprotocol `atoll.1`.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            packet_queue: 1024,
            subprotocols: vec!["atoll.1".to_owned()],
        }
    }

    /// The defaults, believing the one certificate with this digest.
    pub fn pinned(digest: CertificateDigest) -> Self {
        Self::new(Trust::CertificateSha256(digest))
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
    fn other_schemes_are_refused() {
        assert!(matches!(Target::quic("http://127.0.0.1:1"), Err(TargetError::Scheme(_))));
        assert!(matches!(Target::quic("https://"), Err(TargetError::Url(_))));
    }

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let text = "00ff".repeat(16);
        let digest: CertificateDigest = text.parse().unwrap();
        assert_eq!(digest.0[..4], [0, 255, 0, 255]);
        let colons: Vec<_> = digest.0.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(colons.join(":").parse(), Ok(digest));
        for wrong in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
            assert_eq!(wrong.parse::<CertificateDigest>(), Err(DigestError));
        }
    }
}
