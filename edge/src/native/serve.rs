//! How a connection becomes a session's.

use super::connection::{Connection, Opened};
use super::door::Door;
use super::ending::Ending;
use super::login::{LoggedIn, Login};
use super::session;
use atoll_core::limit::Spot;
use atoll_proto::close::CloseCode;
use tokio::time::Instant;

/// Serves a connection until it ends, or is part of a session that another task serves. Its login ends at `deadline`, or
/// when others need its spot.
pub(crate) async fn serve(door: Door, mut connection: Connection, spot: Spot, deadline: Instant) {
    let opened = tokio::select! {
        biased;
        () = door.ending() => Err(Ending::shutting_down()),
        () = spot.evicted() => Err(evicted()),
        opened = in_time(deadline, connection.open()) => opened,
    };
    let (reader, writer) = match opened {
        Ok(opened) => opened,
        Err(ending) => return connection.end(ending).await,
    };
    let mut opened = Opened { connection, reader, writer };
    let mut login = Login::new(door.clone(), opened.connection.carrier.remote());
    loop {
        let logged_in = tokio::select! {
            biased;
            () = door.ending() => Err(Ending::shutting_down()),
            () = spot.evicted() => Err(evicted()),
            logged_in = in_time(deadline, login.next(&mut opened)) => logged_in,
        };
        match logged_in {
            Ok(LoggedIn::Anew(session)) => {
                drop(spot);
                // In a task of its own, so that what the login took is given back.
                drop(tokio::spawn(session::run(session, opened, door)));
                return;
            }
            Ok(LoggedIn::Again(resumption)) => match resumption.hand_over(opened).await {
                Ok(()) => return,
                Err(back) => opened = back,
            },
            Err(ending) => return opened.connection.end(ending).await,
        }
    }
}

fn evicted() -> Ending {
    Ending::new(CloseCode::Overloaded, "too many wait to log in, and most of them from here or for longer")
}

async fn in_time<T>(deadline: Instant, step: impl Future<Output = Result<T, Ending>>) -> Result<T, Ending> {
    let in_time = tokio::time::timeout_at(deadline, step).await;
    in_time.unwrap_or_else(|_| Err(Ending::new(CloseCode::LoginTimeout, "no login within 10 seconds")))
}
