//! From a proof to the address it proves.

use super::Settings;
use crate::Host;
use crate::auth::{
    AuthChain, AuthError, Challenge, ContractSignature, ContractWallets, MAX_REMEMBERED_FETCHES, NoEthereumNode,
    ReplayCache, ReplayError, ServerName, SignedFetch, SignedFetchError, Verified,
};
use atoll_proto::Address;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Links of the longest chain that is checked beside the others: owner, ephemeral key, signed text, and one to spare.
///
/// A signature takes 65 us and a text of 64 KiB holds 95 of them. In the lane of all others, a thousand such chains
/// make an honest login wait for seconds; so they wait for each other.
const USUAL_LINKS: usize = 4;

/// What a login shows.
#[derive(Debug)]
#[non_exhaustive]
pub enum Proof {
    /// A challenge of [`Region::challenge`](super::Region::challenge), and the auth chain that signs it as JSON text.
    SignedChallenge {
        /// The challenge given to this client. Logging in uses it up.
        challenge: Challenge,
        /// Who has to have signed it; anybody when `None`. The original BFF takes anybody, the native protocol does, too.
        signer: Option<Address>,
        /// JSON array of `{type, payload, signature}`.
        auth_chain_json: String,
    },
    /// A request that the client signed without being asked (ADR-44). It works once in this region, also when the
    /// login fails after it was checked.
    SignedFetch {
        /// The method it was signed for, as the door knows it, not the client: `connect` in the native protocol.
        method: String,
        /// The path it was signed for, again the door's: `/atoll` in the native protocol.
        path: String,
        /// JSON array of `{type, payload, signature}`, which ends in [`SignedFetch::payload`].
        auth_chain_json: String,
        /// When it was signed, in milliseconds since 1970.
        timestamp_ms: u64,
        /// JSON text of an object whose `server` names this server, in its original case.
        metadata: String,
    },
}

/// What says who somebody is.
pub(super) enum Shown {
    /// Logs in.
    Proof(Proof),
    /// A request that is no login and need not name this server, and the auth chain that signs it as JSON text.
    Request(SignedFetch, String),
}

impl From<Proof> for Shown {
    fn from(proof: Proof) -> Self {
        Self::Proof(proof)
    }
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The proof does not hold.
    #[error("the auth chain was refused: {0}")]
    Unauthorized(#[from] AuthError),
    /// Another address signed the challenge than the one it was given to.
    #[error("the challenge was given to another address than the one that signed it")]
    OtherSigner,
    /// The signed request is not one for this server and this moment, or was used before.
    #[error("the signed fetch was refused: {0}")]
    SignedFetch(#[from] SignedFetchError),
    /// A contract wallet's signature could not be checked now.
    #[error(transparent)]
    NoEthereumNode(#[from] NoEthereumNode),
    /// More contract wallets in one chain than are asked for one login.
    #[error("too many contract wallets in one chain")]
    TooManyContracts,
    /// More signed requests were used in a minute than the region remembers. A challenge can still be signed.
    #[error("too many signed fetches in a short time")]
    Busy,
    /// The region has as many sessions as it may, and none of them comes from a more crowded place.
    #[error("the region is full")]
    Full,
    /// The region is ending.
    #[error("the region is ending")]
    Ending,
    /// Checking the chain failed in a way it should not.
    #[error("the auth chain could not be checked")]
    Internal,
}

impl From<ReplayError> for LoginError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Refused(error) => Self::SignedFetch(error),
            ReplayError::Busy => Self::Busy,
        }
    }
}

/// Checks proofs, so many at a time.
pub(super) struct Verifier {
    rules: Arc<Rules>,
    usual: Arc<Semaphore>,
    long: Arc<Semaphore>,
    contracts: Option<Arc<dyn ContractWallets>>,
}

struct Rules {
    server: ServerName,
    host: Arc<dyn Host>,
    used: Mutex<ReplayCache>,
}

/// A proof whose chain is well-formed, and nothing more.
struct Claim {
    chain: AuthChain,
    /// What the chain has to end in.
    expected: String,
    /// The time of a proof that works once.
    signed: Option<u64>,
    /// Who the owner has to be.
    signer: Option<Address>,
    /// What contracts have said of its signatures, in their order.
    answers: Vec<bool>,
}

/// How far a proof came.
enum Checked {
    Owner(Address),
    /// It is for the lane of long chains.
    TooLong(Claim),
    /// A contract has to answer first.
    Ask(Claim, ContractSignature),
}

