use super::*;
use crate::auth::signing::Key;
use proptest::prelude::*;
use serde_json::{Value, json};

const CHALLENGE: &str = "dcl-test-000102030405060708090a0b0c0d0e0f";
const NOW: u64 = 1_675_782_376_908;

fn usual_chain() -> Vec<Value> {
    let (wallet, ephemeral) = (Key::of(0x11), Key::of(0x22));
    vec![wallet.owner(), wallet.ephemeral(&ephemeral, "2100-01-01T00:00:00.000Z"), ephemeral.signed_entity(CHALLENGE)]
}

fn answer(links: Vec<Value>, expected: &str) -> Result<Address, AuthError> {
    verify(&Value::Array(links).to_string(), expected, NOW)
}

#[test]
fn the_usual_chain_proves_its_owner() {
    assert_eq!(answer(usual_chain(), CHALLENGE), Ok(Key::of(0x11).address()));
    // The address of the key 0x11 × 32, as @dcl/crypto gives it.
    assert_eq!(Key::of(0x11).address().to_string(), "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a");
}

#[test]
fn the_final_authority_is_compared_exactly() {
    for other in ["", "dcl-test-0001", &CHALLENGE.to_uppercase()] {
        assert_eq!(answer(usual_chain(), other), Err(AuthError::OtherAuthority));
    }
}

#[test]
fn every_authority_signs_for_the_next() {
    let (wallet, ephemeral, stranger) = (Key::of(0x11), Key::of(0x22), Key::of(0x33));
    let handed_over = wallet.ephemeral(&ephemeral, "2100");
    let links = vec![wallet.owner(), handed_over.clone(), stranger.signed_entity(CHALLENGE)];
    assert_eq!(answer(links, CHALLENGE), Err(AuthError::WrongSigner(2)));
    let links = vec![stranger.owner(), handed_over.clone(), ephemeral.signed_entity(CHALLENGE)];
    assert_eq!(answer(links, CHALLENGE), Err(AuthError::WrongSigner(1)));
    let links = vec![wallet.owner(), handed_over, json!({"type": "SOMETHING"}), ephemeral.signed_entity(CHALLENGE)];
    assert_eq!(answer(links, CHALLENGE), Err(AuthError::WrongSigner(3)));
}

#[test]
fn ephemeral_keys_expire() {
    let (wallet, ephemeral) = (Key::of(0x11), Key::of(0x22));
    let at = |expiration: &str| {
        let links = vec![wallet.owner(), wallet.ephemeral(&ephemeral, expiration), ephemeral.signed_entity(CHALLENGE)];
        answer(links, CHALLENGE)
    };
    assert_eq!(at("2023-02-07T15:06:16.909Z"), Ok(wallet.address()));
    let expired = |expires| Err(AuthError::Expired { link: 1, expires, now: NOW });
    assert_eq!(at("2023-02-07T15:06:16.908Z"), expired(NOW as i64));
    assert_eq!(at("1960-01-01"), expired(-315_619_200_000));
    assert_eq!(at("soon"), Err(AuthError::NoExpiration(1)));
}

#[test]
fn contract_wallets_are_refused_for_now() {
    let wallet = Key::of(0x11);
    for kind in ["ECDSA_EIP_1654_EPHEMERAL", "ECDSA_EIP_1654_SIGNED_ENTITY"] {
        let mut link = wallet.signed_entity(CHALLENGE);
        link["type"] = json!(kind);
        assert_eq!(answer(vec![wallet.owner(), link], CHALLENGE), Err(AuthError::ContractWallet(1)));
    }
}

#[test]
fn a_malformed_chain_says_so() {
    assert_eq!(verify("[]", "", NOW), Err(AuthError::Malformed(ChainError::Empty)));
}

#[test]
fn the_longest_chain_is_walked() {
    let keys: Vec<Key> = (1..super::super::MAX_CHAIN_LINKS as u8).map(Key::of).collect();
    let mut links = vec![keys[0].owner()];
    links.extend(keys.windows(2).map(|pair| pair[0].ephemeral(&pair[1], "2100")));
    links.push(keys[keys.len() - 1].signed_entity(CHALLENGE));
    assert_eq!(links.len(), super::super::MAX_CHAIN_LINKS);
    assert_eq!(answer(links, CHALLENGE), Ok(keys[0].address()));
}

/// Replaces the byte at `at` (modulo the length) of an ASCII text by another ASCII character.
fn tamper(text: &mut String, at: usize, by: u8) {
    let mut bytes = std::mem::take(text).into_bytes();
    let at = at % bytes.len();
    bytes[at] = if bytes[at] == by { by ^ 1 } else { by };
    *text = String::from_utf8(bytes).unwrap();
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC*", jsonish in r#"[\[\]{}",:0-9a-z \\]{0,80}"#) {
        prop_assert!(verify(&text, "", NOW).is_err());
        prop_assert!(verify(&jsonish, "", NOW).is_err());
    }

    #[test]
    fn a_damaged_chain_is_answered(at in any::<prop::sample::Index>(), cut in 0..4usize, put in "\\PC{0,3}") {
        let mut text = Value::Array(usual_chain()).to_string();
        let at = at.index(text.len() - cut);
        text.replace_range(at..at + cut, &put);
        let _ = verify(&text, CHALLENGE, NOW);
    }

    #[test]
    fn a_tampered_payload_is_refused(link in 0..3usize, at in any::<usize>(), by in 0x21..0x7eu8) {
        let mut links = usual_chain();
        let Value::String(payload) = &mut links[link]["payload"] else { unreachable!() };
        let before = payload.clone();
        tamper(payload, at, by);
        // The case of an owner's digits means nothing.
        prop_assume!(link != 0 || !before.eq_ignore_ascii_case(payload));
        prop_assert!(answer(links, CHALLENGE).is_err());
    }

    #[test]
    fn a_tampered_signature_is_refused(link in 1..3usize, byte in 0..64usize, bit in 0..8u8) {
        let mut links = usual_chain();
        let Value::String(signature) = &mut links[link]["signature"] else { unreachable!() };
        let at = 2 + byte * 2;
        let value = u8::from_str_radix(&signature[at..at + 2], 16).unwrap() ^ 1 << bit;
        signature.replace_range(at..at + 2, &format!("{value:02x}"));
        prop_assert!(answer(links, CHALLENGE).is_err());
    }
}
