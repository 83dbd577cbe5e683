//! The login of RFC-5: who the client says it is, and a signed challenge.

use super::Seats;
use super::link::{kicked, packet};
use crate::counters::Refusal;
use crate::doorway::Arrival;
use crate::ended::Ended;
use crate::socket::Socket;
use atoll_core::Address;
use atoll_core::region::{Grant, GrantError, Proof, Right};
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::rfc5::{WsChallengeRequired, WsPacket};
use bytes::Bytes;
use prost::Message as _;
use std::time::Duration;
use tokio::time::timeout;

/// How long each of the client's two steps may take: the originals' figure, and their clients'.
const STEP: Duration = Duration::from_secs(1);

/// What a client is told that may not enter.
const NOT_ALLOWED: &str = "This room is not open to this address.";

/// The right that a client proves to have.
pub(super) async fn log_in(socket: &mut Socket, arrival: &Arrival, seats: &Seats, room: &str) -> Result<Grant, Ended> {
    let Message::PeerIdentification(identification) = step(socket).await? else {
        return Err(Ended::Violation("peer_identification must come first".to_owned()));
    };
    let address: Address = identification.address.parse().map_err(|_| {
        arrival.counters.refused(Refusal::Unauthorized);
        Ended::Violation("no address".to_owned())
    })?;
    let region = &arrival.doorway.region;
    let challenge = region.kernel_challenge();
    let required = WsChallengeRequired {
        challenge_to_sign: challenge.as_str().to_owned(),
        already_connected: seats.occupancy.has(address),
    };
    socket.send(packet(Message::ChallengeMessage(required)).encode_to_vec().into()).await?;
    let Message::SignedChallengeForServer(signed) = step(socket).await? else {
        return Err(Ended::Violation("signed_challenge_for_server must come next".to_owned()));
    };
    // Who signed counts, not who was said to; the challenge is this connection's alone.
    let proof = Proof::SignedChallenge { challenge, signer: None, auth_chain_json: signed.auth_chain_json };
    match region.grant_in(room, Right::Proof(proof)).await {
        Ok(grant) => Ok(grant),
        Err(error) => {
            tracing::debug!(room, %address, "a login to a room failed: {error}");
            arrival.counters.refused(match &error {
                GrantError::Login(error) => Refusal::of(error),
                _ => Refusal::Unauthorized,
            });
            if !matches!(error, GrantError::NoSuchRoom) {
                return Err(Ended::Refused);
            }
            send_away(socket, NOT_ALLOWED).await?;
            Err(Ended::NoRoom)
        }
    }
}

/// Tells a client that it cannot come in.
pub(super) async fn send_away(socket: &mut Socket, why: &str) -> Result<(), Ended> {
    socket.send_frames(kicked(why)).await
}

async fn step(socket: &mut Socket) -> Result<Message, Ended> {
    let received: Bytes = timeout(STEP, socket.receive()).await.map_err(|_| Ended::LoginTimeout)??;
    let decoded = atoll_proto::decode::<WsPacket>(&received).ok().and_then(|packet| packet.message);
    decoded.ok_or_else(|| Ended::Violation("cannot read a WsPacket".to_owned()))
}
