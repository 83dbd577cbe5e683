//! An auth chain, parsed from a client's text.

use super::contract::parse_signature as parse_contract_signature;
use super::ephemeral::Ephemeral;
use super::json::{RawChain, RawField, RawLink};
use super::signature::Signature;
use atoll_proto::Address;
use serde_json::error::Category;

/// The longest text [`AuthChain::parse`] reads, in bytes.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;
/// The most links a chain may have, the owner's included.
pub const MAX_CHAIN_LINKS: usize = 96;

/// A well-formed auth chain: an owner, then links that each name the next authority.
///
/// Nothing is proven before [`AuthChain::verify`] says so.
#[derive(Clone, Debug)]
pub struct AuthChain {
    owner: Address,
    /// The owner as written: it is the final authority of a chain without links, and that is compared exactly.
    pub(super) owner_text: String,
    /// The links after the owner's.
    pub(super) links: Vec<Link>,
}

/// A link after the owner's.
#[derive(Clone, Debug)]
pub(super) enum Link {
    /// The authority signed a message that makes another key the authority until a moment.
    Ephemeral { ephemeral: Ephemeral, signature: Signature },
    /// The authority signed a text, which becomes the authority.
    SignedEntity { text: String, signature: Signature },
    /// A contract wallet's signature of a text; `None` when it cannot be one.
    Contract(Option<ContractLink>),
    /// A link of another type: it empties the authority, and is no error by itself.
    Unknown,
}

/// What a contract wallet is said to have signed.
#[derive(Clone, Debug)]
pub(super) struct ContractLink {
    pub(super) text: String,
    /// When the text makes another key the authority.
    pub(super) ephemeral: Option<Ephemeral>,
    pub(super) signature: Vec<u8>,
}

/// Why a text is not an auth chain. Links are counted from 0, the owner's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The text is longer than [`MAX_CHAIN_BYTES`].
    #[error("auth chain of {0} bytes, more than {MAX_CHAIN_BYTES}")]
    TooLong(usize),
    /// There are more links than [`MAX_CHAIN_LINKS`].
    #[error("auth chain of more than {MAX_CHAIN_LINKS} links")]
    TooManyLinks,
    /// The text is not JSON.
    #[error("auth chain is not JSON: line {line}, column {column}")]
    NotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, in bytes from 1.
        column: usize,
    },
    /// The JSON is not an array.
    #[error("auth chain is not an array")]
    NotAnArray,
    /// The array is empty.
    #[error("auth chain is empty")]
    Empty,
    /// A link is `null`.
    #[error("link {0} is null")]
    NullLink(usize),
    /// A link of type `SIGNER` must be first, and only first.
    #[error("link {0} breaks the rule that SIGNER is first, and only first")]
    MisplacedSigner(usize),
    /// The owner's payload is not an Ethereum address.
    #[error("the owner is not an address")]
    OwnerNotAnAddress,
    /// A link that is signed has no text as payload.
    #[error("link {0} has no payload")]
    NoPayload(usize),
    /// A link that must be signed has no signature.
    #[error("link {0} has no signature")]
    NoSignature(usize),
    /// A signature is not 65 bytes in hexadecimal after a lower-case `0x`, or not of this curve.
    #[error("link {0} has a malformed signature")]
    MalformedSignature(usize),
    /// An ephemeral message does not have three lines.
    #[error("link {0} has a malformed ephemeral message")]
    MalformedEphemeral(usize),
}

impl AuthChain {
    /// Reads the JSON text of a chain, with JavaScript's `JSON.parse` as the model.
    ///
    /// A link of an unknown type is well-formed whatever it holds.
    pub fn parse(text: &str) -> Result<Self, ChainError> {
        if text.len() > MAX_CHAIN_BYTES {
            return Err(ChainError::TooLong(text.len()));
        }
        let raw: RawChain<MAX_CHAIN_LINKS> = serde_json::from_str(text).map_err(json_error)?;
        if raw.is_too_long {
            return Err(ChainError::TooManyLinks);
        }
        let mut raw = raw.links.into_iter().enumerate();
        let (_, first) = raw.next().ok_or(ChainError::Empty)?;
        let owner_text = owner(first)?;
        Ok(Self {
            owner: owner_text.parse().map_err(|_| ChainError::OwnerNotAnAddress)?,
            owner_text,
            links: raw.map(|(index, link)| Link::parse(index, link)).collect::<Result<_, _>>()?,
        })
    }

