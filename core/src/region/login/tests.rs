use super::*;
use crate::auth::signing::Key;
use secp256k1::SecretKey;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NOW: u64 = 1_700_000_000_000;
const METADATA: &str = r#"{"server":"test","Signer":"dcl:Explorer"}"#;

/// A clock that a test sets.
struct Clock(AtomicU64);

impl Host for Clock {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.unix_millis() - NOW)
    }

    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

fn verifier() -> Verifier {
    verifier_at(&Arc::new(Clock(AtomicU64::new(NOW))), MAX_REMEMBERED_FETCHES)
}

fn verifier_at(clock: &Arc<Clock>, capacity: usize) -> Verifier {
    let host: Arc<dyn Host> = Arc::<Clock>::clone(clock);
    Verifier::with("test".parse().unwrap(), &host, 4, capacity)
}

fn links(wallet: u8, text: &str) -> Vec<Value> {
    let (wallet, ephemeral) = (Key::of(wallet), Key::of(0x22));
    vec![wallet.owner(), wallet.ephemeral(&ephemeral, "2100-01-01T00:00:00.000Z"), ephemeral.signed_entity(text)]
}

fn payload(path: &str, timestamp: u64, metadata: &str) -> String {
    format!("connect:{path}:{timestamp}:{}", metadata.to_lowercase())
}

fn shown(links: &[Value], timestamp_ms: u64, metadata: &str) -> Proof {
    let auth_chain_json = Value::Array(links.to_vec()).to_string();
    let metadata = metadata.to_owned();
    let (method, path) = ("connect".to_owned(), "/atoll".to_owned());
    Proof::SignedFetch { method, path, auth_chain_json, timestamp_ms, metadata }
}

fn signed(wallet: u8, timestamp: u64, metadata: &str) -> Proof {
    shown(&links(wallet, &payload("/atoll", timestamp, metadata)), timestamp, metadata)
}

fn is_used(answer: &Result<Address, LoginError>) -> bool {
    matches!(answer, Err(LoginError::SignedFetch(SignedFetchError::Used)))
}

#[tokio::test]
async fn a_signed_fetch_works_once() {
    let verifier = verifier();
    assert_eq!(verifier.verify(signed(1, NOW, METADATA)).await.unwrap(), Key::of(1).address());
    assert!(is_used(&verifier.verify(signed(1, NOW, METADATA)).await));
    assert_eq!(verifier.verify(signed(2, NOW, METADATA)).await.unwrap(), Key::of(2).address());
    assert_eq!(verifier.verify(signed(1, NOW + 1, METADATA)).await.unwrap(), Key::of(1).address());
    let with_nonce = r#"{"server":"test","nonce":1}"#;
    assert_eq!(verifier.verify(signed(1, NOW, with_nonce)).await.unwrap(), Key::of(1).address());
}

