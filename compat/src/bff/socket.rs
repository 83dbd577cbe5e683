//! A kernel's WebSocket: frames in and out, and the end of a replaced session.

use super::service::Ports;
use super::{Client, Settings};
use crate::bounded::SMALL;
use crate::doorway::{Arrival, LARGE, Waiting};
use crate::ended::Ended;
use crate::rpc::{Connection, Output, PortIds};
use crate::socket::Socket;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a client may be without a session: it signs with a key that it holds, so this is the time of some round trips.
const LOGIN: Duration = Duration::from_secs(30);

/// Serves one kernel until either side ends it.
pub(super) async fn serve(mut socket: Socket, arrival: Arrival, settings: Settings, ids: PortIds) {
    let ended = match converse(&mut socket, arrival, settings, ids).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    tracing::debug!("a BFF connection ended: {ended}");
    socket.close(&ended).await;
}

async fn converse(
    socket: &mut Socket,
    arrival: Arrival,
    settings: Settings,
    ids: PortIds,
) -> Result<Infallible, Ended> {
    let Arrival { doorway, counters, from, waiting, protocol } = arrival;
    let client = Client::of(protocol.as_deref(), from, &settings);
    let service = Ports::counted(doorway.region.clone(), client, Arc::clone(&counters));
    let mut connection = Connection::new(service, ids).counted(Arc::clone(&doorway.counters().calls));
    let mut waiting = Some(waiting);
    let mut deadline = Some(Instant::now() + LOGIN);
    let mut session_over = connection.service().session_over();
    let mut changes = 0;
    loop {
        if changes != connection.service().changes() {
            changes = connection.service().changes();
            session_over = connection.service().session_over();
            match (connection.service().has_session(), &waiting) {
                // From here on the session counts, and not the wait for it.
                (true, Some(_)) => {
                    (waiting, deadline) = (None, None);
                    socket.allow(LARGE);
                }
                (false, None) => {
                    socket.allow(SMALL);
                    waiting = Some(doorway.wait(from, &counters).ok_or(Ended::Evicted)?);
                    deadline = Some(Instant::now() + LOGIN);
                }
                _ => {}
            }
        }
        tokio::select! {
            biased;
            output = connection.next_output() => match output {
                Output::Frame(frame) => socket.send(frame).await?,
                Output::Then(action) => action(),
            },
            frame = socket.receive() => {
                connection.receive(&frame?).map_err(|violation| Ended::Violation(violation.to_string()))?;
            }
            ended = &mut session_over => return Err(ended),
            () = evicted(waiting.as_ref()) => return Err(Ended::Evicted),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                return Err(Ended::LoginTimeout);
            }
        }
    }
}

async fn evicted(waiting: Option<&Waiting>) {
    match waiting {
        Some(waiting) => waiting.evicted().await,
        None => std::future::pending().await,
    }
}
