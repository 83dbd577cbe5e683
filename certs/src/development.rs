//! The certificate an edge makes for itself.

use crate::digest::{hex, sha256};
use crate::issue::{self, Pair};
use crate::names::{Name, all_names};
use crate::store;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stored certificate is used again only if it stays valid this long, so that an edge can run for a while.
const MIN_REMAINING_SECONDS: i64 = 3 * 24 * 3600;

/// A self-signed certificate for development: ECDSA on P-256, valid for less than 14 days, with its key.
///
/// It is kept in `development.pem` in the state directory, so that its hash survives a restart.
pub struct DevelopmentCertificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    sha256: [u8; 32],
    not_after: SystemTime,
    origin: Origin,
}

/// Where a certificate came from. Worth a line in the log unless it is [`Origin::Reused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was stored by an earlier start.
    Reused,
    /// There was none.
    Created,
    /// A stored one was replaced: clients that pin its hash have to learn the new one.
    Renewed(Staleness),
}

/// Why a stored certificate is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// It has expired, or will within 3 days.
    Expiring,
    /// It is not valid yet, or for longer than one made now would be: the clock was set back, or another program made it.
    OtherValidity,
    /// It is for other names.
    OtherNames,
    /// Others than its owner had access to the file with its key.
    Exposed,
    /// The file is damaged; the text says how.
    Unreadable(&'static str),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// The text is neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    Name(String),
    /// The state directory cannot be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The state directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The stored certificate cannot be read: it exists, but for instance belongs to another user.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The new certificate cannot be stored.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The time is before 1970 or too far away for a certificate.
    #[error("the time is out of range for a certificate")]
    Time,
    /// The system's random numbers failed.
    #[error("no random numbers")]
    Random,
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Generate(#[from] rcgen::Error),
    /// The certificate just stored cannot be read back; the text says why.
    #[error("the new certificate is unusable: {0}")]
    Unusable(&'static str),
}

impl DevelopmentCertificate {
    /// Takes the certificate stored in `state_dir` if it is sound, for the same names, and valid for 3 more days; else
    /// makes and stores a new one, valid from an hour before `now` for 14 days less a second.
    ///
    /// One that others than its owner had access to is replaced, too: its key may be known.
    ///
    /// It is for `localhost`, `127.0.0.1`, `::1` and `names` (DNS names and IP addresses). The directory is made with
    /// mode 0700 if it is missing, the file with mode 0600. Certificate and key are one file, replaced in one step: when
    /// two processes start at once, each has a certificate with its own key, and the last one written stays.
    ///
    /// Blocks on the file system and on generating a key (well below a millisecond).
    pub fn load_or_create(state_dir: &Path, names: &[String], now: SystemTime) -> Result<Self, CertError> {
        let names = all_names(names)?;
        let now = unix_seconds(now)?;
        store::create_directory(state_dir)?;
        let path = state_dir.join("development.pem");
        let origin = match store::read(&path)?.map(|stored| (stored.exposed, issue::read(&stored.bytes))) {
            None => Origin::Created,
            // Whoever read the key can pose as this edge for as long as clients trust the certificate.
            Some((true, _)) => Origin::Renewed(Staleness::Exposed),
            Some((false, Err(damage))) => Origin::Renewed(Staleness::Unreadable(damage)),
            Some((false, Ok(pair))) => match staleness(&pair, &names, now) {
                None => return Ok(Self::new(pair, Origin::Reused)),
                Some(staleness) => Origin::Renewed(staleness),
            },
        };
        let pem = issue::issue(&names, now)?;
        let pair = issue::read(pem.as_bytes()).map_err(CertError::Unusable)?;
        store::replace(&path, pem.as_bytes(), random()?)?;
        Ok(Self::new(pair, origin))
    }

    /// Whether a certificate that is valid until `not_after` need not be replaced yet.
    pub(crate) fn is_long_enough(not_after: SystemTime, now: SystemTime) -> bool {
        not_after.duration_since(now).is_ok_and(|left| left.as_secs() >= MIN_REMAINING_SECONDS.unsigned_abs())
    }

    fn new(pair: Pair, origin: Origin) -> Self {
        let sha256 = sha256(&pair.certificate);
        let not_after = UNIX_EPOCH + Duration::from_secs(pair.not_after.unsigned_abs());
        Self { certificate: pair.certificate, key: pair.key.into(), sha256, not_after, origin }
    }

    /// The chain to present: this one certificate. With [`Self::key`], what rustls' `with_single_cert` takes.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// The private key, in PKCS #8.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// The SHA-256 of the certificate's DER: what browsers call its hash.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// [`Self::sha256`] as 64 lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// The last second in which it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether it was stored, made, or made anew, and why.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

impl fmt::Debug for DevelopmentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentCertificate")
            .field("sha256", &self.sha256_hex())
            .field("not_after", &self.not_after)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expiring => f.write_str("it expires within 3 days"),
            Self::OtherValidity => f.write_str("it is not valid yet or for too long"),
            Self::OtherNames => f.write_str("it is for other names"),
            Self::Exposed => f.write_str("others had access to its key"),
            Self::Unreadable(damage) => write!(f, "it is unreadable: {damage}"),
        }
    }
}

fn staleness(pair: &Pair, names: &BTreeSet<Name>, now: i64) -> Option<Staleness> {
    if pair.names != *names {
        return Some(Staleness::OtherNames);
    }
    if pair.not_before > now || pair.not_after - pair.not_before > issue::VALIDITY_SECONDS {
        return Some(Staleness::OtherValidity);
    }
    (pair.not_after < now + MIN_REMAINING_SECONDS).then_some(Staleness::Expiring)
}

/// Seconds since 1970, leaving room for the arithmetic on them.
fn unix_seconds(time: SystemTime) -> Result<i64, CertError> {
    let seconds = time.duration_since(UNIX_EPOCH).map_err(|_| CertError::Time)?.as_secs();
    i64::try_from(seconds).ok().filter(|seconds| *seconds < i64::MAX / 2).ok_or(CertError::Time)
}

/// A number for the name of a temporary file.
pub(crate) fn random() -> Result<u64, CertError> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CertError::Random)?;
    Ok(u64::from_be_bytes(bytes))
}
