//! One client: login, then heartbeats and island changes.

use super::Settings;
use super::neighbours::Neighbours;
use crate::counters::Refusal;
use crate::doorway::Arrival;
use crate::ended::Ended;
use crate::socket::Socket;
use atoll_core::Address;
use atoll_core::archipelago::Position;
use atoll_core::region::{Capabilities, Proof, Session, SessionEvent, Transport};
use atoll_proto::archipelago::client_packet::Message as FromClient;
use atoll_proto::archipelago::server_packet::Message as ToClient;
use atoll_proto::archipelago::{
    ChallengeResponseMessage, ClientPacket, Heartbeat, KickedMessage, ServerPacket, WelcomeMessage,
};
use prost::Message as _;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;

/// How long each of the client's two steps may take.
const STEP: Duration = Duration::from_secs(30);

pub(super) async fn serve(mut socket: Socket, arrival: Arrival, settings: Settings) {
    let ended = match converse(&mut socket, arrival, settings).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    tracing::debug!("a connection to archipelago ended: {ended}");
    socket.close(&ended).await;
}

async fn converse(socket: &mut Socket, arrival: Arrival, settings: Settings) -> Result<Infallible, Ended> {
    let session = tokio::select! {
        session = log_in(socket, &arrival, capabilities(settings)) => session?,
        () = arrival.waiting.evicted() => return Err(Ended::Evicted),
    };
    arrival.counters.logins.add(1);
    // From here on the session counts, and not the wait for it.
    drop(arrival);
    send(socket, ToClient::Welcome(WelcomeMessage { peer_id: session.address().to_string() })).await?;
    attend(socket, session).await
}

/// What these clients have: LiveKit since the first of them, WebSocket rooms in some.
fn capabilities(settings: Settings) -> Capabilities {
    let livekit = Capabilities::NONE.with(Transport::Livekit);
    if settings.ws_room { livekit.with(Transport::WsRoom) } else { livekit }
}

async fn log_in(socket: &mut Socket, arrival: &Arrival, capabilities: Capabilities) -> Result<Session, Ended> {
    let region = &arrival.doorway.region;
    let FromClient::ChallengeRequest(request) = step(socket).await? else {
        return Err(Ended::Violation("challenge_request must come first".to_owned()));
    };
    let address = request.address.parse::<Address>().map_err(|error| {
        arrival.counters.refused(Refusal::Unauthorized);
        Ended::Violation(error.to_string())
    })?;
    let challenge = region.kernel_challenge();
    let challenge_to_sign = challenge.as_str().to_owned();
    let already_connected = region.is_logged_in(address);
    send(socket, ToClient::ChallengeResponse(ChallengeResponseMessage { challenge_to_sign, already_connected }))
        .await?;
    let FromClient::SignedChallenge(signed) = step(socket).await? else {
        return Err(Ended::Violation("signed_challenge must come next".to_owned()));
    };
    let auth_chain_json = signed.auth_chain_json;
    let proof = Proof::SignedChallenge { challenge, signer: Some(address), auth_chain_json };
    region.login(proof, arrival.from, capabilities).await.map_err(|error| {
        tracing::debug!(%address, "a login to archipelago failed: {error}");
        arrival.counters.refused(Refusal::of(&error));
        Ended::Refused
    })
}

async fn step(socket: &mut Socket) -> Result<FromClient, Ended> {
    let packet = timeout(STEP, socket.receive()).await.map_err(|_| Ended::LoginTimeout)??;
    read(&packet)?.ok_or_else(|| Ended::Violation("a packet without a message".to_owned()))
}

async fn attend(socket: &mut Socket, mut session: Session) -> Result<Infallible, Ended> {
    let mut neighbours = Neighbours::new(&session);
    loop {
        tokio::select! {
            biased;
            event = session.next_event() => match event {
                Some(SessionEvent::IslandChanged(island)) => {
                    neighbours.move_to(&island.island_id);
                    send(socket, ToClient::IslandChanged(island)).await?;
                }
                Some(SessionEvent::Kicked) => {
                    send(socket, ToClient::Kicked(KickedMessage::default())).await?;
                    return Err(Ended::Replaced);
                }
                Some(SessionEvent::Evicted) => return Err(Ended::Evicted),
                None => return Err(Ended::Clogged),
            },
            news = neighbours.next() => send(socket, news).await?,
            packet = socket.receive() => match read(&packet?)? {
                Some(FromClient::Heartbeat(heartbeat)) => pass_on(&mut session, &heartbeat),
                Some(FromClient::ChallengeRequest(_) | FromClient::SignedChallenge(_)) => {
                    return Err(Ended::Violation("this session is logged in".to_owned()));
                }
                // Of a later version.
                None => {}
            },
        }
    }
}

fn pass_on(session: &mut Session, heartbeat: &Heartbeat) {
    let Some(position) = &heartbeat.position else { return };
    let position = Position { x: position.x.into(), y: position.y.into(), z: position.z.into() };
    // The region counts what it does not take; there is no message to say so in.
    if let Err(error) = session.heartbeat(position, heartbeat.desired_room.as_deref()) {
        tracing::debug!(address = %session.address(), "a heartbeat had no effect: {error}");
    }
}

fn read(packet: &[u8]) -> Result<Option<FromClient>, Ended> {
    let packet: Result<ClientPacket, _> = atoll_proto::decode(packet);
    // The originals' words.
    packet.map(|packet| packet.message).map_err(|_| Ended::Violation("Cannot decode ClientPacket".to_owned()))
}

async fn send(socket: &mut Socket, message: ToClient) -> Result<(), Ended> {
    socket.send(ServerPacket { message: Some(message) }.encode_to_vec().into()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_livekit_and_rooms_by_configuration() {
        for ws_room in [true, false] {
            let capabilities = capabilities(Settings { ws_room });
            let mut expected = Capabilities::NONE.with(Transport::Livekit);
            if ws_room {
                expected = expected.with(Transport::WsRoom);
            }
            assert_eq!(capabilities, expected);
        }
        assert!(Settings::default().ws_room);
    }
}
