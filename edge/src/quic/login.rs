//! From a connection to a session.

use super::control::{ControlReader, ControlWriter};
use super::door::Door;
use super::ending::Ending;
use super::transport::Transport;
use atoll_core::Address;
use atoll_core::region::{Capabilities, Proof, Session};
use atoll_proto::archipelago::{ChallengeResponseMessage, WelcomeMessage};
use atoll_proto::atoll::client_message::Message as FromClient;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::atoll::{Limits, Login, Welcome};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::MAX_PAYLOAD;
use atoll_proto::framing::MAX_MESSAGE;

/// A client that has logged in, and both halves of its control stream.
pub(super) struct LoggedIn {
    pub(super) session: Session,
    pub(super) reader: ControlReader,
    pub(super) writer: ControlWriter,
}

/// Waits for the control stream, then goes through challenge, login and welcome.
pub(super) async fn login(transport: &Transport, door: &Door) -> Result<LoggedIn, Ending> {
    if transport.quic().max_datagram_size().is_none() {
        return Err(Ending::new(CloseCode::UnsupportedProtocol, "this protocol needs QUIC datagrams"));
    }
    let gone = || Ending::new(CloseCode::Closed, "the connection ended before a control stream was opened");
    let (outgoing, incoming) = transport.accept_control().await.ok_or_else(gone)?;
    let mut reader = ControlReader::new(incoming);
    let writer = ControlWriter::start(outgoing);

    let FromClient::ChallengeRequest(request) = reader.next().await? else {
        return Err(Ending::new(CloseCode::UnexpectedMessage, "challenge_request must come first"));
    };
    if request.address.parse::<Address>().is_err() {
        return Err(Ending::new(CloseCode::Unauthorized, "challenge_request needs an Ethereum address"));
    }
    let challenge = door.region.challenge();
    writer.send(ToClient::ChallengeResponse(ChallengeResponseMessage {
        challenge_to_sign: challenge.as_str().to_owned(),
        already_connected: false,
    }))?;

    let FromClient::Login(login) = reader.next().await? else {
        return Err(Ending::new(CloseCode::UnexpectedMessage, "login must follow the challenge"));
    };
    // The capabilities say what else a client can use. Who speaks this protocol can use its transport.
    let Login { signed_challenge, .. } = login;
    let Some(signed) = signed_challenge else {
        return Err(Ending::new(CloseCode::Unauthorized, "login needs a signed challenge"));
    };
    let proof = Proof::SignedChallenge { challenge, auth_chain_json: signed.auth_chain_json };
    let session = door.region.login(proof, Capabilities { quic: true }).await?;

    let settings = door.region.settings();
    writer.send(ToClient::Welcome(Welcome {
        welcome: Some(WelcomeMessage { peer_id: session.address().to_string() }),
        limits: Some(Limits {
            max_message_bytes: MAX_MESSAGE as u32,
            max_payload_bytes: MAX_PAYLOAD as u32,
            heartbeat_interval_ms: u32::try_from(settings.heartbeat_interval.as_millis()).unwrap_or(u32::MAX),
            ..Limits::default()
        }),
        ..Welcome::default()
    }))?;
    Ok(LoggedIn { session, reader, writer })
}
