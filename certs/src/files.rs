//! Certificates that an operator brings, as PEM files.

use crate::certificate::{Certificate, Kind};
use crate::digest::sha256;
use crate::store;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};

/// Where a certificate and its key lie. Both may be one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFiles {
    /// The chain: the server's own certificate first, then those between it and a root.
    pub certificate: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// One of them cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file for the certificate holds none, or something that is not PEM.
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// The file for the key holds none that is known, or something that is not PEM.
    #[error("{} holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    /// TLS cannot use them; the text says why.
    #[error("{} cannot be used with its key: {why}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The new certificate is not valid at this moment.
    #[error("the certificate in {} is not valid now", .0.display())]
    NotValidNow(PathBuf),
}

/// What the two files hold.
pub(crate) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl PemFiles {
    /// Whether others than its owner may read, write or run the file of the key. False where that cannot be told.
    pub fn key_is_exposed(&self) -> bool {
        std::fs::metadata(&self.key).is_ok_and(|metadata| store::is_exposed(&metadata))
    }

    pub(crate) fn read(&self) -> Result<Contents, PemError> {
        Ok(Contents { certificate: bytes_of(&self.certificate)?, key: bytes_of(&self.key)? })
    }

    pub(crate) fn parse(&self, contents: &Contents) -> Result<Certificate, PemError> {
        let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| PemError::NoCertificate(self.certificate.clone()))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| PemError::NoKey(self.key.clone()))?;
        Certificate::new(chain, key, Kind::Files)
            .map_err(|why| PemError::Unusable { path: self.certificate.clone(), why })
    }
}

impl Contents {
    /// Tells contents apart.
    pub(crate) fn digest(&self) -> [u8; 32] {
        sha256(&[sha256(&self.certificate), sha256(&self.key)].concat())
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, PemError> {
    let failed = |source| PemError::Read { path: path.to_owned(), source };
    match store::open(path).map_err(failed)? {
        Some(stored) => Ok(stored.bytes),
        None => Err(failed(io::ErrorKind::NotFound.into())),
    }
}
