//! Certificates of an Atoll edge.
//!
//! For now there is one kind: [`DevelopmentCertificate`], which an edge makes for itself so that it starts without any
//! set-up. Browsers take it by its SHA-256 (`serverCertificateHashes`), which is why it follows the rules they lay down
//! for that: ECDSA on P-256, and valid for at most 14 days.
//!
//! Nothing here opens a socket or reads the clock; the time is an argument.

#![forbid(unsafe_code)]

mod development;
mod issue;
mod names;
mod store;

pub use development::{CertError, DevelopmentCertificate, Origin, Staleness};
