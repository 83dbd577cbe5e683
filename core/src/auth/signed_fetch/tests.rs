use super::*;
use crate::auth::signing::Key;
use crate::auth::{AuthError, verify};
use proptest::prelude::*;
use serde_json::Value;

const NOW: u64 = 1_700_000_000_000;

fn fetch(metadata: &str) -> SignedFetch {
    SignedFetch { method: "connect".into(), path: "/atoll".into(), timestamp_ms: NOW, metadata: metadata.to_owned() }
}

fn check(metadata: &str) -> Result<(), SignedFetchError> {
    fetch(metadata).check(&"eu-1".parse().unwrap(), NOW)
}

#[test]
fn the_payload_is_all_lower_case() {
    let request =
        SignedFetch { method: "GET".into(), path: "/Path".into(), ..fetch(r#"{"server":"EU-1","Name":"Ada"}"#) };
    assert_eq!(request.payload(), r#"get:/path:1700000000000:{"server":"eu-1","name":"ada"}"#);
}

/// Pairs as Node.js 20 answers them, for letters where a simpler rule would give another one.
#[test]
fn lower_case_is_javascripts() {
    for (text, lower) in [
        ("İ", "i\u{307}"),
        ("I", "i"),
        ("ΟΔΟΣ", "οδος"),
        ("ΟΔΟΣ-Σ", "οδος-σ"),
        ("Σ", "σ"),
        ("ΑΣ'Α", "ασ'α"),
        ("ẞß", "ßß"),
        ("K", "k"),
        ("Å", "å"),
        ("ſ", "ſ"),
        ("ǅ", "ǆ"),
        ("Ა", "ა"),
        ("Ꭰ", "ꭰ"),
        ("Ᏸ", "ᏸ"),
        ("𐐀", "𐐨"),
        (r"\u00C9", r"\u00c9"),
    ] {
        let payload = fetch(text).payload();
        assert_eq!(payload.strip_prefix("connect:/atoll:1700000000000:"), Some(lower), "{text}");
    }
}

#[test]
fn no_other_letter_turns_into_one_of_server() {
    for c in ('\0'..=char::MAX).filter(|c| !c.is_ascii()) {
        assert!(c.to_lowercase().all(|lower| !SERVER.contains(lower)), "{c:?}");
    }
}

#[test]
fn metadata_may_be_signed_in_any_case() {
    let (wallet, ephemeral) = (Key::of(0x11), Key::of(0x22));
    let request =
        fetch(r#"{"server":"eu-1","Origin":"https://Play.Example","isGuest":TRUE}"#.replace("TRUE", "true").as_str());
    let signed = |text: &str| {
        let links = [wallet.owner(), wallet.ephemeral(&ephemeral, "2100"), ephemeral.signed_entity(text)];
        verify(&Value::Array(links.into()).to_string(), &request.payload(), NOW)
    };
    assert_eq!(request.check(&"eu-1".parse().unwrap(), NOW), Ok(()));
    assert_eq!(signed(&request.payload()), Ok(wallet.address()));
    let original = format!("connect:/atoll:{NOW}:{}", request.metadata);
    assert_eq!(signed(&original), Err(AuthError::OtherAuthority), "the text itself has to be lower-case");
}

#[test]
fn a_minute_counts_in_both_directions() {
    let at = |timestamp_ms| SignedFetch { timestamp_ms, ..fetch(r#"{"server":"eu-1"}"#) };
    let check = |timestamp| at(timestamp).check(&"eu-1".parse().unwrap(), NOW);
    for timestamp in [NOW - 60_000, NOW - 1, NOW, NOW + 1, NOW + 60_000] {
        assert_eq!(check(timestamp), Ok(()), "{timestamp}");
    }
    for timestamp in [0, NOW / 1000, NOW - 60_001] {
        assert_eq!(check(timestamp), Err(SignedFetchError::TooOld { timestamp, now: NOW }));
    }
    for timestamp in [NOW + 60_001, u64::MAX] {
        assert_eq!(check(timestamp), Err(SignedFetchError::TooNew { timestamp, now: NOW }));
    }
}

#[test]
fn the_server_is_named_once_and_exactly() {
    for metadata in [
        r#"{"server":"eu-1"}"#,
        " {\"signer\": \"dcl:explorer\", \"server\" : \"eu-1\", \"intent\": [{\"server\": 5}, null] }\n",
        r#"{"\u0073erver":"eu\u002d1"}"#,
        r#"{"servers":"x","server":"eu-1","serve":"x","server ":"x"}"#,
    ] {
        assert_eq!(check(metadata), Ok(()), "{metadata}");
    }
    for metadata in ["{}", r#"{"Server":"eu-1"}"#, r#"{"metadata":{"server":"eu-1"}}"#, r#"{"ſerver":"eu-1"}"#] {
        assert_eq!(check(metadata), Err(SignedFetchError::NoServer), "{metadata}");
    }
    for value in
        [r#""eu-2""#, r#""EU-1""#, r#""eu-1 ""#, r#""""#, "null", "1", "true", r#"["eu-1"]"#, r#"{"a":"eu-1"}"#]
    {
        assert_eq!(check(&format!(r#"{{"server":{value}}}"#)), Err(SignedFetchError::OtherServer), "{value}");
    }
}

#[test]
fn a_request_for_another_server_is_not_one_for_this_in_another_case() {
    // Signed for eu-2; the case of the keys is the thief's to choose.
    for metadata in [
        r#"{"SERVER":"eu-2","server":"eu-1"}"#,
        r#"{"server":"eu-1","Server":"eu-2"}"#,
        r#"{"server":"eu-1","\u0053erver":"eu-2"}"#,
        r#"{"server":"eu-2","server":"eu-1"}"#,
        r#"{"server":"eu-1","server":"eu-1"}"#,
    ] {
        assert_eq!(check(metadata), Err(SignedFetchError::SeveralServers), "{metadata}");
    }
}

#[test]
fn kernels_name_no_server_but_never_another() {
    let check = |metadata: &str| fetch(metadata).check_unbound(&"eu-1".parse().unwrap(), NOW);
    assert_eq!(check("{}"), Ok(false));
    assert_eq!(check(r#"{"intent":"x","signer":"server"}"#), Ok(false));
    assert_eq!(check(r#"{"server":"eu-1"}"#), Ok(true));
    assert_eq!(check(r#"{"server":"eu-2"}"#), Err(SignedFetchError::OtherServer));
    assert_eq!(check(r#"{"Server":"eu-1"}"#), Err(SignedFetchError::NoServer));
    assert_eq!(check(r#"{"Server":"eu-1","server":"eu-1"}"#), Err(SignedFetchError::SeveralServers));
    assert!(matches!(check("[]"), Err(SignedFetchError::MetadataNotAnObject)));
    let old = SignedFetch { timestamp_ms: NOW - SIGNED_FETCH_WINDOW_MS - 1, ..fetch("{}") };
    assert!(matches!(old.check_unbound(&"eu-1".parse().unwrap(), NOW), Err(SignedFetchError::TooOld { .. })));
}

#[test]
fn what_metadata_says_does_not_depend_on_its_case() {
    let says = |metadata: &str| fetch(metadata).says("intent", "dcl:join");
    assert!(says(r#"{"a":1,"intent":"dcl:join","b":{"intent":"x"}}"#));
    for metadata in [
        "",
        "{}",
        r#"{"intent":"dcl:leave"}"#,
        r#"{"intent":"DCL:join"}"#,
        r#"{"Intent":"dcl:join"}"#,
        r#"{"intent":["dcl:join"]}"#,
        r#"{"intent":"dcl:leave","intent":"dcl:join"}"#,
        r#"{"INTENT":"dcl:leave","intent":"dcl:join"}"#,
        r#"{"İntent":"x","intent":"dcl:join"} "x""#,
    ] {
        assert!(!says(metadata), "{metadata}");
    }
}

#[test]
fn other_texts_are_no_metadata() {
    for metadata in
        ["", "server", "{", r#"{"server":"eu-1"} {}"#, r#"{"server":"eu-1",}"#, "{'server':'eu-1'}", "\u{feff}{}"]
    {
        assert!(matches!(check(metadata), Err(SignedFetchError::MetadataNotJson { .. })), "{metadata}");
    }
    for metadata in ["null", "5", r#""eu-1""#, r#"["server","eu-1"]"#, "true"] {
        assert_eq!(check(metadata), Err(SignedFetchError::MetadataNotAnObject), "{metadata}");
    }
}

#[test]
fn metadata_is_bounded() {
    let named = r#"{"server":"eu-1"}"#;
    let padded = |length: usize| format!("{named}{}", " ".repeat(length - named.len()));
    assert_eq!(check(&padded(MAX_METADATA_BYTES)), Ok(()));
    let long = MAX_METADATA_BYTES + 1;
    assert_eq!(check(&padded(long)), Err(SignedFetchError::MetadataTooLong(long)));
    let deep = format!(r#"{{"server":"eu-1","a":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    assert_eq!(check(&deep), Ok(()), "what nobody reads is skipped without recursion");
}

/// Changes the case of some letters of a text.
fn recased(text: &str, flips: u128) -> String {
    let flip = |(at, c): (usize, char)| match flips >> (at % 128) & 1 {
        1 if c.is_ascii_lowercase() => c.to_ascii_uppercase(),
        1 => c.to_ascii_lowercase(),
        _ => c,
    };
    text.chars().enumerate().map(flip).collect()
}

proptest! {
    #[test]
    fn any_metadata_is_answered(text in "\\PC*", jsonish in r#"\{[\[\]{}",:0-9a-zA-Z \\]{0,80}\}"#) {
        let _ = (check(&text), check(&jsonish));
    }

    /// Who cannot sign can still choose the case: that must not turn a request for one server into one for another.
    #[test]
    fn case_never_changes_the_server(flips in any::<u128>(), keys in prop::collection::vec((r"[sS]erver|a|SERVER", r"eu-[12]|EU-1"), 1..4)) {
        let fields: Vec<String> = keys.iter().map(|(key, value)| format!(r#""{key}":"{value}""#)).collect();
        let metadata = format!("{{{}}}", fields.join(","));
        let other = recased(&metadata, flips);
        prop_assert_eq!(fetch(&metadata).payload(), fetch(&other).payload());
        let at = |server: &str, metadata: &str| fetch(metadata).check(&server.parse().unwrap(), NOW).is_ok();
        prop_assert!(!(at("eu-1", &metadata) && at("eu-2", &other)));
        prop_assert!(!(at("eu-2", &metadata) && at("eu-1", &other)));
    }
}
