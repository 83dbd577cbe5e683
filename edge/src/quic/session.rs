//! One native session, from its login to its end.

use super::control::{ControlReader, ControlWriter};
use super::datagrams::Datagrams;
use super::door::Door;
use super::ending::Ending;
use super::link::NativeLink;
use super::login::{LoggedIn, login};
use super::refusals::{Refusals, Reports};
use super::transport::Transport;
use atoll_core::region::{JoinFailed, Seat, Session, SessionEvent};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage, KickedMessage};
use atoll_proto::atoll::ErrorCode;
use atoll_proto::atoll::client_message::Message as FromClient;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::close::CloseCode;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Serves a connection until it ends, one way or another. `deadline` is for the login.
pub(super) async fn run(
    transport: &Transport,
    door: &Door,
    deadline: Instant,
    mut ending: watch::Receiver<bool>,
) -> Ending {
    let served = async {
        let login = tokio::time::timeout_at(deadline, login(transport, door)).await;
        let logged_in = login.map_err(|_| Ending::new(CloseCode::LoginTimeout, "no login within 10 seconds"))??;
        Native::new(transport, door, logged_in).serve().await
    };
    tokio::select! {
        ended = served => match ended {
            Ok(never) => match never {},
            // Whatever failed first when a connection goes, the client's close is the cause.
            Err(_) if transport.quic().close_reason().is_some() => Ending::new(CloseCode::Closed, "closed by the client"),
            Err(ending) => ending,
        },
        _ = transport.quic().closed() => Ending::new(CloseCode::Closed, "closed by the client"),
        _ = ending.wait_for(|ending| *ending) => Ending::new(CloseCode::ShuttingDown, "the edge is shutting down"),
    }
}

/// Serving goes on until something ends it.
enum Never {}

struct Native<'a> {
    transport: &'a Transport,
    door: &'a Door,
    session: Session,
    reader: ControlReader,
    writer: ControlWriter,
    refusals: Arc<Refusals>,
    datagrams: Datagrams,
    seat: Option<Seat>,
}

impl<'a> Native<'a> {
    fn new(transport: &'a Transport, door: &'a Door, logged_in: LoggedIn) -> Self {
        let LoggedIn { session, reader, writer } = logged_in;
        let refusals = Arc::new(Refusals::new(Arc::clone(&door.counters)));
        let datagrams = Datagrams::new(Arc::clone(&door.counters), Arc::clone(&refusals));
        Self { transport, door, session, reader, writer, refusals, datagrams, seat: None }
    }

    async fn serve(mut self) -> Result<Never, Ending> {
        let mut reports = Reports::new(Arc::clone(&self.refusals));
        loop {
            tokio::select! {
                message = self.reader.next() => self.hear(message?)?,
                datagram = self.transport.read_datagram() => match datagram {
                    Some(datagram) => self.datagrams.take(datagram, self.seat.as_ref()),
                    None => return Err(Ending::new(CloseCode::Closed, "closed by the client")),
                },
                event = self.session.next_event() => self.follow(event).await?,
                refused = reports.next() => {
                    for error in refused {
                        self.writer.send(ToClient::Error(error))?;
                    }
                }
            }
        }
    }

    fn hear(&mut self, message: FromClient) -> Result<(), Ending> {
        match message {
            FromClient::Heartbeat(heartbeat) => {
                self.heartbeat(&heartbeat);
                Ok(())
            }
            FromClient::ChallengeRequest(_) | FromClient::Login(_) => {
                Err(Ending::new(CloseCode::UnexpectedMessage, "this session is logged in"))
            }
        }
    }

    fn heartbeat(&self, heartbeat: &Heartbeat) {
        if self.session.heartbeat(heartbeat).is_err() {
            self.refusals.add(ErrorCode::InvalidPosition);
        }
    }

    async fn follow(&mut self, event: Option<SessionEvent>) -> Result<(), Ending> {
        match event {
            Some(SessionEvent::IslandChanged(island)) => self.move_to(island).await,
            Some(SessionEvent::Kicked) => {
                self.writer.send(ToClient::Kicked(KickedMessage::default()))?;
                Err(Ending::new(CloseCode::Kicked, "the address logged in elsewhere"))
            }
            None => Err(Ending::new(CloseCode::TooSlow, "island changes were not taken up")),
        }
    }

    /// Takes the seat in the new island's room, then gives up the old one.
    async fn move_to(&mut self, island: IslandChangedMessage) -> Result<(), Ending> {
        let Some(grant) = self.door.region.grant(&self.session) else { return Ok(()) };
        // A later change is already in the queue and will be followed instead.
        if grant.room().as_str() != island.island_id {
            return Ok(());
        }
        let counters = Arc::clone(&self.door.counters);
        let refusals = Arc::clone(&self.refusals);
        let link = NativeLink::new(self.transport.clone(), self.writer.clone(), refusals, counters, island);
        match self.door.region.join(grant, Box::new(link)).await {
            Ok(seat) => {
                self.seat = Some(seat);
                Ok(())
            }
            Err(JoinFailed::Stale) => Ok(()),
            Err(error @ JoinFailed::Full) => Err(Ending::new(CloseCode::Overloaded, error)),
            Err(error @ JoinFailed::Ending) => Err(Ending::new(CloseCode::ShuttingDown, error)),
        }
    }
}
