//! A signed request in the headers of ADR-44.

use atoll_core::auth::{MAX_METADATA_BYTES, SignedFetch};
use axum::http::{HeaderMap, StatusCode};

/// `x-identity-auth-chain-<n>` has link n of the auth chain as JSON.
const LINK: &str = "x-identity-auth-chain-";

/// The same in words.
const LINKS: &str = "x-identity-auth-chain-<n>";

/// Most links that are read. Explorers send three, and a contract wallet needs no more.
const MAX_LINKS: usize = 8;

/// Most bytes of the links together. Wallets of many owners have long signatures.
const MAX_CHAIN: usize = 16 * 1024;

/// What the metadata has to say, by key. Scenes sign requests, too, but not as the explorer.
const CLAIMS: [(&str, &str); 2] = [("intent", "dcl:explorer:comms-handshake"), ("signer", "dcl:explorer")];

/// Why a request is refused before its signatures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// A header is missing.
    #[error("the header {0} is missing: this is asked with a signed fetch (ADR-44)")]
    Missing(&'static str),
    /// A header is there twice, or holds what is no text or not what it should.
    #[error("the header {0} cannot be read")]
    Unreadable(&'static str),
    /// There are too many links, or they or the metadata are too long.
    #[error("the header {0} is too large")]
    TooLarge(&'static str),
    /// The metadata does not say what is asked for, or that it is the explorer that asks.
    #[error("the metadata's {0} has to be {1}")]
    OtherClaim(&'static str, &'static str),
}

impl RequestError {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Missing(_) | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::OtherClaim(..) => StatusCode::FORBIDDEN,
        }
    }
}

/// What was signed for a POST to `path`, and the auth chain that is said to sign it as JSON text.
pub(super) fn read(path: &str, headers: &HeaderMap) -> Result<(SignedFetch, String), RequestError> {
    let auth_chain_json = chain(headers)?;
    let timestamp = single(headers, "x-identity-timestamp")?;
    let digits = Some(timestamp).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let timestamp_ms = digits.and_then(|digits| digits.parse().ok());
    let timestamp_ms = timestamp_ms.ok_or(RequestError::Unreadable("x-identity-timestamp"))?;
    let metadata = single(headers, "x-identity-metadata")?.to_owned();
    if metadata.len() > MAX_METADATA_BYTES {
        return Err(RequestError::TooLarge("x-identity-metadata"));
    }
    let request = SignedFetch { method: "POST".to_owned(), path: path.to_owned(), timestamp_ms, metadata };
    match CLAIMS.into_iter().find(|(key, value)| !request.says(key, value)) {
        Some((key, value)) => Err(RequestError::OtherClaim(key, value)),
        None => Ok((request, auth_chain_json)),
    }
}

/// The links, put together as an array. What each of them is, its parser says.
fn chain(headers: &HeaderMap) -> Result<String, RequestError> {
    let mut links = Vec::new();
    while let Some(link) = value(headers, &format!("{LINK}{}", links.len()), LINKS)? {
        links.push(link);
        let bytes: usize = links.iter().map(|link| link.len() + 1).sum();
        if links.len() > MAX_LINKS || bytes > MAX_CHAIN {
            return Err(RequestError::TooLarge(LINKS));
        }
    }
    if links.is_empty() {
        return Err(RequestError::Missing(LINKS));
    }
    Ok(format!("[{}]", links.join(",")))
}

fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, RequestError> {
    value(headers, name, name)?.ok_or(RequestError::Missing(name))
}

