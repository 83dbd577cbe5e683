//! A certificate as a server shows it.

use crate::development::{CertError, DevelopmentCertificate};
use crate::digest::{hex, sha256};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The edge made it for itself: clients have to know its hash.
    Development,
    /// The operator's PEM files.
    Files,
}

/// A chain with its key, ready for rustls, and what is worth telling of it.
pub struct Certificate {
    shown: Arc<CertifiedKey>,
    kind: Kind,
    sha256: [u8; 32],
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Certificate {
    /// A chain, the server's own certificate first, and the key that belongs to it. The error says what is wrong.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        kind: Kind,
    ) -> Result<Self, String> {
        let first = chain.first().ok_or("there is no certificate")?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(|_| "the certificate cannot be parsed")?;
        let validity = parsed.validity();
        let (not_before, not_after) = (moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()));
        let sha256 = sha256(first);
        // Checks that the key belongs to the first certificate, too.
        let shown = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => "certificate and key do not belong together".to_owned(),
            other => other.to_string(),
        })?;
        Ok(Self { shown: Arc::new(shown), kind, sha256, not_before, not_after })
    }

    /// What a rustls resolver answers.
    pub fn shown(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.shown)
    }

    /// Where it comes from.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The SHA-256 of the server's own certificate (DER) as 64 lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// The last second in which it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether it may be shown at `now`.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// How long it stays valid; zero when it has expired.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }
}

impl TryFrom<&DevelopmentCertificate> for Certificate {
    type Error = CertError;

    fn try_from(made: &DevelopmentCertificate) -> Result<Self, CertError> {
        Self::new(made.chain(), made.key(), Kind::Development).map_err(|_| CertError::Unusable("rustls refuses it"))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("kind", &self.kind)
            .field("sha256", &self.sha256_hex())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Files => "files",
        })
    }
}

/// Seconds since 1970; a certificate valid since before then is valid since then.
fn moment(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
