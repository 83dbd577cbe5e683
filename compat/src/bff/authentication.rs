//! `BffAuthenticationService`: challenge, login, and why a session ended.

use super::modules::AVAILABLE;
use super::peer::Peer;
use super::{Client, encoded};
use crate::counters::{DoorCounters, Refusal};
use crate::rpc::{Answer, Call, CallError};
use atoll_core::auth::{AuthError, Challenge, MAX_CHAIN_BYTES};
use atoll_core::region::{LoginError, Proof, Region};
use atoll_core::{Address, Counter};
use atoll_proto::bff::{
    DisconnectionMessage, DisconnectionReason, GetChallengeRequest, GetChallengeResponse, SignedChallenge,
    WelcomePeerInformation,
};
use futures_util::FutureExt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of auth chains of one connection that may be checked, or wait for it, at the same time: two of the longest.
const MAX_CHAINS: usize = 2 * MAX_CHAIN_BYTES;

/// One port's way from nobody to a peer.
#[derive(Clone)]
pub(super) struct Authentication {
    region: Region,
    client: Client,
    challenge: Challenge,
    all: Arc<AllPorts>,
    state: Arc<Mutex<State>>,
}

/// What the ports of one connection have together.
pub(super) struct AllPorts {
    /// Bytes of auth chains that may be under way.
    chains: Arc<Semaphore>,
    /// Sessions that began or were given up.
    pub(super) changes: Counter,
    counters: Arc<DoorCounters>,
}

impl AllPorts {
    pub(super) fn new(counters: Arc<DoorCounters>) -> Self {
        Self { chains: Arc::new(Semaphore::new(MAX_CHAINS)), changes: Counter::default(), counters }
    }
}

#[derive(Default)]
struct State {
    refused: bool,
    peer: Option<Peer>,
}

impl Authentication {
    pub(super) fn new(region: Region, client: Client, all: Arc<AllPorts>) -> Self {
        let challenge = region.kernel_challenge();
        Self { region, client, challenge, all, state: Arc::default() }
    }

    /// Who logged in on this port.
    pub(super) fn peer(&self) -> Option<Peer> {
        self.state().peer.clone()
    }

    /// Whether a login failed in a way that ends the port.
    pub(super) fn is_refused(&self) -> bool {
        self.state().refused
    }

    /// Ends the session, if there is one.
    pub(super) fn log_out(&self) {
        self.state().peer = None;
        self.all.changes.add(1);
    }

    /// The text to sign: one for each port, however often it is asked for. The address has to be one, but need not be
    /// the one that signs.
    pub(super) fn challenge(&self, request: &[u8]) -> Result<Answer, CallError> {
        let request: GetChallengeRequest = atoll_proto::decode(request).map_err(|_| self.refuse())?;
        // The original insists on a small x, though not on small digits.
        let address = request.address.strip_prefix("0x").and_then(|_| request.address.parse::<Address>().ok());
        let address = address.ok_or_else(|| self.refuse())?;
        let already_connected = self.client.tells_already_connected && self.region.is_logged_in(address);
        let challenge_to_sign = self.challenge.as_str().to_owned();
        Ok(encoded(&GetChallengeResponse { challenge_to_sign, already_connected }).into())
    }

    /// Logs the port's client in. A session it had before is replaced without a word to it.
    pub(super) fn authenticate(self, request: &[u8]) -> Call {
        let admitted = self.admit(request);
        Call::Unary(
            async move {
                let (auth_chain_json, _permit) = admitted?;
                self.log_in(auth_chain_json).await
            }
            .boxed(),
        )
    }

    /// The auth chain of a request, if there is memory for it.
    fn admit(&self, request: &[u8]) -> Result<(String, OwnedSemaphorePermit), CallError> {
        let SignedChallenge { auth_chain_json } = atoll_proto::decode(request).map_err(|_| self.refuse())?;
        let bytes = u32::try_from(auth_chain_json.len()).map_err(|_| failed())?;
        // Only who sends many at once, or one that is none, meets the limit.
        let permit = Arc::clone(&self.all.chains).try_acquire_many_owned(bytes).map_err(|_| {
            self.all.counters.refused(Refusal::Unauthorized);
            failed()
        })?;
        Ok((auth_chain_json, permit))
    }

    async fn log_in(self, auth_chain_json: String) -> Result<Answer, CallError> {
        let proof = Proof::SignedChallenge { challenge: self.challenge.clone(), signer: None, auth_chain_json };
        let session = self.region.login(proof, self.client.from, self.client.capabilities).await.map_err(|error| {
            tracing::debug!("a login over the BFF failed: {error}");
            self.all.counters.refused(Refusal::of(&error));
            match error {
                // What is no chain raised JavaScript's own errors and left the port open.
                LoginError::Unauthorized(AuthError::Malformed(_)) => failed(),
                // The owner of a contract wallet did nothing wrong, and cannot know what is missing here.
                LoginError::Unauthorized(missing @ AuthError::ContractWallet(_)) => {
                    self.refuse_because(&missing.to_string())
                }
                // Which node, and what it said, is for the log.
                LoginError::NoEthereumNode(_) => self.refuse_because("the Ethereum node could not be asked"),
                _ => self.close(),
            }
        })?;
        self.all.counters.logins.add(1);
        let peer_id = session.address().to_string();
        self.state().peer = Some(Peer::start(session, self.client.coordinates));
        self.all.changes.add(1);
        let available_modules = AVAILABLE.map(str::to_owned).to_vec();
        Ok(encoded(&WelcomePeerInformation { peer_id, available_modules }).into())
    }

    /// Answers once the address has logged in elsewhere.
    pub(super) async fn disconnection_message(self) -> Result<Answer, CallError> {
        let peer = self.peer().ok_or_else(|| CallError("no peer found".to_owned()))?;
        // Waiting must not keep the session: its port and its socket do.
        let kicked = peer.kicked();
        drop(peer);
        kicked.await;
        Ok(encoded(&DisconnectionMessage { reason: DisconnectionReason::DrKicked.into() }).into())
    }

    /// Refuses what is no request, or not for an address.
    fn refuse(&self) -> CallError {
        self.all.counters.refused(Refusal::Unauthorized);
        self.close()
    }

    /// The original's words for whatever was wrong; the port is closed after them.
    fn close(&self) -> CallError {
        self.state().refused = true;
        failed()
    }

    /// The same, and what nobody could tell from the original's words.
    fn refuse_because(&self, reason: &str) -> CallError {
        let CallError(failed) = self.close();
        CallError(format!("{failed}: {reason}"))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed() -> CallError {
    CallError("Authentication failed".to_owned())
}