/// The one value of a header, if it is there. RequestErrors call it `known_as`.
fn value<'a>(headers: &'a HeaderMap, name: &str, known_as: &'static str) -> Result<Option<&'a str>, RequestError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RequestError::Unreadable(known_as));
    }
    value.to_str().map(Some).map_err(|_| RequestError::Unreadable(known_as))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    const METADATA: &str = r#"{"origin":"https://play.example","intent":"dcl:explorer:comms-handshake","signer":"dcl:explorer","isGuest":true}"#;

    fn with(changes: &[(&str, &[u8])]) -> Result<(SignedFetch, String), RequestError> {
        let mut headers = HeaderMap::new();
        let mut set = |name: &str, value: &[u8]| {
            let name: HeaderName = name.parse().unwrap();
            headers.remove(&name);
            for line in value.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                headers.append(name.clone(), HeaderValue::from_bytes(line).unwrap());
            }
        };
        set("x-identity-auth-chain-0", br#"{"type":"SIGNER"}"#);
        set("x-identity-auth-chain-1", b"{}");
        set("x-identity-timestamp", b"1700000000000");
        set("x-identity-metadata", METADATA.as_bytes());
        for (name, value) in changes {
            set(name, value);
        }
        read("/signed-login", &headers)
    }

    #[test]
    fn headers_become_the_text_that_was_signed() {
        let (request, chain) = with(&[]).unwrap();
        assert_eq!(chain, r#"[{"type":"SIGNER"},{}]"#);
        assert_eq!(request.payload(), format!("post:/signed-login:1700000000000:{}", METADATA.to_lowercase()));
        // What comes after a gap is none of it.
        assert_eq!(with(&[("x-identity-auth-chain-3", b"{}")]).unwrap().1, chain);
    }

    #[test]
    fn what_is_missing_or_unreadable_is_said() {
        let timestamp = "x-identity-timestamp";
        for (name, refusal) in [
            ("x-identity-auth-chain-0", RequestError::Missing(LINKS)),
            (timestamp, RequestError::Missing(timestamp)),
            ("x-identity-metadata", RequestError::Missing("x-identity-metadata")),
        ] {
            assert_eq!(with(&[(name, b"")]).unwrap_err(), refusal);
        }
        for wrong in
            [&b"soon"[..], b"-1", b"+1", b"1.5", b"99999999999999999999", b"\xff", b"1700000000000\n1700000000000"]
        {
            assert_eq!(with(&[(timestamp, wrong)]).unwrap_err(), RequestError::Unreadable(timestamp), "{wrong:?}");
        }
        assert_eq!(with(&[("x-identity-auth-chain-1", b"{}\n{}")]).unwrap_err(), RequestError::Unreadable(LINKS));
    }

    #[test]
    fn links_and_metadata_are_bounded() {
        let names: Vec<String> = (0..=MAX_LINKS).map(|link| format!("{LINK}{link}")).collect();
        let links: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"{}"[..])).collect();
        assert!(with(&links[..MAX_LINKS]).is_ok());
        assert_eq!(with(&links).unwrap_err(), RequestError::TooLarge(LINKS));
        let long = "1".repeat(MAX_CHAIN);
        assert_eq!(with(&[(&names[1], long.as_bytes())]).unwrap_err(), RequestError::TooLarge(LINKS));
        let long = format!("{METADATA}{}", "\t".repeat(MAX_METADATA_BYTES));
        let metadata = "x-identity-metadata";
        assert_eq!(with(&[(metadata, long.as_bytes())]).unwrap_err(), RequestError::TooLarge(metadata));
    }

    #[test]
    fn only_the_explorers_handshake_is_answered() {
        for (from, to) in [
            ("dcl:explorer:comms-handshake", "dcl:explorer:other"),
            (r#""signer":"dcl:explorer""#, r#""signer":"decentraland-kernel-scene""#),
            (r#""isGuest":true"#, r#""Signer":"decentraland-kernel-scene""#),
            (r#""intent":"#, r#""purpose":"#),
            ("{", "["),
        ] {
            let metadata = METADATA.replacen(from, to, 1);
            let refusal = with(&[("x-identity-metadata", metadata.as_bytes())]).unwrap_err();
            assert!(
                matches!(refusal, RequestError::OtherClaim(..)) && refusal.status() == StatusCode::FORBIDDEN,
                "{metadata}"
            );
        }
    }
}
