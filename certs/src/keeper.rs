//! Keeping the shown certificate fresh.

use crate::certificate::Certificate;
use crate::current::Current;
use crate::development::{CertError, DevelopmentCertificate, Origin};
use crate::files::{PemError, PemFiles};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The edge makes it for itself.
    Development {
        /// Keeps it between starts.
        state_dir: PathBuf,
        /// DNS names and IP addresses it is for, beyond the loopback ones.
        names: Vec<String>,
    },
    /// The operator brings it.
    Files(PemFiles),
}

/// Why there is no certificate, or no new one.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The development certificate.
    #[error(transparent)]
    Development(#[from] CertError),
    /// The operator's files.
    #[error(transparent)]
    Files(#[from] PemError),
}

/// What a look at the source gave.
#[derive(Debug)]
pub enum Checked {
    /// Nothing to do, or nothing that was not told before.
    Unchanged,
    /// Another certificate is shown from now on.
    Exchanged,
    /// What was found is of no use, and the former certificate stays. Told once for the same find.
    Refused(KeepError),
}

/// Looks after a certificate: makes a new development certificate 3 days before the old one expires, and follows the
/// operator's files. It does nothing on its own; call [`Keeper::check`] every few seconds.
#[derive(Debug)]
pub struct Keeper {
    source: Source,
    current: Arc<Current>,
    /// Contents of the operator's files that are shown.
    shown: [u8; 32],
    trouble: Option<Trouble>,
}

/// Something that is of no use.
#[derive(Debug)]
struct Trouble {
    /// Tells it from other trouble.
    what: (String, [u8; 32]),
    told: bool,
}

impl Keeper {
    /// Takes the certificate from its source, and says how a development certificate was come by.
    ///
    /// Files are taken even when they have expired: clients behind a proxy do not care. Blocks on the file system.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn open(source: Source, now: SystemTime) -> Result<(Self, Option<Origin>), KeepError> {
        let (certificate, shown, origin) = match &source {
            Source::Development { state_dir, names } => {
                let made = DevelopmentCertificate::load_or_create(state_dir, names, now)?;
                (Certificate::try_from(&made)?, [0; 32], Some(made.origin()))
            }
            Source::Files(files) => {
                let contents = files.read()?;
                (files.parse(&contents)?, contents.digest(), None)
            }
        };
        let current = Arc::new(Current::new(certificate));
        Ok((Self { source, current, shown, trouble: None }, origin))
    }

    /// What the doors show.
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current)
    }

    /// Looks whether there is something newer to show, and shows it. Blocks on the file system.
    pub fn check(&mut self, now: SystemTime) -> Checked {
        let looked = match &self.source {
            Source::Development { state_dir, names } => self.renewed(state_dir, names, now),
            Source::Files(files) => self.reread(files, now),
        };
        match looked {
            Ok(None) => {
                self.trouble = None;
                Checked::Unchanged
            }
            Ok(Some((certificate, shown))) => {
                self.trouble = None;
                self.shown = shown;
                self.current.exchange(certificate);
                Checked::Exchanged
            }
            Err((error, found)) => self.refuse(error, found),
        }
    }

    fn renewed(&self, state_dir: &std::path::Path, names: &[String], now: SystemTime) -> Looked {
        if DevelopmentCertificate::is_long_enough(self.current.certificate().not_after(), now) {
            return Ok(None);
        }
        let made = DevelopmentCertificate::load_or_create(state_dir, names, now);
        let made = made.and_then(|made| Certificate::try_from(&made)).map_err(|error| (error.into(), [0; 32]))?;
        Ok(Some((made, [0; 32])))
    }

    fn reread(&self, files: &PemFiles, now: SystemTime) -> Looked {
        let contents = files.read().map_err(|error| (error.into(), [0; 32]))?;
        let digest = contents.digest();
        if digest == self.shown {
            return Ok(None);
        }
        let refused = |error: PemError| (error.into(), digest);
        let certificate = files.parse(&contents).map_err(refused)?;
        if !certificate.is_valid(now) {
            return Err(refused(PemError::NotValidNow(files.certificate.clone())));
        }
        Ok(Some((certificate, digest)))
    }

    /// The same trouble must be met twice: between writing one file and the other, they do not fit.
    fn refuse(&mut self, error: KeepError, found: [u8; 32]) -> Checked {
        let what = (error.to_string(), found);
        match &mut self.trouble {
            Some(trouble) if trouble.what == what => {
                if std::mem::replace(&mut trouble.told, true) {
                    return Checked::Unchanged;
                }
                Checked::Refused(error)
            }
            _ => {
                self.trouble = Some(Trouble { what, told: false });
                Checked::Unchanged
            }
        }
    }
}

/// A new certificate with the digest of its contents, or what is wrong with the contents of this digest.
type Looked = Result<Option<(Certificate, [u8; 32])>, (KeepError, [u8; 32])>;
