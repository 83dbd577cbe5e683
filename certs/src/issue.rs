//! Makes a certificate, and reads one back.

use crate::names::Name;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::collections::BTreeSet;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Browsers refuse to pin a certificate whose validity is longer than 14 days. Both ends belong to it, hence a second
/// less.
pub(crate) const VALIDITY_SECONDS: i64 = 14 * 24 * 3600 - 1;
/// A certificate begins an hour ago, for clients whose clock is behind.
pub(crate) const BACKDATED_SECONDS: i64 = 3600;

/// A certificate with its key, and what is said in it.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivatePkcs8KeyDer<'static>,
    pub(crate) names: BTreeSet<Name>,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970, the last one it is valid in.
    pub(crate) not_after: i64,
}

/// Makes a certificate for `names`, valid around `now` (seconds since 1970). Returns its PEM text, key included.
pub(crate) fn issue(names: &BTreeSet<Name>, now: i64) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let not_before = now - BACKDATED_SECONDS;
    let mut params = CertificateParams::default();
    params.not_before = moment(not_before)?;
    params.not_after = moment(not_before + VALIDITY_SECONDS)?;
    params.subject_alt_names = names.iter().map(Name::to_san).collect::<Result<_, _>>()?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Atoll development");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

fn moment(seconds: i64) -> Result<OffsetDateTime, rcgen::Error> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time)
}

/// Reads what [`issue`] wrote; the error says what is wrong with it.
///
/// Everything is checked that could have been damaged: the certificate is signed by the key it names, and the key is
/// its own.
pub(crate) fn read(pem: &[u8]) -> Result<Pair, &'static str> {
    let (certificate, key) = sections(pem)?;
    let (rest, parsed) = X509Certificate::from_der(&certificate).map_err(|_| "the certificate cannot be parsed")?;
    if !rest.is_empty() {
        return Err("something follows the certificate");
    }
    let public_key = parsed.public_key().subject_public_key.data.as_ref();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
        .verify(parsed.tbs_certificate.as_ref(), parsed.signature_value.data.as_ref())
        .map_err(|_| "the certificate is not signed by its own P-256 key")?;
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| "the key is not a P-256 key")?;
    if pair.der_bytes() != public_key {
        return Err("certificate and key do not belong together");
    }
    let names = parsed
        .subject_alternative_name()
        .ok()
        .flatten()
        .and_then(|extension| extension.value.general_names.iter().map(Name::from_general).collect())
        .ok_or("the certificate's names cannot be read")?;
    let (not_before, not_after) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    Ok(Pair { not_before, not_after, names, key, certificate })
}

/// The one certificate and the one key of a PEM text.
fn sections(pem: &[u8]) -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), &'static str> {
    let (mut certificate, mut key) = (None, None);
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|_| "the file is not PEM")?;
        let is_first = match kind {
            SectionKind::Certificate => certificate.replace(CertificateDer::from(der)).is_none(),
            SectionKind::PrivateKey => key.replace(PrivatePkcs8KeyDer::from(der)).is_none(),
            _ => false,
        };
        if !is_first {
            return Err("the file holds more than a certificate and its key");
        }
    }
    certificate.zip(key).ok_or("the certificate or its key is missing")
}
