//! Which certificates of an edge are believed.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Which certificates of an edge are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The one whose DER form has this SHA-256 digest, whatever its name and dates: a development certificate.
    CertificateSha256(CertificateDigest),
    /// Those that lead to one of these roots and carry the host's name.
    Roots(Arc<RootCertStore>),
    /// Those that lead to a root of the operating system and carry the host's name. The roots are read once in a
    /// process, when they are needed first.
    System,
    /// Both: the one with this digest, and those that the operating system believes. An edge that tells the digest of its
    /// development certificate may still stand behind a proxy that shows another one on the HTTP port.
    CertificateSha256OrSystem(CertificateDigest),
}

/// Why a file gives no roots.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read, or is not PEM.
    #[error("cannot read certificates from {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// It holds no certificate.
    #[error("{} holds no certificate in PEM", .0.display())]
    Empty(PathBuf),
    /// One of its certificates cannot be a root.
    #[error("a certificate in {} cannot be believed: {error}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: rustls::Error,
    },
}

impl Trust {
    /// Roots from the certificates of a PEM file. A certificate that signed itself may be its own root, unless it is an
    /// authority, too: believe such a one by its digest.
    ///
    /// # Errors
    /// A [`TrustError`] when the file holds no certificates that can be used.
    pub fn pem_file(path: &Path) -> Result<Self, TrustError> {
        let unreadable = |error| TrustError::Read { path: path.to_owned(), error };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            let added = roots.add(certificate.map_err(unreadable)?);
            added.map_err(|error| TrustError::Certificate { path: path.to_owned(), error })?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty(path.to_owned()));
        }
        Ok(Self::Roots(Arc::new(roots)))
    }
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

impl fmt::Display for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let text = "00ff".repeat(16);
        let digest: CertificateDigest = text.parse().unwrap();
        assert_eq!(digest.0[..4], [0, 255, 0, 255]);
        assert_eq!(digest.to_string(), text);
        let colons: Vec<_> = digest.0.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(colons.join(":").parse(), Ok(digest));
        for wrong in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
            assert_eq!(wrong.parse::<CertificateDigest>(), Err(DigestError));
        }
    }

    #[test]
    fn a_file_without_certificates_gives_no_roots() {
        assert!(matches!(Trust::pem_file(Path::new("/nowhere/roots.pem")), Err(TrustError::Read { .. })));
        // A text file that is there whenever this test runs.
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(Trust::pem_file(&source), Err(TrustError::Empty(_))));
    }
}
