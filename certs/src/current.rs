//! The certificate shown at the moment.

use crate::Certificate;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};

/// The certificate that every door shows. Exchanging it drops no connection: it holds for handshakes from then on.
///
/// One of these, in an `Arc`, is what rustls' `with_cert_resolver` takes, for QUIC and for TCP alike.
#[derive(Debug)]
pub struct Current {
    certificate: RwLock<Arc<Certificate>>,
}

impl Current {
    pub(crate) fn new(certificate: Certificate) -> Self {
        Self { certificate: RwLock::new(Arc::new(certificate)) }
    }

    /// The certificate shown now.
    pub fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.certificate.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn exchange(&self, certificate: Certificate) {
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Current {
    /// The same whatever name the client asks for.
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate().shown())
    }
}
