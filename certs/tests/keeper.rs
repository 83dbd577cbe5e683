//! Looking after a certificate, with a clock in the test's hand.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_certs::{Certificate, Checked, KeepError, Keeper, Kind, Origin, PemError, PemFiles, Source, stored_secret};
use rcgen::{CertificateParams, KeyPair};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn development(directory: &Path) -> Source {
    Source::Development { state_dir: directory.to_owned(), names: vec!["edge.example".to_owned()] }
}

/// A certificate, valid from a day before `now()` for 31 days, and its key.
fn pair(name: &str) -> (String, String) {
    valid(name, now() - DAY, now() + 30 * DAY)
}

fn valid(name: &str, from: SystemTime, to: SystemTime) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (OffsetDateTime::from(from), OffsetDateTime::from(to));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Files of an operator.
struct Brought {
    _directory: TempDir,
    files: PemFiles,
}

impl Brought {
    fn new((certificate, key): &(String, String)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = PemFiles { certificate: directory.path().join("chain.pem"), key: directory.path().join("key.pem") };
        let brought = Self { _directory: directory, files };
        brought.write(certificate, key);
        brought
    }

    fn write(&self, certificate: &str, key: &str) {
        std::fs::write(&self.files.certificate, certificate).unwrap();
        std::fs::write(&self.files.key, key).unwrap();
    }

    fn keeper(&self) -> Keeper {
        Keeper::open(Source::Files(self.files.clone()), now()).unwrap().0
    }
}

fn shown(keeper: &Keeper) -> Arc<Certificate> {
    keeper.current().certificate()
}