#[tokio::test]
async fn requests_for_another_moment_server_or_path_are_refused() {
    let verifier = verifier();
    let refused = verifier.verify(signed(1, NOW - 60_001, METADATA)).await;
    assert!(matches!(refused, Err(LoginError::SignedFetch(SignedFetchError::TooOld { .. }))));
    let refused = verifier.verify(signed(1, NOW + 60_001, METADATA)).await;
    assert!(matches!(refused, Err(LoginError::SignedFetch(SignedFetchError::TooNew { .. }))));
    let refused = verifier.verify(signed(1, NOW, r#"{"server":"other"}"#)).await;
    assert!(matches!(refused, Err(LoginError::SignedFetch(SignedFetchError::OtherServer))));
    // Signed for something else, but shown here.
    for text in [payload("/other", NOW, METADATA), payload("/atoll", NOW + 1, METADATA), payload("/atoll", NOW, "{}")] {
        let refused = verifier.verify(shown(&links(1, &text), NOW, METADATA)).await;
        assert!(matches!(refused, Err(LoginError::Unauthorized(AuthError::OtherAuthority))), "{text}");
    }
    assert!(verifier.verify(signed(1, NOW, METADATA)).await.is_ok(), "refused proofs use nothing up");
}

#[tokio::test]
async fn a_challenge_is_no_signed_fetch_and_the_other_way_round() {
    let verifier = verifier();
    let challenge = Challenge::new(&"test".parse().unwrap(), [1; 16]);
    let refused = verifier.verify(shown(&links(1, challenge.as_str()), NOW, METADATA)).await;
    assert!(matches!(refused, Err(LoginError::Unauthorized(AuthError::OtherAuthority))));
    let auth_chain_json = Value::Array(links(1, &payload("/atoll", NOW, METADATA))).to_string();
    let refused = verifier.verify(Proof::SignedChallenge { challenge, signer: None, auth_chain_json }).await;
    assert!(matches!(refused, Err(LoginError::Unauthorized(AuthError::OtherAuthority))));
}

/// The other signature that verifies for the same key and text: `s` taken from the group order, the point's parity
/// turned.
fn malleated(signature: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&signature[2 + 2 * at..4 + 2 * at], 16).unwrap();
    let s: [u8; 32] = std::array::from_fn(|at| byte(32 + at));
    let negated = SecretKey::from_secret_bytes(s).unwrap().negate().to_secret_bytes();
    let digits: String = negated.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{digits}{:02x}", &signature[..66], 27 + 28 - byte(64))
}

#[tokio::test]
async fn a_used_proof_is_known_in_every_dress() {
    let text = payload("/atoll", NOW, METADATA);
    let original = links(1, &text);
    let changed = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut links = original.clone();
        change(&mut links);
        links
    };
    let signature = |links: &mut Vec<Value>, at: usize, change: &dyn Fn(&str) -> String| {
        links[at]["signature"] = json!(change(links[at]["signature"].as_str().unwrap()));
    };
    let again = Key::of(1).ephemeral(&Key::of(0x23), "2100");
    let dresses: [(&str, Vec<Value>); 9] = [
        ("the same", original.clone()),
        ("s negated", changed(&|links| signature(links, 2, &malleated))),
        ("both s negated", changed(&|links| (1..3).for_each(|at| signature(links, at, &malleated)))),
        ("capital digits", changed(&|links| signature(links, 2, &|text| format!("0x{}", text[2..].to_uppercase())))),
        ("another key", changed(&|links| links[0]["extra"] = json!({"a": [1]}))),
        (
            "the owner's case",
            changed(&|links| {
                links[0]["payload"] = json!(Key::of(1).address().to_string().to_uppercase().replace("0X", "0x"));
            }),
        ),
        ("no owner's signature", changed(&|links| drop(links[0].as_object_mut().unwrap().remove("signature")))),
        ("another ephemeral key", vec![original[0].clone(), again, Key::of(0x23).signed_entity(&text)]),
        ("signed by the wallet", vec![original[0].clone(), Key::of(1).signed_entity(&text)]),
    ];
    for (what, dress) in &dresses {
        let alone = verifier();
        assert!(alone.verify(shown(dress, NOW, METADATA)).await.is_ok(), "{what} must hold by itself");
        assert!(is_used(&alone.verify(shown(&original, NOW, METADATA)).await), "{what} first");
    }
    let verifier = verifier();
    assert!(verifier.verify(shown(&original, NOW, METADATA)).await.is_ok());
    for (what, dress) in &dresses {
        assert!(is_used(&verifier.verify(shown(dress, NOW, METADATA)).await), "{what}");
    }
    let other_case = r#"{"server":"test","SIGNER":"DCL:explorer"}"#;
    assert!(is_used(&verifier.verify(shown(&original, NOW, other_case)).await));
    let Proof::SignedFetch { method, path, timestamp_ms, metadata, .. } = shown(&original, NOW, METADATA) else {
        unreachable!()
    };
    let auth_chain_json = serde_json::to_string_pretty(&original).unwrap();
    let spaced = Proof::SignedFetch { method, path, auth_chain_json, timestamp_ms, metadata };
    assert!(is_used(&verifier.verify(spaced).await));
}

