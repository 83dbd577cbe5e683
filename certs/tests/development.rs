//! The development certificate, on a real file system.

use atoll_certs::{CertError, DevelopmentCertificate, Origin, Staleness};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_675_782_376_908)
}

fn load(directory: &Path, names: &[&str], now: SystemTime) -> Result<DevelopmentCertificate, CertError> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    DevelopmentCertificate::load_or_create(directory, &names, now)
}

fn fresh() -> (tempfile::TempDir, DevelopmentCertificate) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificate = load(directory.path(), &[], now()).expect("a certificate");
    (directory, certificate)
}

#[test]
fn it_is_p256_for_less_than_14_days_and_for_the_names() {
    let directory = tempfile::tempdir().unwrap();
    let made = load(directory.path(), &["Edge.example", "192.0.2.1", "localhost", "2001:db8::1"], now()).unwrap();
    assert_eq!(made.origin(), Origin::Created);
    let chain = made.chain();
    let (_, parsed) = X509Certificate::from_der(&chain[0]).unwrap();
    assert_eq!(chain.len(), 1);

    // id-ecPublicKey with the curve prime256v1.
    let algorithm = &parsed.public_key().algorithm;
    assert_eq!(algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
    let curve = algorithm.parameters.as_ref().unwrap().as_oid().unwrap();
    assert_eq!(curve.to_id_string(), "1.2.840.10045.3.1.7");

    let seconds = 1_675_782_376;
    let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    assert_eq!(from, seconds - 3600);
    assert_eq!(to - from, 14 * 24 * 3600 - 1);
    assert_eq!(made.not_after(), UNIX_EPOCH + Duration::from_secs(to as u64));

    let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
    let mut names: Vec<String> = names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
            other => panic!("{other:?}"),
        })
        .collect();
    names.sort();
    assert_eq!(names.len(), 6);
    for name in ["localhost", "edge.example", "[127, 0, 0, 1]", "[192, 0, 2, 1]"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
}

#[test]
fn rustls_takes_it_and_the_hash_is_of_its_der() {
    let (_directory, made) = fresh();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(made.chain(), made.key())
        .unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &made.chain()[0]);
    assert_eq!(digest.as_ref(), made.sha256());
    assert_eq!(made.sha256_hex().len(), 64);
    assert_eq!(u8::from_str_radix(&made.sha256_hex()[..2], 16), Ok(made.sha256()[0]));
    assert!(!format!("{made:?}").contains("key"));
}

#[test]
fn only_the_owner_can_read_the_key() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a/state");
    load(&directory, &[], now()).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("development.pem")), 0o600);
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(files.len(), 1, "no temporary file is left: {files:?}");
}

#[test]
fn a_directory_that_exists_keeps_its_mode() {
    let root = tempfile::tempdir().unwrap();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    load(root.path(), &[], now()).unwrap();
    assert_eq!(std::fs::metadata(root.path()).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn the_next_start_uses_it_again() {
    let (directory, first) = fresh();
    let again = load(directory.path(), &["127.0.0.1", "LOCALHOST"], now() + 10 * DAY).unwrap();
    assert_eq!(again.origin(), Origin::Reused);
    assert_eq!(again.sha256(), first.sha256());
    assert_eq!(again.key(), first.key());
}

#[test]
fn it_is_renewed_when_it_expires_soon() {
    let (directory, first) = fresh();
    let last = first.not_after() - 3 * DAY;
    assert_eq!(load(directory.path(), &[], last).unwrap().origin(), Origin::Reused);
    let renewed = load(directory.path(), &[], last + Duration::from_secs(1)).unwrap();
    assert_eq!(renewed.origin(), Origin::Renewed(Staleness::Expiring));
    assert_ne!(renewed.sha256(), first.sha256());
    assert_ne!(renewed.key(), first.key());
    let after = load(directory.path(), &[], last + DAY).unwrap();
    assert_eq!((after.origin(), after.sha256()), (Origin::Reused, renewed.sha256()));
}

#[test]
fn it_is_renewed_for_other_names_and_when_the_clock_was_set_back() {
    let (directory, _) = fresh();
    let other = load(directory.path(), &["192.0.2.1"], now()).unwrap();
    assert_eq!(other.origin(), Origin::Renewed(Staleness::OtherNames));
    let fewer = load(directory.path(), &[], now()).unwrap();
    assert_eq!(fewer.origin(), Origin::Renewed(Staleness::OtherNames));
    let back = load(directory.path(), &[], now() - DAY).unwrap();
    assert_eq!(back.origin(), Origin::Renewed(Staleness::OtherValidity));
}

#[test]
fn a_key_that_others_could_read_is_replaced_and_told() {
    let (directory, first) = fresh();
    let path = directory.path().join("development.pem");
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let renewed = load(directory.path(), &[], now()).unwrap();
        assert_eq!(renewed.origin(), Origin::Renewed(Staleness::Exposed));
        assert_ne!(renewed.key(), first.key());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(directory.path(), &[], now()).unwrap().sha256(), renewed.sha256());
    }
}