    /// Links, the owner's included. [`verify`](Self::verify) recovers a signer for all but the first, at most.
    #[expect(clippy::len_without_is_empty, reason = "a chain has an owner")]
    pub fn len(&self) -> usize {
        self.links.len() + 1
    }

    /// The address the chain speaks for, if it is valid.
    pub fn claimed_owner(&self) -> Address {
        self.owner
    }
}

impl Link {
    fn parse(index: usize, raw: RawLink) -> Result<Self, ChainError> {
        let RawLink::Fields { kind, payload, signature } = raw else {
            return Err(ChainError::NullLink(index));
        };
        match kind.text().as_deref() {
            Some("SIGNER") => Err(ChainError::MisplacedSigner(index)),
            Some("ECDSA_EPHEMERAL") => {
                let payload = payload.text().ok_or(ChainError::NoPayload(index))?;
                let ephemeral = Ephemeral::parse(&payload).ok_or(ChainError::MalformedEphemeral(index))?;
                Ok(Self::Ephemeral { ephemeral, signature: parse_signature(index, signature)? })
            }
            Some("ECDSA_SIGNED_ENTITY") => {
                let text = payload.text().ok_or(ChainError::NoPayload(index))?;
                Ok(Self::SignedEntity { text, signature: parse_signature(index, signature)? })
            }
            Some("ECDSA_EIP_1654_EPHEMERAL") => Ok(Self::Contract(ContractLink::parse(payload, signature, true))),
            Some("ECDSA_EIP_1654_SIGNED_ENTITY") => Ok(Self::Contract(ContractLink::parse(payload, signature, false))),
            _ => Ok(Self::Unknown),
        }
    }
}

impl ContractLink {
    fn parse(payload: RawField, signature: RawField, is_ephemeral: bool) -> Option<Self> {
        let (payload, signature) = (payload.text()?, parse_contract_signature(&signature.text()?)?);
        if !is_ephemeral {
            return Some(Self { text: payload, ephemeral: None, signature });
        }
        let ephemeral = Ephemeral::parse(&payload)?;
        Some(Self { text: ephemeral.message.clone(), ephemeral: Some(ephemeral), signature })
    }
}

fn owner(first: RawLink) -> Result<String, ChainError> {
    let RawLink::Fields { kind, payload, .. } = first else {
        return Err(ChainError::NullLink(0));
    };
    if kind.text().as_deref() != Some("SIGNER") {
        return Err(ChainError::MisplacedSigner(0));
    }
    payload.text().ok_or(ChainError::OwnerNotAnAddress)
}

fn parse_signature(index: usize, signature: RawField) -> Result<Signature, ChainError> {
    let text = signature.text().filter(|text| !text.is_empty()).ok_or(ChainError::NoSignature(index))?;
    Signature::parse(&text).ok_or(ChainError::MalformedSignature(index))
}

