//! Getting in: a connection by the first way that is ready, and one login on it.

use crate::doors::{Doors, race};
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::login::Credentials;
use crate::options::Options;
use crate::raw::Connection;
use crate::shared::Link;
use crate::target::{Target, Way};
use atoll_proto::atoll::{Resume, Welcome};
use std::sync::Arc;
use tokio::time::timeout;

/// How a client gets into its edge, again and again.
#[derive(Debug, Clone)]
pub(crate) enum Dialer {
    /// By one way, on a socket that others use, too.
    Endpoint(Endpoint),
    /// By any of these, on a new socket each time.
    Doors { doors: Doors, options: Options },
}

/// A connection on which nothing was said yet.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) connection: Connection,
    pub(crate) link: Link,
}

impl Dialer {
    pub(crate) fn options(&self) -> &Options {
        match self {
            Self::Endpoint(endpoint) => endpoint.options(),
            Self::Doors { options, .. } => options,
        }
    }

    /// Connects and logs in: for the session that `resume` names, or for a new one. A signed fetch that is refused is
    /// followed by one attempt with a challenge.
    pub(crate) async fn enter(
        &self,
        credentials: &mut Credentials,
        resume: Option<Resume>,
    ) -> Result<(Dialed, Welcome), ConnectError> {
        match self.enter_once(credentials, resume.clone()).await {
            Err(error) if credentials.fall_back(&error) => self.enter_once(credentials, resume).await,
            result => result,
        }
    }

    /// Whether a connection by `way` should give place to QUIC when QUIC is there.
    pub(crate) fn may_move(&self, way: Way) -> bool {
        way == Way::WebSocket && self.quic().is_some()
    }

    /// A connection by QUIC.
    pub(crate) async fn dial_quic(&self) -> Result<Dialed, ConnectError> {
        match self.quic() {
            Some((target, options)) => dial(target, options).await,
            None => Err(ConnectError::Setup("no way by QUIC is known".to_owned())),
        }
    }

    async fn enter_once(
        &self,
        credentials: &Credentials,
        resume: Option<Resume>,
    ) -> Result<(Dialed, Welcome), ConnectError> {
        let attempt = async {
            let mut dialed = self.dial().await?;
            let welcome = dialed.connection.enter(credentials, resume).await?;
            Ok((dialed, welcome))
        };
        timeout(self.options().connect_timeout, attempt).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn dial(&self) -> Result<Dialed, ConnectError> {
        let (doors, options) = match self {
            Self::Endpoint(endpoint) => return dial_on(endpoint, false).await,
            Self::Doors { doors, options } => (doors, options),
        };
        match (doors.by_quic(options), &doors.websocket) {
            (Some(quic), Some(websocket)) => {
                race(dial(quic, options), dial(websocket, options), options.head_start).await
            }
            (Some(target), None) | (None, Some(target)) => dial(target, options).await,
            (None, None) => Err(ConnectError::Setup("no way into the edge is known".to_owned())),
        }
    }

    fn quic(&self) -> Option<(&Target, &Options)> {
        match self {
            Self::Endpoint(_) => None,
            Self::Doors { doors, options } => Some((doors.by_quic(options)?, options)),
        }
    }
}

/// Connects on a new socket.
async fn dial(target: &Target, options: &Options) -> Result<Dialed, ConnectError> {
    dial_on(&Endpoint::open(target, options).await?, true).await
}

async fn dial_on(endpoint: &Endpoint, own: bool) -> Result<Dialed, ConnectError> {
    let connection = endpoint.connect_raw().await?;
    let socket = own.then(|| Arc::new(endpoint.socket().clone()));
    let link = Link { transport: connection.transport.clone(), socket };
    Ok(Dialed { connection, link })
}
