//! TLS for tests in which it does not matter who the edge is, or that look at what it shows.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex};

/// Takes every certificate whose key the server holds, and remembers the last.
#[derive(Debug, Default)]
pub struct AnyCertificate(Mutex<Vec<u8>>);

impl AnyCertificate {
    /// A TLS client that offers `alpn` only and takes every certificate.
    ///
    /// # Panics
    /// When the provider knows no version of TLS.
    pub fn client_config(self: &Arc<Self>, alpn: &[u8]) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("versions of TLS");
        let verifier = Arc::clone(self) as Arc<dyn ServerCertVerifier>;
        let mut config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }

    /// The SHA-256 digest of the last certificate shown, in 64 hex digits.
    ///
    /// # Panics
    /// When none was shown.
    pub fn sha256(&self) -> String {
        let certificate = self.0.lock().expect("no test panicked with it");
        assert!(!certificate.is_empty(), "no certificate was shown");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().expect("no test panicked with it") = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