#[test]
fn a_damaged_file_is_replaced_and_told() {
    let (directory, first) = fresh();
    let path = directory.path().join("development.pem");
    let good = std::fs::read_to_string(&path).unwrap();
    let (certificate, key) = good.split_at(good.find("-----BEGIN PRIVATE").unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    load(elsewhere.path(), &[], now()).unwrap();
    let stranger = std::fs::read_to_string(elsewhere.path().join("development.pem")).unwrap();
    let (_, other_key) = stranger.split_at(stranger.find("-----BEGIN PRIVATE").unwrap());
    // One letter in the middle of the certificate, one near its end (its signature).
    let altered = |at: usize| {
        let letter = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{letter}{}", &good[..at], &good[at + 1..])
    };
    for damaged in [
        String::new(),
        "soon".to_owned(),
        certificate.to_owned(),
        key.to_owned(),
        format!("{certificate}{other_key}"),
        format!("{good}{certificate}"),
        good[..good.len() / 2].to_owned(),
        altered(certificate.len() / 2),
        altered(certificate.len() - 40),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        let renewed = load(directory.path(), &[], now()).unwrap();
        assert!(matches!(renewed.origin(), Origin::Renewed(Staleness::Unreadable(_))), "{damaged}: {renewed:?}");
        assert_ne!(renewed.sha256(), first.sha256());
        let again = load(directory.path(), &[], now()).unwrap();
        assert_eq!((again.origin(), again.sha256()), (Origin::Reused, renewed.sha256()));
    }
}

#[test]
fn what_the_system_refuses_is_typed() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(load(&file.join("state"), &[], now()), Err(CertError::Directory { .. })));
    // A directory in the file's place can be opened but neither read nor replaced, whoever runs this.
    std::fs::create_dir(root.path().join("development.pem")).unwrap();
    assert!(matches!(load(root.path(), &[], now()), Err(CertError::Read { .. })));
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
}

#[test]
fn names_and_times_out_of_range_are_typed() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["", "a b", "http://a", "a:1", "*.example"] {
        assert!(matches!(load(directory.path(), &[name], now()), Err(CertError::Name(text)) if text == name));
    }
    let before = UNIX_EPOCH - DAY;
    assert!(matches!(load(directory.path(), &[], before), Err(CertError::Time)));
    let far = UNIX_EPOCH + 9_000 * 365 * DAY;
    assert!(load(directory.path(), &[], far).is_err());
}

#[test]
fn processes_that_start_at_once_have_matching_pairs() {
    let root = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let directory = root.path().to_owned();
            std::thread::spawn(move || load(&directory, &[], now()).map(|made| made.sha256()))
        })
        .collect();
    let hashes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
    // Reading back checks that certificate and key belong together.
    let stored = load(root.path(), &[], now()).unwrap();
    assert_eq!(stored.origin(), Origin::Reused);
    assert!(hashes.contains(&stored.sha256()));
}
