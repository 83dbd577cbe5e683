//! From a connection to a session: a new one, or an earlier one that goes on.

use super::attach::Resumption;
use super::connection::Opened;
use super::control::ControlWriter;
use super::door::Door;
use super::ending::Ending;
use atoll_core::Address;
use atoll_core::auth::Challenge;
use atoll_core::region::{Capabilities, Proof, Session, Transport};
use atoll_proto::archipelago::{ChallengeRequestMessage, ChallengeResponseMessage};
use atoll_proto::atoll::client_message::Message as FromClient;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::atoll::{self, Error, ErrorCode, Resume, SignedFetch};
use atoll_proto::close::CloseCode;
use std::net::IpAddr;

/// Tokens that one connection may show.
const RESUME_ATTEMPTS: u32 = 2;

/// What a login came to.
pub(super) enum LoggedIn {
    /// A new session.
    Anew(Session),
    /// The token of an earlier one, which is used up now.
    Again(Resumption),
}

/// How far a login has come.
pub(super) struct Login {
    door: Door,
    /// Where the client was when it came.
    from: IpAddr,
    challenge: Option<Challenge>,
    challenged: bool,
    attempts: u32,
    /// Came beside a token, in case that is refused.
    instead: Option<SignedFetch>,
    /// A token was taken to its session; being here again means that it was refused there.
    showed_token: bool,
}

impl Login {
    pub(super) fn new(door: Door, from: IpAddr) -> Self {
        Self { door, from, challenge: None, challenged: false, attempts: 0, instead: None, showed_token: false }
    }

    /// Goes on until there is a session. Call again when it was one to resume and could not be.
    pub(super) async fn next(&mut self, opened: &mut Opened) -> Result<LoggedIn, Ending> {
        if std::mem::take(&mut self.showed_token)
            && let Some(session) = self.refuse_token(&opened.writer).await?
        {
            return Ok(LoggedIn::Anew(session));
        }
        loop {
            match opened.reader.next().await? {
                FromClient::ChallengeRequest(request) => self.give_challenge(&request, &opened.writer)?,
                FromClient::Login(login) => {
                    if let Some(logged_in) = self.log_in(login, &opened.writer).await? {
                        return Ok(logged_in);
                    }
                }
                FromClient::Heartbeat(_)
                | FromClient::Received(_)
                | FromClient::Publish(_)
                | FromClient::Subscribe(_)
                | FromClient::Unsubscribe(_)
                | FromClient::JoinRoom(_) => {
                    return Err(unexpected("a login must come first"));
                }
            }
        }
    }

    fn give_challenge(&mut self, request: &ChallengeRequestMessage, writer: &ControlWriter) -> Result<(), Ending> {
        if std::mem::replace(&mut self.challenged, true) {
            return Err(unexpected("a second challenge_request"));
        }
        if request.address.parse::<Address>().is_err() {
            return Err(unauthorized("challenge_request needs an Ethereum address"));
        }
        let challenge = self.door.region().challenge();
        writer.send(ToClient::ChallengeResponse(ChallengeResponseMessage {
            challenge_to_sign: challenge.as_str().to_owned(),
            already_connected: false,
        }))?;
        self.challenge = Some(challenge);
        Ok(())
    }

    /// `None`: a token was refused, and the client may go on.
    async fn log_in(&mut self, login: atoll::Login, writer: &ControlWriter) -> Result<Option<LoggedIn>, Ending> {
        // The capabilities say what else a client can use. Who speaks this protocol can use its transport.
        let atoll::Login { signed_challenge, signed_fetch, resume, capabilities: _ } = login;
        if let Some(Resume { token, received }) = resume {
            self.attempts += 1;
            self.instead = signed_fetch;
            let received = received.unwrap_or_default();
            return match self.door.resumptions().take(&token) {
                Some((session, shown)) => {
                    self.showed_token = true;
                    Ok(Some(LoggedIn::Again(Resumption { session, shown, received })))
                }
                None => Ok(self.refuse_token(writer).await?.map(LoggedIn::Anew)),
            };
        }
        let proof = match (signed_challenge, signed_fetch) {
            (Some(signed), _) => {
                let challenge = self.challenge.take().ok_or_else(|| unexpected("challenge_request must come first"))?;
                Proof::SignedChallenge { challenge, signer: None, auth_chain_json: signed.auth_chain_json }
            }
            (None, Some(fetch)) => signed_fetch_proof(fetch),
            (None, None) => return Err(unauthorized("login needs a proof")),
        };
        self.prove(proof).await.map(LoggedIn::Anew).map(Some)
    }

    /// Tries what came beside the token, or says that the client may try something else.
    async fn refuse_token(&mut self, writer: &ControlWriter) -> Result<Option<Session>, Ending> {
        self.door.counters().refused(ErrorCode::ResumeRefused, 1);
        if let Some(fetch) = self.instead.take() {
            return self.prove(signed_fetch_proof(fetch)).await.map(Some);
        }
        if self.attempts >= RESUME_ATTEMPTS {
            return Err(unauthorized("a second refused resume token"));
        }
        let reason = "the resume token is unknown, used or too old".to_owned();
        writer.send(ToClient::Error(Error { code: ErrorCode::ResumeRefused.into(), reason, count: 1 }))?;
        Ok(None)
    }

    async fn prove(&self, proof: Proof) -> Result<Session, Ending> {
        Ok(self.door.region().login(proof, self.from, Capabilities::NONE.with(Transport::Quic)).await?)
    }
}

fn signed_fetch_proof(fetch: SignedFetch) -> Proof {
    let SignedFetch { auth_chain_json, timestamp, metadata } = fetch;
    Proof::SignedFetch {
        method: "connect".into(),
        path: "/atoll".into(),
        auth_chain_json,
        timestamp_ms: timestamp,
        metadata,
    }
}

fn unexpected(reason: &str) -> Ending {
    Ending::new(CloseCode::UnexpectedMessage, reason)
}

fn unauthorized(reason: &str) -> Ending {
    Ending::new(CloseCode::Unauthorized, reason)
}
