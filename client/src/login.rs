//! Login, step by step.

use crate::closed::Closed;
use crate::error::{ConnectError, LoginError};
use crate::options::{Options, Proof};
use crate::raw::{Connection, RecvError};
use crate::wallet::{Wallet, signed_fetch_text};
use atoll_proto::archipelago::{ChallengeRequestMessage, SignedChallengeMessage};
use atoll_proto::atoll::{
    Capabilities, ErrorCode, Login, Resume, SignedFetch, Welcome, client_message, server_message,
};
use atoll_proto::close::CloseCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the owner's delegation to the ephemeral key holds.
const DELEGATION: Duration = Duration::from_secs(24 * 3600);

/// How a wallet logs in, and what an edge taught it about that.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) wallet: Wallet,
    pub(crate) proof: Proof,
}

impl Credentials {
    pub(crate) fn new(wallet: &Wallet, options: &Options) -> Self {
        Self { wallet: wallet.clone(), proof: options.proof.clone() }
    }

    /// Whether another attempt, by challenge, may succeed where this one failed. If so, it is made so from now on.
    pub(crate) fn fall_back(&mut self, error: &ConnectError) -> bool {
        let refused = error.code() == Some(CloseCode::Unauthorized) && self.proof != Proof::Challenge;
        if refused {
            self.proof = Proof::Challenge;
        }
        refused
    }

    fn signed_fetch(&self) -> Option<SignedFetch> {
        match &self.proof {
            Proof::SignedFetch { server } => Some(signed_fetch(&self.wallet, server, SystemTime::now())),
            Proof::Challenge => None,
        }
    }
}

/// A request signed by `wallet` at `time`, for the edge of this name.
pub fn signed_fetch(wallet: &Wallet, server: &str, time: SystemTime) -> SignedFetch {
    let timestamp = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let metadata = serde_json::json!({"server": server}).to_string();
    let text = signed_fetch_text("connect", "/atoll", timestamp, &metadata);
    SignedFetch { auth_chain_json: wallet.sign(&text, time + DELEGATION), timestamp, metadata }
}

impl Connection {
    /// Asks for a challenge in the name of `address` and returns the text to sign.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] or [`ConnectError::Login`].
    pub async fn request_challenge(&mut self, address: &str) -> Result<String, ConnectError> {
        let request = ChallengeRequestMessage { address: address.to_owned() };
        self.send(client_message::Message::ChallengeRequest(request)).await?;
        match self.recv().await.map_err(connect_error)? {
            server_message::Message::ChallengeResponse(response) => Ok(response.challenge_to_sign),
            _ => Err(unexpected("challenge_response")),
        }
    }

    /// Sends an auth chain as JSON text, whatever it says, and returns the edge's welcome.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] when the edge refuses the chain, or [`ConnectError::Login`].
    pub async fn answer_challenge(&mut self, auth_chain_json: String) -> Result<Welcome, ConnectError> {
        let signed_challenge = Some(SignedChallengeMessage { auth_chain_json });
        let welcome = self.ask(Login { signed_challenge, ..Login::default() }).await?;
        welcome.ok_or_else(|| unexpected("welcome"))
    }

    /// Sends a signed fetch, whatever it says, and returns the edge's welcome.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] when the edge refuses it, or [`ConnectError::Login`].
    pub async fn login_by_signed_fetch(&mut self, signed_fetch: SignedFetch) -> Result<Welcome, ConnectError> {
        let welcome = self.ask(Login { signed_fetch: Some(signed_fetch), ..Login::default() }).await?;
        welcome.ok_or_else(|| unexpected("welcome"))
    }

    /// Asks that an earlier session go on, or for a new one by `signed_fetch` if it cannot. `None` when the edge
    /// refuses the token and the connection stands, ready for another login.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] or [`ConnectError::Login`].
    pub async fn login_by_resume(
        &mut self,
        resume: Resume,
        signed_fetch: Option<SignedFetch>,
    ) -> Result<Option<Welcome>, ConnectError> {
        self.ask(Login { resume: Some(resume), signed_fetch, ..Login::default() }).await
    }

    /// Logs in by what there is: a session to go on with, a signed fetch, or a challenge.
    pub(crate) async fn enter(
        &mut self,
        credentials: &Credentials,
        resume: Option<Resume>,
    ) -> Result<Welcome, ConnectError> {
        let signed_fetch = credentials.signed_fetch();
        match (resume, signed_fetch) {
            (Some(resume), signed_fetch) => {
                if let Some(welcome) = self.login_by_resume(resume, signed_fetch).await? {
                    return Ok(welcome);
                }
            }
            (None, Some(signed_fetch)) => return self.login_by_signed_fetch(signed_fetch).await,
            (None, None) => {}
        }
        let wallet = &credentials.wallet;
        let challenge = self.request_challenge(&wallet.address().to_string()).await?;
        self.answer_challenge(wallet.sign(&challenge, SystemTime::now() + DELEGATION)).await
    }

    /// The welcome that answers `login`, or `None` for `RESUME_REFUSED`.
    async fn ask(&mut self, mut login: Login) -> Result<Option<Welcome>, ConnectError> {
        login.capabilities = Some(Capabilities { schemes: vec!["quic".to_owned()] });
        self.send(client_message::Message::Login(login)).await?;
        match self.recv().await.map_err(connect_error)? {
            server_message::Message::Welcome(welcome) => Ok(Some(welcome)),
            server_message::Message::Error(error) if error.code() == ErrorCode::ResumeRefused => Ok(None),
            _ => Err(unexpected("welcome")),
        }
    }
}

fn unexpected(expected: &'static str) -> ConnectError {
    ConnectError::Login(LoginError::Unexpected { expected })
}

fn connect_error(error: RecvError) -> ConnectError {
    match error {
        RecvError::Closed(closed) => ConnectError::Closed(closed),
        RecvError::Stream(error) => ConnectError::Login(LoginError::Stream(error)),
        RecvError::Malformed(error) => ConnectError::Login(LoginError::Malformed(error)),
    }
}

impl From<RecvError> for Closed {
    /// An edge whose stream cannot be read is as good as lost.
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed(closed) => closed,
            other => Self::Lost(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_fetch_signs_everything_in_lower_case() {
        let wallet = Wallet::from_keys([0x11; 32], [0x22; 32]).unwrap();
        let fetch = signed_fetch(&wallet, "Main-1", UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        assert_eq!((fetch.timestamp, fetch.metadata.as_str()), (1_700_000_000_123, r#"{"server":"Main-1"}"#));
        let chain: serde_json::Value = serde_json::from_str(&fetch.auth_chain_json).unwrap();
        assert_eq!(chain[2]["payload"], r#"connect:/atoll:1700000000123:{"server":"main-1"}"#);
    }

    #[test]
    fn only_a_refused_signed_fetch_falls_back() {
        let wallet = Wallet::from_keys([0x11; 32], [0x22; 32]).unwrap();
        let proof = Proof::SignedFetch { server: "main".to_owned() };
        let mut credentials = Credentials { wallet, proof };
        let closed = |code| ConnectError::Closed(Closed::from_code(code, ""));
        assert!(!credentials.fall_back(&closed(CloseCode::Overloaded)));
        assert!(!credentials.fall_back(&ConnectError::TimedOut));
        assert!(credentials.fall_back(&closed(CloseCode::Unauthorized)));
        assert_eq!((&credentials.proof, credentials.signed_fetch()), (&Proof::Challenge, None));
        assert!(!credentials.fall_back(&closed(CloseCode::Unauthorized)), "the challenge was refused, too");
    }
}
