//! From a connection to a session: a new one, or an earlier one that goes on.

use super::connection::Opened;
use super::control::ControlWriter;
use super::door::Door;
use super::ending::Ending;
use super::session::Attach;
use atoll_core::Address;
use atoll_core::auth::Challenge;
use atoll_core::region::{Capabilities, Proof, Session};
use atoll_proto::archipelago::{ChallengeRequestMessage, ChallengeResponseMessage, WelcomeMessage};
use atoll_proto::atoll::client_message::Message as FromClient;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::atoll::{self, Error, ErrorCode, Limits, Received, Resume, SignedFetch, Welcome};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;
use atoll_proto::lanes::{MAX_LARGE, MAX_ORDERED};
use tokio::sync::{mpsc, oneshot};

/// Tokens that one connection may show.
const RESUME_ATTEMPTS: u32 = 2;

/// What a login came to.
pub(super) enum LoggedIn {
    /// A new session.
    Anew(Session),
    /// The token of an earlier one, which is used up now.
    Again(Resumption),
}

/// The way to a session that should go on.
pub(super) struct Resumption {
    session: mpsc::Sender<Attach>,
    received: Received,
}

impl Resumption {
    /// Gives the connection to the session, or back when that has ended meanwhile.
    pub(super) async fn hand_over(self, opened: Opened) -> Result<(), Opened> {
        let (give_back, given_back) = oneshot::channel();
        let attach = Attach { opened, received: self.received, give_back };
        match self.session.try_send(attach) {
            Ok(()) => match given_back.await {
                Ok(opened) => Err(opened),
                Err(_) => Ok(()),
            },
            Err(mpsc::error::TrySendError::Full(attach) | mpsc::error::TrySendError::Closed(attach)) => {
                Err(attach.opened)
            }
        }
    }
}

/// How far a login has come.
pub(super) struct Login {
    door: Door,
    challenge: Option<Challenge>,
    challenged: bool,
    attempts: u32,
    /// Came beside a token, in case that is refused.
    instead: Option<SignedFetch>,
    /// A token was taken to its session; being here again means that it was refused there.
    showed_token: bool,
}

impl Login {
    pub(super) fn new(door: Door) -> Self {
        Self { door, challenge: None, challenged: false, attempts: 0, instead: None, showed_token: false }
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
                FromClient::Heartbeat(_) | FromClient::Received(_) => {
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
                Some(session) => {
                    self.showed_token = true;
                    Ok(Some(LoggedIn::Again(Resumption { session, received })))
                }
                None => Ok(self.refuse_token(writer).await?.map(LoggedIn::Anew)),
            };
        }
        let proof = match (signed_challenge, signed_fetch) {
            (Some(signed), _) => {
                let challenge = self.challenge.take().ok_or_else(|| unexpected("challenge_request must come first"))?;
                Proof::SignedChallenge { challenge, auth_chain_json: signed.auth_chain_json }
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
        Ok(self.door.region().login(proof, Capabilities { quic: true }).await?)
    }
}

/// What a client is told first, whether its session is new or goes on.
pub(super) fn welcome(door: &Door, address: Address, token: String, resumed: Option<Received>) -> ToClient {
    let heartbeat_interval = door.region().settings().heartbeat_interval;
    let milliseconds = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    ToClient::Welcome(Welcome {
        welcome: Some(WelcomeMessage { peer_id: address.to_string() }),
        limits: Some(Limits {
            max_message_bytes: MAX_MESSAGE as u32,
            max_payload_bytes: MAX_PAYLOAD as u32,
            heartbeat_interval_ms: milliseconds(heartbeat_interval),
            max_ordered_bytes: MAX_ORDERED as u32,
            max_large_bytes: MAX_LARGE as u32,
        }),
        resume_token: token,
        resume_window_ms: milliseconds(door.settings().resume_window),
        resumed,
    })
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