fn json_error(error: serde_json::Error) -> ChainError {
    match error.classify() {
        Category::Data => ChainError::NotAnArray,
        _ => ChainError::NotJson { line: error.line(), column: error.column() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = r#"{"type":"SIGNER","payload":"0x19E7e376e7c213b7e7e7e46cc70a5dd086daff2a"}"#;

    fn error(text: &str) -> ChainError {
        AuthChain::parse(text).unwrap_err()
    }

    #[test]
    fn an_owner_alone_is_a_chain() {
        let chain = AuthChain::parse(&format!(" [ {OWNER} ]\n")).unwrap();
        assert_eq!(chain.claimed_owner().to_string(), "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a");
        assert!(chain.links.is_empty());
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let text =
            r#"[{"type":5,"type":"SIGNER","payload":"0x","payload":"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"}]"#;
        assert!(AuthChain::parse(text).is_ok());
        let text = r#"[{"type":"SIGNER","payload":"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a","payload":null}]"#;
        assert_eq!(error(text), ChainError::OwnerNotAnAddress);
    }

    #[test]
    fn values_that_are_no_objects_are_unknown_links() {
        let text = format!(r#"[{OWNER},5,-5,1.5,"x",[{OWNER}],true,{{}},{{"type":[],"payload":{{"a":[1]}}}}]"#);
        let chain = AuthChain::parse(&text).unwrap();
        assert_eq!(chain.links.len(), 8);
        assert!(chain.links.iter().all(|link| matches!(link, Link::Unknown)));
    }

    #[test]
    fn texts_that_are_no_chains_say_why() {
        for text in ["", "soon", "[", "\u{feff}[]", "[1,]", "[] []", "[{\"type\":\"\\x\"}]"] {
            assert!(matches!(error(text), ChainError::NotJson { .. }), "{text}");
        }
        for text in ["null", "5", "\"x\"", "{}", "true"] {
            assert_eq!(error(text), ChainError::NotAnArray, "{text}");
        }
        assert_eq!(error("[]"), ChainError::Empty);
        assert_eq!(error("[null]"), ChainError::NullLink(0));
        assert_eq!(error("[5]"), ChainError::MisplacedSigner(0));
        assert_eq!(error(r#"[{"type":"SIGNER","payload":5}]"#), ChainError::OwnerNotAnAddress);
        assert_eq!(error(r#"[{"type":"SIGNER","payload":"0x5"}]"#), ChainError::OwnerNotAnAddress);
        assert_eq!(error(&format!("[{OWNER},null]")), ChainError::NullLink(1));
        assert_eq!(error(&format!("[{OWNER},5,{OWNER}]")), ChainError::MisplacedSigner(2));
    }

    #[test]
    fn broken_signed_links_say_why() {
        for (link, expected) in [
            (r#"{"type":"ECDSA_SIGNED_ENTITY"}"#, ChainError::NoPayload(1)),
            (r#"{"type":"ECDSA_SIGNED_ENTITY","payload":"x"}"#, ChainError::NoSignature(1)),
            (r#"{"type":"ECDSA_SIGNED_ENTITY","payload":"x","signature":""}"#, ChainError::NoSignature(1)),
            (r#"{"type":"ECDSA_SIGNED_ENTITY","payload":"x","signature":5}"#, ChainError::NoSignature(1)),
            (r#"{"type":"ECDSA_SIGNED_ENTITY","payload":"x","signature":"0x"}"#, ChainError::MalformedSignature(1)),
            (r#"{"type":"ECDSA_EPHEMERAL","payload":5}"#, ChainError::NoPayload(1)),
            (r#"{"type":"ECDSA_EPHEMERAL","payload":"x\ny"}"#, ChainError::MalformedEphemeral(1)),
            (r#"{"type":"ECDSA_EPHEMERAL","payload":"\n\n"}"#, ChainError::NoSignature(1)),
        ] {
            assert_eq!(error(&format!("[{OWNER},{link}]")), expected, "{link}");
        }
    }

    #[test]
    fn length_and_links_are_bounded() {
        let spaces = " ".repeat(MAX_CHAIN_BYTES);
        assert_eq!(error(&format!("{spaces}[")), ChainError::TooLong(MAX_CHAIN_BYTES + 1));
        let links = |count: usize| format!("[{OWNER}{}]", ",0".repeat(count - 1));
        assert_eq!(AuthChain::parse(&links(MAX_CHAIN_LINKS)).unwrap().links.len(), MAX_CHAIN_LINKS - 1);
        assert_eq!(error(&links(MAX_CHAIN_LINKS + 1)), ChainError::TooManyLinks);
        let deep = format!("[{OWNER},{}{}]", "[".repeat(20_000), "]".repeat(20_000));
        // Values nobody reads are skipped without recursion.
        assert_eq!(AuthChain::parse(&deep).unwrap().links.len(), 1);
    }
}