fn refused(checked: Checked) -> PemError {
    match checked {
        Checked::Refused(KeepError::Files(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_development_certificate_is_renewed_three_days_before_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let (mut keeper, origin) = Keeper::open(development(directory.path()), now()).unwrap();
    assert_eq!(origin, Some(Origin::Created));
    let current = keeper.current();
    let first = current.certificate();
    assert!(first.kind() == Kind::Development && first.is_valid(now()));
    for day in 0..=10 {
        assert!(matches!(keeper.check(now() + day * DAY), Checked::Unchanged), "day {day}");
    }
    assert_eq!(current.certificate().sha256_hex(), first.sha256_hex());
    assert!(matches!(keeper.check(now() + 11 * DAY), Checked::Exchanged));
    let second = current.certificate();
    assert_ne!(second.sha256_hex(), first.sha256_hex());
    assert!(second.remaining(now() + 11 * DAY) > 13 * DAY);
    assert!(matches!(keeper.check(now() + 12 * DAY), Checked::Unchanged));
    // The next start shows the same.
    let (next, origin) = Keeper::open(development(directory.path()), now() + 12 * DAY).unwrap();
    assert_eq!((origin, shown(&next).sha256_hex()), (Some(Origin::Reused), second.sha256_hex()));
}

#[test]
fn a_renewal_that_fails_leaves_the_old_one_and_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (mut keeper, _) = Keeper::open(development(&state), now()).unwrap();
    let first = shown(&keeper).sha256_hex();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "a file where the directory should be").unwrap();
    let late = now() + 12 * DAY;
    assert!(matches!(keeper.check(late), Checked::Unchanged));
    assert!(matches!(keeper.check(late), Checked::Refused(KeepError::Development(_))));
    assert!(matches!(keeper.check(late), Checked::Unchanged));
    assert_eq!(shown(&keeper).sha256_hex(), first);
    std::fs::remove_file(&state).unwrap();
    assert!(matches!(keeper.check(late), Checked::Exchanged));
    assert_ne!(shown(&keeper).sha256_hex(), first);
}

#[test]
fn files_are_followed() {
    let brought = Brought::new(&pair("one.example"));
    let mut keeper = brought.keeper();
    let current = keeper.current();
    let first = current.certificate();
    assert_eq!((first.kind(), first.not_after()), (Kind::Files, now() + 30 * DAY));
    assert!(matches!(keeper.check(now()), Checked::Unchanged));
    let (certificate, key) = pair("two.example");
    brought.write(&certificate, &key);
    assert!(matches!(keeper.check(now()), Checked::Exchanged));
    assert_ne!(current.certificate().sha256_hex(), first.sha256_hex());
    assert!(matches!(keeper.check(now()), Checked::Unchanged));
}

#[test]
fn a_chain_is_taken_and_all_of_it_may_be_one_file() {
    let key = KeyPair::generate().unwrap();
    let (authority, _) = pair("authority.example");
    let params = CertificateParams::new(vec!["edge.example".to_owned()]).unwrap();
    let chain = params.self_signed(&key).unwrap().pem() + &authority;
    let brought = Brought::new(&(chain, key.serialize_pem()));
    let certificate = shown(&brought.keeper());
    assert_eq!(certificate.shown().cert.len(), 2);
    // Both in one file.
    let (certificate, key) = pair("one.example");
    let brought = Brought::new(&(format!("{key}{certificate}"), format!("{key}{certificate}")));
    assert_eq!(shown(&brought.keeper()).shown().cert.len(), 1);
}

#[test]
fn what_is_of_no_use_is_told_once_and_the_old_one_stays() {
    let good = pair("good.example");
    let other = pair("other.example");
    let expired = valid("old.example", now() - 30 * DAY, now() - DAY);
    let brought = Brought::new(&good);
    let mut keeper = brought.keeper();
    let first = shown(&keeper).sha256_hex();
    for (certificate, key, part) in [
        ("", &*good.1, "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &good.1, "holds no certificate"),
        (&good.1, &good.1, "holds no certificate"),
        (&good.0, "", "holds no private key"),
        (&good.0, &good.0, "holds no private key"),
        (&other.0, &good.1, "do not belong together"),
        (&expired.0, &expired.1, "not valid now"),
    ] {
        brought.write(certificate, key);
        assert!(matches!(keeper.check(now()), Checked::Unchanged), "it may be half written: {part}");
        let error = refused(keeper.check(now())).to_string();
        assert!(error.contains(part), "{error}");
        assert!(matches!(keeper.check(now()), Checked::Unchanged), "told once: {part}");
        assert_eq!(shown(&keeper).sha256_hex(), first);
    }
    std::fs::remove_file(&brought.files.key).unwrap();
    assert!(matches!(keeper.check(now()), Checked::Unchanged));
    assert!(matches!(refused(keeper.check(now())), PemError::Read { .. }));
    // Back to what it was: nothing to exchange, and the same trouble would be told again.
    brought.write(&good.0, &good.1);
    assert!(matches!(keeper.check(now()), Checked::Unchanged));
    std::fs::remove_file(&brought.files.key).unwrap();
    assert!(matches!(keeper.check(now()), Checked::Unchanged));
    assert!(matches!(refused(keeper.check(now())), PemError::Read { .. }));
    brought.write(&other.0, &other.1);
    assert!(matches!(keeper.check(now()), Checked::Exchanged));
}

#[test]
fn one_that_is_not_valid_yet_is_shown_when_it_is() {
    let brought = Brought::new(&pair("one.example"));
    let mut keeper = brought.keeper();
    let (certificate, key) = valid("two.example", now() + DAY, now() + 60 * DAY);
    brought.write(&certificate, &key);
    assert!(matches!(keeper.check(now()), Checked::Unchanged));
    assert!(matches!(refused(keeper.check(now())), PemError::NotValidNow(_)));
    assert!(matches!(keeper.check(now() + 2 * DAY), Checked::Exchanged));
}

#[test]
fn a_start_without_a_usable_certificate_fails_but_an_expired_one_will_do() {
    let good = pair("good.example");
    let brought = Brought::new(&(good.0.clone(), String::new()));
    let open = || Keeper::open(Source::Files(brought.files.clone()), now());
    assert!(matches!(open(), Err(KeepError::Files(PemError::NoKey(_)))));
    std::fs::remove_file(&brought.files.certificate).unwrap();
    assert!(matches!(open(), Err(KeepError::Files(PemError::Read { .. }))));
    let (certificate, key) = valid("old.example", now() - 30 * DAY, now() - DAY);
    brought.write(&certificate, &key);
    let (keeper, _) = open().unwrap();
    assert!(!shown(&keeper).is_valid(now()));
    assert_eq!(shown(&keeper).remaining(now()), Duration::ZERO);
}

#[test]
fn a_key_that_others_can_read_is_noticed() {
    let brought = Brought::new(&pair("one.example"));
    let set = |mode| std::fs::set_permissions(&brought.files.key, PermissionsExt::from_mode(mode)).unwrap();
    for (mode, exposed) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o700, false)] {
        set(mode);
        assert_eq!(brought.files.key_is_exposed(), exposed, "{mode:o}");
    }
}

#[test]
fn a_secret_stays_unless_others_could_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let secret = || stored_secret::<72>(&state, "quic.keys").unwrap();
    let first = secret();
    let path = state.join("quic.keys");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(secret(), first);
    assert_ne!(first, [0; 72]);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let second = secret();
    assert_ne!(second, first);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "short").unwrap();
    let third = secret();
    assert!(third != second && third == secret());
    assert_ne!(stored_secret::<8>(&state, "other").unwrap(), third[..8]);
}
