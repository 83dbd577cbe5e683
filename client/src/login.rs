//! Login by challenge, step by step.

use crate::client::Client;
use crate::closed::Closed;
use crate::error::{ConnectError, LoginError};
use crate::raw::{Connection, RecvError};
use crate::target::Options;
use crate::wallet::Wallet;
use atoll_proto::archipelago::{ChallengeRequestMessage, SignedChallengeMessage};
use atoll_proto::atoll::{Capabilities, Login, Welcome, client_message, server_message};
use std::time::{Duration, SystemTime};

/// How long the owner's delegation to the ephemeral key holds.
const DELEGATION: Duration = Duration::from_secs(24 * 3600);

impl Connection {
    /// Logs in as `wallet`. There is no time limit here; [`Endpoint::connect`](crate::Endpoint::connect) has one.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] when the edge refuses, [`ConnectError::Login`] when it does not follow the protocol.
    pub async fn login(mut self, wallet: &Wallet, options: &Options) -> Result<Client, ConnectError> {
        let challenge = self.request_challenge(&wallet.address().to_string()).await?;
        let chain = wallet.sign(&challenge, SystemTime::now() + DELEGATION);
        let welcome = self.answer_challenge(chain).await?;
        Client::start(self, wallet.address(), welcome, options)
    }

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
        let login = Login {
            signed_challenge: Some(SignedChallengeMessage { auth_chain_json }),
            capabilities: Some(Capabilities { schemes: vec!["quic".to_owned()] }),
            ..Login::default()
        };
        self.send(client_message::Message::Login(login)).await?;
        match self.recv().await.map_err(connect_error)? {
            server_message::Message::Welcome(welcome) => Ok(welcome),
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
