//! Certificates of an Atoll edge, and the secrets it keeps between starts.
//!
//! There are two kinds. A [`DevelopmentCertificate`] is one that an edge makes for itself so that it starts without any
//! set-up; browsers take it by its SHA-256 (`serverCertificateHashes`), which is why it follows the rules they lay down for
//! that: ECDSA on P-256, and valid for at most 14 days. [`PemFiles`] are what an operator brings. A [`Keeper`] looks after
//! either, and every door shows its [`Current`] one.
//!
//! Nothing here opens a socket or reads the clock; the time is an argument.

#![forbid(unsafe_code)]

mod certificate;
mod current;
mod development;
mod digest;
mod files;
mod issue;
mod keeper;
mod names;
mod secret;
mod store;

pub use certificate::{Certificate, Kind};
pub use current::Current;
pub use development::{CertError, DevelopmentCertificate, Origin, Staleness};
pub use files::{PemError, PemFiles};
pub use keeper::{Checked, KeepError, Keeper, Source};
pub use secret::stored_secret;
