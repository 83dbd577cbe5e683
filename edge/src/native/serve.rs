//! How a connection becomes a session's.

use super::connection::{Connection, Opened};
use super::door::Door;
use super::ending::Ending;
use super::login::{LoggedIn, Login};
use super::session;
use super::waiting::WaitingPlace;
use atoll_proto::close::CloseCode;
use tokio::time::Instant;

/// Serves a connection until it ends, or is part of a session that another task serves. Its login ends at `deadline`.
pub(crate) async fn serve(door: Door, mut connection: Connection, place: WaitingPlace, deadline: Instant) {
    let opened = tokio::select! {
        biased;
        () = door.ending() => Err(Ending::shutting_down()),
        opened = in_time(deadline, connection.open()) => opened,
    };
    let (reader, writer) = match opened {
        Ok(opened) => opened,
        Err(ending) => return connection.end(ending).await,
    };
    let mut opened = Opened { connection, reader, writer };
    let mut login = Login::new(door.clone());
    loop {
        let logged_in = tokio::select! {
            biased;
            () = door.ending() => Err(Ending::shutting_down()),
            logged_in = in_time(deadline, login.next(&mut opened)) => logged_in,
        };
        match logged_in {
            Ok(LoggedIn::Anew(session)) => {
                drop(place);
                return session::run(session, opened, door).await;
            }
            Ok(LoggedIn::Again(resumption)) => match resumption.hand_over(opened).await {
                Ok(()) => return,
                Err(back) => opened = back,
            },
            Err(ending) => return opened.connection.end(ending).await,
        }
    }
}

async fn in_time<T>(deadline: Instant, step: impl Future<Output = Result<T, Ending>>) -> Result<T, Ending> {
    let in_time = tokio::time::timeout_at(deadline, step).await;
    in_time.unwrap_or_else(|_| Err(Ending::new(CloseCode::LoginTimeout, "no login within 10 seconds")))
}
