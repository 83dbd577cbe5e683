//! Walks an auth chain from its owner to the text that had to be signed.

use super::chain::{AuthChain, ChainError, Link};
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
    /// A contract wallet's signature, which only an Ethereum node could check. Refused for now.
    #[error("link {0} is signed by a contract wallet, which is not supported")]
    ContractWallet(usize),
    /// The chain is sound but leads to another text than the one that had to be signed.
    #[error("the chain ends with another authority than the expected one")]
    OtherAuthority,
}

/// Parses and verifies an auth chain in one step: see [`AuthChain::parse`] and [`AuthChain::verify`].
pub fn verify(chain: &str, expected: &str, now: u64) -> Result<Address, AuthError> {
    AuthChain::parse(chain)?.verify(expected, now)
}

impl AuthChain {
    /// Checks every signature, and that the chain ends in `expected`: the challenge, or whatever text was to be signed.
    ///
    /// `now` is in milliseconds since 1970; every ephemeral key on the way has to expire strictly later. The answer is
    /// the owner's address. `expected` is compared exactly; it should not be empty, nor an address, for a chain can end
    /// in those without a signature.
    pub fn verify(&self, expected: &str, now: u64) -> Result<Address, AuthError> {
        let mut authority = self.owner_text.as_str();
        for (link, index) in self.links.iter().zip(1..) {
            authority = match link {
                Link::Ephemeral { ephemeral, signature } => {
                    let expires = ephemeral.expires.ok_or(AuthError::NoExpiration(index))?;
                    if u64::try_from(expires).is_ok_and(|expires| expires > now) {
                        require_signer(index, authority, &ephemeral.message, signature)?;
                        &ephemeral.address
                    } else {
                        return Err(AuthError::Expired { link: index, expires, now });
                    }
                }
                Link::SignedEntity { text, signature } => {
                    require_signer(index, authority, text, signature)?;
                    text
                }
                Link::Contract => return Err(AuthError::ContractWallet(index)),
                Link::Unknown => "",
            };
        }
        if authority != expected {
            return Err(AuthError::OtherAuthority);
        }
        Ok(self.claimed_owner())
    }
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
