//! TLS for a client: aws-lc-rs, TLS 1.3, and a pinned certificate or given roots.

use crate::target::{CertificateDigest, Trust};
use aws_lc_rs::digest::{SHA256, digest};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

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
    let mut config = match trust {
        Trust::Roots(roots) => builder.with_root_certificates(roots.clone()).with_no_client_auth(),
        Trust::CertificateSha256(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pin: *pin, provider }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// Believes one certificate, whoever signed it; the handshake must still prove that the edge holds its key.
#[derive(Debug)]
struct Pinned {
    pin: CertificateDigest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if digest(&SHA256, certificate).as_ref() == self.pin.0 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
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
        let pinned = Pinned { pin, provider: Arc::new(default_provider()) };
        let name = ServerName::try_from("localhost").unwrap();
        let verify = |der: &'static [u8]| pinned.verify_server_cert(&der.into(), &[], &name, &[], UnixTime::now());
        assert!(verify(b"certificate").is_ok());
        assert!(verify(b"another one").is_err());
    }
}
