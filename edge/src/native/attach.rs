//! From a new connection to the session that goes on over it.

use super::connection::Opened;
use super::token::Shown;
use atoll_proto::atoll::Received;
use tokio::sync::{mpsc, oneshot};

/// A connection for a session that should go on.
pub(super) struct Attach {
    pub(super) opened: Opened,
    /// The token that led here.
    pub(super) shown: Shown,
    /// What the client has.
    pub(super) received: Received,
    /// For the connection, when the session has ended meanwhile. Dropped when the session takes it.
    pub(super) give_back: oneshot::Sender<Opened>,
}

/// The way to a session that should go on.
pub(super) struct Resumption {
    pub(super) session: mpsc::Sender<Attach>,
    pub(super) shown: Shown,
    pub(super) received: Received,
}

impl Resumption {
    /// Gives the connection to the session, or back when that has ended meanwhile.
    pub(super) async fn hand_over(self, opened: Opened) -> Result<(), Opened> {
        let (give_back, given_back) = oneshot::channel();
        let attach = Attach { opened, shown: self.shown, received: self.received, give_back };
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
