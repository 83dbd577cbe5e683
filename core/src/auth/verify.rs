//! Walks an auth chain from its owner to the text that had to be signed.

use super::chain::{AuthChain, ChainError, ContractLink, Link};
use super::contract::ContractSignature;
use super::ephemeral::Ephemeral;
use super::signature::Signature;
use atoll_proto::Address;

/// Why an auth chain proves nothing. Links are counted from 0, the owner's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The text is not an auth chain.
    #[error(transparent)]
    Malformed(#[from] ChainError),
    /// An ephemeral key was valid only until a moment that is not later than now.
    #[error("link {link} expired at {expires} ms, now {now} ms")]
    Expired {
        /// The link of the ephemeral key.
        link: usize,
        /// Milliseconds since 1970.
        expires: i64,
        /// Milliseconds since 1970.
        now: u64,
    },
    /// An ephemeral key's expiration is no date.
    #[error("link {0} expires at no date")]
    NoExpiration(usize),
    /// A signature is not the authority's, or no key can have made it.
    #[error("link {0} is not signed by the authority before it")]
    WrongSigner(usize),
    /// A contract wallet's signature, where no Ethereum node can be asked.
    #[error("link {0} is signed by a contract wallet, which this server cannot check: it has no Ethereum node")]
    ContractWallet(usize),
    /// The chain is sound but leads to another text than the one that had to be signed.
    #[error("the chain ends with another authority than the expected one")]
    OtherAuthority,
}

/// Parses and verifies an auth chain in one step: see [`AuthChain::parse`] and [`AuthChain::verify`].
pub fn verify(chain: &str, expected: &str, now: u64) -> Result<Address, AuthError> {
    AuthChain::parse(chain)?.verify(expected, now)
}

/// How far a chain was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// To its end: it speaks for this address.
    Owner(Address),
    /// To a signature that a contract has to judge before the rest.
    Ask(ContractSignature),
}

impl AuthChain {
    /// Checks every signature, and that the chain ends in `expected`: the challenge, or whatever text was to be signed.
    ///
    /// `now` is in milliseconds since 1970; every ephemeral key on the way has to expire strictly later. The answer is
    /// the owner's address. `expected` is compared exactly; it should not be empty, nor an address, for a chain can end
    /// in those without a signature. Contract wallets are refused.
    pub fn verify(&self, expected: &str, now: u64) -> Result<Address, AuthError> {
        match self.follow(expected, now, None)? {
            Verified::Owner(owner) => Ok(owner),
            Verified::Ask(_) => Err(AuthError::OtherAuthority),
        }
    }

    /// The same for chains that may have contract wallets in them. `answers` are what the contracts have said so far, in
    /// the order in which this asked them.
    pub fn verify_asking(&self, expected: &str, now: u64, answers: &[bool]) -> Result<Verified, AuthError> {
        self.follow(expected, now, Some(answers))
    }

    fn follow(&self, expected: &str, now: u64, answers: Option<&[bool]>) -> Result<Verified, AuthError> {
        let mut answers = answers.map(<[bool]>::iter);
        let mut authority = self.owner_text.as_str();
        for (link, index) in self.links.iter().zip(1..) {
            authority = match link {
                Link::Ephemeral { ephemeral, signature } => {
                    require_validity(index, ephemeral, now)?;
                    require_signer(index, authority, &ephemeral.message, signature)?;
                    &ephemeral.address
                }
                Link::SignedEntity { text, signature } => {
                    require_signer(index, authority, text, signature)?;
                    text
                }
                Link::Contract(signed) => {
                    let answers = answers.as_mut().ok_or(AuthError::ContractWallet(index))?;
                    let ContractLink { text, ephemeral, signature } =
                        signed.as_ref().ok_or(AuthError::WrongSigner(index))?;
                    if let Some(ephemeral) = ephemeral {
                        require_validity(index, ephemeral, now)?;
                    }
                    let contract = authority.parse().map_err(|_| AuthError::WrongSigner(index))?;
                    match answers.next() {
                        Some(true) => ephemeral.as_ref().map_or(text, |ephemeral| &ephemeral.address),
                        Some(false) => return Err(AuthError::WrongSigner(index)),
                        None => {
                            let (text, signature) = (text.clone(), signature.clone());
                            return Ok(Verified::Ask(ContractSignature { contract, text, signature }));
                        }
                    }
                }
                Link::Unknown => "",
            };
        }
        if authority != expected {
            return Err(AuthError::OtherAuthority);
        }
        Ok(Verified::Owner(self.claimed_owner()))
    }
}

fn require_validity(link: usize, ephemeral: &Ephemeral, now: u64) -> Result<(), AuthError> {
    let expires = ephemeral.expires.ok_or(AuthError::NoExpiration(link))?;
    if u64::try_from(expires).is_ok_and(|expires| expires > now) {
        return Ok(());
    }
    Err(AuthError::Expired { link, expires, now })
}

fn require_signer(link: usize, authority: &str, text: &str, signature: &Signature) -> Result<(), AuthError> {
    let wrong = AuthError::WrongSigner(link);
    // An authority that is no address cannot sign: no need to recover who did.
    let Ok(authority) = authority.parse::<Address>() else {
        return Err(wrong);
    };
    if signature.signer_of(text) != Some(authority) {
        return Err(wrong);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