impl Verifier {
    pub(super) fn new(settings: &Settings, host: &Arc<dyn Host>) -> Self {
        let verifier =
            Self::with(settings.server_name.clone(), host, settings.max_verifications, MAX_REMEMBERED_FETCHES);
        Self { contracts: settings.contract_wallets.clone(), ..verifier }
    }

    fn with(server: ServerName, host: &Arc<dyn Host>, at_a_time: usize, remembered: usize) -> Self {
        let used = Mutex::new(ReplayCache::new(remembered));
        Self {
            rules: Arc::new(Rules { server, host: Arc::clone(host), used }),
            usual: Arc::new(Semaphore::new(at_a_time)),
            long: Arc::new(Semaphore::new(1)),
            contracts: None,
        }
    }

    /// The address that is proven. Two signatures take about 100 us, long enough to hold up datagrams on an I/O
    /// thread: the work is done on threads for blocking work.
    pub(super) async fn verify(&self, shown: impl Into<Shown>) -> Result<Address, LoginError> {
        let shown = shown.into();
        let rules = Arc::clone(&self.rules);
        let asks = self.contracts.is_some();
        let checked = in_lane(&self.usual, move || {
            let claim = rules.read(shown)?;
            if claim.chain.len() > USUAL_LINKS {
                return Ok(Checked::TooLong(claim));
            }
            rules.verify(claim, asks)
        });
        let mut checked = checked.await?;
        // A chain asks contracts at most once for each of its links, and a usual one has three.
        for _ in 0..=USUAL_LINKS {
            let (lane, claim) = match checked {
                Checked::Owner(owner) => return Ok(owner),
                Checked::TooLong(claim) => (&self.long, claim),
                Checked::Ask(mut claim, signature) => {
                    let contracts = self.contracts.as_ref().ok_or(LoginError::Internal)?;
                    claim.answers.push(contracts.is_valid(signature).await?);
                    (&self.usual, claim)
                }
            };
            let lane = if claim.chain.len() > USUAL_LINKS { &self.long } else { lane };
            let rules = Arc::clone(&self.rules);
            checked = in_lane(lane, move || rules.verify(claim, asks)).await?;
        }
        Err(LoginError::TooManyContracts)
    }
}

/// Runs `work` off the I/O threads as soon as the lane has a place. The place is kept until `work` is done, even if
/// nobody waits for it any more.
async fn in_lane<T: Send + 'static>(
    lane: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, LoginError> + Send + 'static,
) -> Result<T, LoginError> {
    let permit = Arc::clone(lane).acquire_owned().await.map_err(|_| LoginError::Ending)?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|_| LoginError::Internal)?
}

impl Rules {
    fn read(&self, shown: Shown) -> Result<Claim, LoginError> {
        let (expected, signed, signer, auth_chain_json) = match shown {
            Shown::Proof(Proof::SignedChallenge { challenge, signer, auth_chain_json }) => {
                (challenge.as_str().to_owned(), None, signer, auth_chain_json)
            }
            Shown::Proof(Proof::SignedFetch { method, path, auth_chain_json, timestamp_ms, metadata }) => {
                let request = SignedFetch { method, path, timestamp_ms, metadata };
                request.check(&self.server, self.host.unix_millis())?;
                (request.payload(), Some(timestamp_ms), None, auth_chain_json)
            }
            Shown::Request(request, auth_chain_json) => {
                request.check_unbound(&self.server, self.host.unix_millis())?;
                (request.payload(), Some(request.timestamp_ms), None, auth_chain_json)
            }
        };
        let chain = AuthChain::parse(&auth_chain_json).map_err(AuthError::from)?;
        Ok(Claim { chain, expected, signed, signer, answers: Vec::new() })
    }

    fn verify(&self, claim: Claim, asks: bool) -> Result<Checked, LoginError> {
        let now = self.host.unix_millis();
        let verified = match asks {
            true => claim.chain.verify_asking(&claim.expected, now, &claim.answers)?,
            false => Verified::Owner(claim.chain.verify(&claim.expected, now)?),
        };
        let owner = match verified {
            Verified::Owner(owner) => owner,
            Verified::Ask(signature) => return Ok(Checked::Ask(claim, signature)),
        };
        if claim.signer.is_some_and(|signer| signer != owner) {
            return Err(LoginError::OtherSigner);
        }
        if let Some(timestamp) = claim.signed {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            // The clock is read under the lock, so that entries and their ends come in one order.
            used.enter(owner, &claim.expected, timestamp, self.host.unix_millis())?;
        }
        Ok(Checked::Owner(owner))
    }
}

#[cfg(test)]
mod tests;
