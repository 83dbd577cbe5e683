//! From a proof to the address it proves.

use super::Settings;
use crate::Host;
use crate::auth::{
    AuthChain, AuthError, Challenge, MAX_REMEMBERED_FETCHES, ReplayCache, ReplayError, ServerName, SignedFetch,
    SignedFetchError,
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

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The proof does not hold.
    #[error("the auth chain was refused: {0}")]
    Unauthorized(#[from] AuthError),
    /// The signed request is not one for this server and this moment, or was used before.
    #[error("the signed fetch was refused: {0}")]
    SignedFetch(#[from] SignedFetchError),
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
}

/// How far a proof came in the lane of all.
enum Checked {
    Owner(Address),
    TooLong(Claim),
}

impl Verifier {
    pub(super) fn new(settings: &Settings, host: &Arc<dyn Host>) -> Self {
        Self::with(settings.server_name.clone(), host, settings.max_verifications, MAX_REMEMBERED_FETCHES)
    }

    fn with(server: ServerName, host: &Arc<dyn Host>, at_a_time: usize, remembered: usize) -> Self {
        let used = Mutex::new(ReplayCache::new(remembered));
        Self {
            rules: Arc::new(Rules { server, host: Arc::clone(host), used }),
            usual: Arc::new(Semaphore::new(at_a_time)),
            long: Arc::new(Semaphore::new(1)),
        }
    }

    /// The address that a proof proves. Two signatures take about 100 us, long enough to hold up datagrams on an I/O
    /// thread: the work is done on threads for blocking work.
    pub(super) async fn verify(&self, proof: Proof) -> Result<Address, LoginError> {
        let rules = Arc::clone(&self.rules);
        let checked = in_lane(&self.usual, move || {
            let claim = rules.read(proof)?;
            if claim.chain.len() > USUAL_LINKS {
                return Ok(Checked::TooLong(claim));
            }
            rules.verify(&claim).map(Checked::Owner)
        });
        match checked.await? {
            Checked::Owner(owner) => Ok(owner),
            Checked::TooLong(claim) => {
                let rules = Arc::clone(&self.rules);
                in_lane(&self.long, move || rules.verify(&claim)).await
            }
        }
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
    fn read(&self, proof: Proof) -> Result<Claim, LoginError> {
        let (expected, signed, auth_chain_json) = match proof {
            Proof::SignedChallenge { challenge, auth_chain_json } => {
                (challenge.as_str().to_owned(), None, auth_chain_json)
            }
            Proof::SignedFetch { method, path, auth_chain_json, timestamp_ms, metadata } => {
                let request = SignedFetch { method, path, timestamp_ms, metadata };
                request.check(&self.server, self.host.unix_millis())?;
                (request.payload(), Some(timestamp_ms), auth_chain_json)
            }
        };
        let chain = AuthChain::parse(&auth_chain_json).map_err(AuthError::from)?;
        Ok(Claim { chain, expected, signed })
    }

    fn verify(&self, claim: &Claim) -> Result<Address, LoginError> {
        let owner = claim.chain.verify(&claim.expected, self.host.unix_millis())?;
        if let Some(timestamp) = claim.signed {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            // The clock is read under the lock, so that entries and their ends come in one order.
            used.enter(owner, &claim.expected, timestamp, self.host.unix_millis())?;
        }
        Ok(owner)
    }
}

#[cfg(test)]
mod tests;