#[tokio::test]
async fn a_full_memory_is_busy_until_its_first_entry_leaves() {
    let clock = Arc::new(Clock(AtomicU64::new(NOW)));
    let verifier = verifier_at(&clock, 3);
    for at in 0..3 {
        assert!(verifier.verify(signed(1, NOW + at, METADATA)).await.is_ok());
    }
    assert!(matches!(verifier.verify(signed(2, NOW, METADATA)).await, Err(LoginError::Busy)));
    assert!(is_used(&verifier.verify(signed(1, NOW, METADATA)).await));
    let challenge = Challenge::new(&"test".parse().unwrap(), [1; 16]);
    let auth_chain_json = Value::Array(links(2, challenge.as_str())).to_string();
    assert!(verifier.verify(Proof::SignedChallenge { challenge, signer: None, auth_chain_json }).await.is_ok());
    clock.0.store(NOW + 60_001, Ordering::Relaxed);
    assert!(verifier.verify(signed(2, NOW + 2, METADATA)).await.is_ok());
    let refused = verifier.verify(signed(1, NOW, METADATA)).await;
    assert!(matches!(refused, Err(LoginError::SignedFetch(SignedFetchError::TooOld { .. }))));
}

#[tokio::test]
async fn of_many_logins_with_one_proof_exactly_one_succeeds() {
    // The chains are checked on threads of their own, as many as there are places.
    let verifier = Arc::new(verifier());
    assert!(verifier.usual.available_permits() > 1);
    for round in 0..20 {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let verifier = Arc::clone(&verifier);
                tokio::spawn(async move { verifier.verify(signed(1, NOW + round, METADATA)).await })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            let answer = task.await.unwrap();
            assert!(answer.is_ok() || is_used(&answer), "{answer:?}");
            won += usize::from(answer.is_ok());
        }
        assert_eq!(won, 1);
    }
}

/// A chain of `count` links that leads to `text`.
fn chain_of(count: usize, text: &str) -> Vec<Value> {
    let keys: Vec<Key> = (1..count as u8).map(Key::of).collect();
    let mut links = vec![keys[0].owner()];
    links.extend(keys.windows(2).map(|pair| pair[0].ephemeral(&pair[1], "2100")));
    links.push(keys[keys.len() - 1].signed_entity(text));
    links
}

#[tokio::test]
async fn long_chains_wait_for_each_other_only() {
    let verifier = verifier();
    let long = |links: usize, at: u64| {
        let chain = chain_of(links, &payload("/atoll", NOW + at, METADATA));
        assert_eq!(chain.len(), links);
        verifier.verify(shown(&chain, NOW + at, METADATA))
    };
    let busy = Arc::clone(&verifier.long).acquire_owned().await.unwrap();
    let mut waiting = Box::pin(long(USUAL_LINKS + 1, 0));
    let mut longest = Box::pin(long(96, 1));
    let both = async {
        tokio::select! { answer = &mut waiting => answer, answer = &mut longest => answer }
    };
    tokio::select! {
        biased;
        answer = both => panic!("{answer:?} while the lane was taken"),
        answer = async {
            // The honest come through meanwhile, more of them than there are places.
            for at in 2..20 {
                long(USUAL_LINKS, at).await?;
            }
            Ok::<_, LoginError>(())
        } => answer.unwrap(),
    }
    drop(busy);
    let (first, second) = tokio::join!(waiting, longest);
    assert_eq!((first.unwrap(), second.unwrap()), (Key::of(1).address(), Key::of(1).address()));
    assert_eq!((verifier.usual.available_permits(), verifier.long.available_permits()), (4, 1));
}

#[tokio::test]
async fn a_request_that_names_no_server_is_identified_once_and_logs_nobody_in() {
    let verifier = verifier();
    let metadata = r#"{"intent":"dcl:Explorer"}"#;
    let request = || SignedFetch {
        method: "connect".to_owned(),
        path: "/atoll".to_owned(),
        timestamp_ms: NOW,
        metadata: metadata.to_owned(),
    };
    let chain = Value::Array(links(0x11, &payload("/atoll", NOW, metadata))).to_string();
    let other = SignedFetch { path: "/other".to_owned(), ..request() };
    let refused = verifier.verify(Shown::Request(other, chain.clone())).await;
    assert!(matches!(refused, Err(LoginError::Unauthorized(AuthError::OtherAuthority))), "{refused:?}");
    let refused = verifier.verify(signed(0x11, NOW, metadata)).await;
    assert!(matches!(refused, Err(LoginError::SignedFetch(SignedFetchError::NoServer))), "{refused:?}");
    assert_eq!(verifier.verify(Shown::Request(request(), chain.clone())).await.unwrap(), Key::of(0x11).address());
    assert!(is_used(&verifier.verify(Shown::Request(request(), chain)).await));
}
