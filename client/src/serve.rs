//! The task behind a client: keeps its session on a connection, whichever that is.

use crate::closed::Closed;
use crate::dialer::{Dialed, Dialer};
use crate::error::ConnectError;
use crate::link;
use crate::login::Credentials;
use crate::raw::{Connection, Transport};
use crate::session::Login;
use crate::shared::Shared;
use atoll_proto::atoll::Welcome;
use atoll_proto::close::CloseCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long the edge is given to close a connection whose session has moved to another one.
const FAREWELL: Duration = Duration::from_secs(5);

/// How the session is taken to another connection.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) dialer: Dialer,
    pub(crate) credentials: Credentials,
}

/// Why a connection is not used any more.
enum Ended {
    /// It is over.
    Lost(Closed),
    /// The session moved to this one.
    Moved(Box<Connection>),
}

/// Serves a client, beginning with a connection whose login just succeeded, until its session or the client is over.
/// Without a route the first loss is the end.
pub(crate) async fn serve(shared: Arc<Shared>, mut route: Option<Route>, connection: Connection) {
    let serving = async {
        let mut connection = connection;
        loop {
            connection = match attend(&shared, route.as_ref(), connection).await {
                Ended::Moved(next) => *next,
                Ended::Lost(why) => match come_back(&shared, route.as_mut(), why).await {
                    Ok(next) => next,
                    Err(why) => return why,
                },
            };
        }
    };
    tokio::select! {
        why = serving => shared.end(why),
        () = shared.stopped() => {}
    }
}

/// Works on a connection until it is over or another one is better.
async fn attend(shared: &Shared, route: Option<&Route>, connection: Connection) -> Ended {
    let former = connection.transport.clone();
    let mut link = std::pin::pin!(link::run(shared, connection));
    let Some(route) = route.filter(|route| route.dialer.may_move(former.way())) else {
        return Ended::Lost(link.await);
    };
    loop {
        let candidate = tokio::select! {
            why = &mut link => return Ended::Lost(why),
            candidate = candidate(route) => candidate,
        };
        let Ok(candidate) = candidate else {
            continue;
        };
        // From here on the edge may close the former connection because the session has moved: that is for the
        // login on the new one to tell.
        let mut lost = None;
        let mut moving = std::pin::pin!(move_to(shared, route, &former, candidate));
        let moved = loop {
            tokio::select! {
                moved = &mut moving => break moved,
                why = &mut link, if lost.is_none() => lost = Some(why),
            }
        };
        match (moved, lost) {
            (Some(connection), _) => {
                tokio::spawn(take_leave(former.clone()));
                return Ended::Moved(Box::new(connection));
            }
            (None, Some(why)) if why.code() == Some(CloseCode::Resumed) => {
                return Ended::Lost(Closed::Lost("lost while the session moved".to_owned()));
            }
            (None, Some(why)) => return Ended::Lost(why),
            (None, None) => {}
        }
    }
}

/// A connection by QUIC, tried once the time for it has come.
async fn candidate(route: &Route) -> Result<Dialed, ConnectError> {
    let options = route.dialer.options();
    sleep(options.quic_retry).await;
    timeout(options.connect_timeout, route.dialer.dial_quic()).await.unwrap_or(Err(ConnectError::TimedOut))
}

/// Takes the session to another connection, if the edge lets it. No new session is asked for: the former connection
/// still carries this one.
async fn move_to(shared: &Shared, route: &Route, former: &Transport, candidate: Dialed) -> Option<Connection> {
    let Dialed { mut connection, link } = candidate;
    let resume = shared.state().session.resume()?;
    let login = connection.login_by_resume(resume, None);
    let login = timeout(route.dialer.options().connect_timeout, login).await;
    let Ok(Ok(Some(welcome))) = login else {
        connection.transport.close(CloseCode::Closed, "");
        return None;
    };
    go_on(shared, &welcome, Dialed { connection, link }, Some(former)).ok()
}

/// Connects again, as often as it takes, or tells why there is no point in that.
async fn come_back(shared: &Shared, route: Option<&mut Route>, mut why: Closed) -> Result<Connection, Closed> {
    let Some(route) = route else {
        return Err(why);
    };
    loop {
        let Some(pause) = shared.lost(&why) else {
            return Err(why);
        };
        sleep(pause).await;
        let resume = shared.state().session.resume();
        let entered = route.dialer.enter(&mut route.credentials, resume).await;
        let went_on = match entered {
            Ok((dialed, welcome)) => go_on(shared, &welcome, dialed, None),
            Err(ConnectError::Closed(why)) => Err(why),
            Err(other) => Err(Closed::Lost(other.to_string())),
        };
        match went_on {
            Ok(connection) => return Ok(connection),
            Err(error) => why = error,
        }
    }
}

/// Goes on over a connection whose login just succeeded.
fn go_on(shared: &Shared, welcome: &Welcome, dialed: Dialed, former: Option<&Transport>) -> Result<Connection, Closed> {
    let Dialed { connection, link } = dialed;
    let went_on: Result<Login, Closed> = shared.go_on(welcome, link, former.map(Transport::way));
    match went_on {
        Ok(_) => Ok(connection),
        Err(why) => {
            connection.transport.close(CloseCode::Malformed, &why.to_string());
            Err(why)
        }
    }
}

/// Lets the edge close a connection that is used no more.
async fn take_leave(former: Transport) {
    let _ = timeout(FAREWELL, former.closed()).await;
    former.close(CloseCode::Closed, "");
}
