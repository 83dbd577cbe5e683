//! TLS for a client: aws-lc-rs, TLS 1.3, and the certificates that it trusts.

use crate::trust::{CertificateDigest, Trust};
use aws_lc_rs::digest::{SHA256, digest};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::{Arc, OnceLock};

/// The TLS side of a QUIC client that offers `alpn` only.
///
/// # Errors
/// A text when the trusted roots or the provider cannot be used.
pub(crate) fn quic_client(trust: &Trust, alpn: &[u8]) -> Result<QuicClientConfig, String> {
    QuicClientConfig::try_from(client_tls(trust, alpn)?).map_err(|error| error.to_string())
}

/// A TLS client that offers `alpn` only. The process-wide default provider is neither used nor set.
///
/// # Errors
/// A text when the trusted roots or the provider cannot be used.
pub(crate) fn client_tls(trust: &Trust, alpn: &[u8]) -> Result<ClientConfig, String> {
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?;
    let pinned = |pin: &CertificateDigest, or_system| Pinned { pin: *pin, or_system, provider };
    let mut config = match trust {
        Trust::Roots(roots) => builder.with_root_certificates(roots.clone()).with_no_client_auth(),
        Trust::System => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
        Trust::CertificateSha256(pin) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned(pin, false))).with_no_client_auth()
        }
        Trust::CertificateSha256OrSystem(pin) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned(pin, true))).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// The operating system's roots, or why there are none. Read once: files, where the system keeps them so.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let errors: Vec<_> = found.errors.iter().map(|error| format!(" ({error})")).collect();
            return Err(format!("the system has no root certificates{}", errors.concat()));
        }
        Ok(Arc::new(roots))
    };
    ROOTS.get_or_init(read).clone()
}

/// Believes one certificate, whoever signed it, and perhaps those that the system believes; the handshake must still
/// prove that the edge holds its key.
#[derive(Debug)]
struct Pinned {
    pin: CertificateDigest,
    or_system: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if digest(&SHA256, certificate).as_ref() == self.pin.0 {
            return Ok(ServerCertVerified::assertion());
        }
        if !self.or_system {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let roots = system_roots().map_err(Error::General)?;
        let system = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone()).build();
        let system = system.map_err(|error| Error::General(error.to_string()))?;
        system.verify_server_cert(certificate, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_certificate_is_believed() {
        let pin = CertificateDigest(digest(&SHA256, b"certificate").as_ref().try_into().unwrap());
        let pinned = Pinned { pin, or_system: false, provider: Arc::new(default_provider()) };
        let name = ServerName::try_from("localhost").unwrap();
        let verify = |der: &'static [u8]| pinned.verify_server_cert(&der.into(), &[], &name, &[], UnixTime::now());
        assert!(verify(b"certificate").is_ok());
        assert!(verify(b"another one").is_err());
    }
}
