//! One native session, from its login to its end.

use super::control::{Clogged, ControlReader, ControlWriter};
use super::datagrams::Datagrams;
use super::door::Door;
use super::ending::Ending;
use super::link::NativeLink;
use super::login::{LoggedIn, login};
use super::refusals::{Refusals, Reports};
use super::transport::Transport;
use atoll_core::region::{HeartbeatError, JoinFailed, Seat, Session, SessionEvent};
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage, KickedMessage};
use atoll_proto::atoll::ErrorCode;
use atoll_proto::atoll::client_message::Message as FromClient;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::close::CloseCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How long a client may be silent where another service on the bus is the archipelago.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a last message may take to reach its client before the connection is closed, which would drop it.
const FAREWELL: Duration = Duration::from_millis(300);

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
            Err(ending) => ending,
        },
        _ = transport.quic().closed() => Ending::new(CloseCode::Closed, "the connection is gone"),
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
    /// A link of this session could not tell its client what it may not miss.
    clogged: Arc<Notify>,
    seat: Option<Seat>,
    /// When the client last said where it stands.
    heard: Instant,
}

impl<'a> Native<'a> {
    fn new(transport: &'a Transport, door: &'a Door, logged_in: LoggedIn) -> Self {
        let LoggedIn { session, reader, writer } = logged_in;
        let refusals = Arc::new(Refusals::new(Arc::clone(&door.counters)));
        let datagrams = Datagrams::new(Arc::clone(&door.counters), Arc::clone(&refusals));
        let clogged = Arc::default();
        Self {
            transport,
            door,
            session,
            reader,
            writer,
            refusals,
            datagrams,
            clogged,
            seat: None,
            heard: Instant::now(),
        }
    }

    async fn serve(mut self) -> Result<Never, Ending> {
        let mut reports = Reports::new(Arc::clone(&self.refusals));
        let archipelago = self.door.region.settings().archipelago.as_ref();
        let patience = archipelago.map_or(SILENCE, |archipelago| archipelago.peer_timeout);
        loop {
            tokio::select! {
                () = self.clogged.notified() => return Err(Clogged.into()),
                () = tokio::time::sleep_until(self.heard + patience) => {
                    return Err(Ending::new(CloseCode::Silent, "no heartbeat for too long"));
                }
                message = self.reader.next() => self.hear(message?)?,
                datagram = self.transport.read_datagram() => match datagram {
                    Some(datagram) => self.datagrams.take(datagram, self.seat.as_ref()),
                    None => return Err(Ending::new(CloseCode::Closed, "the connection is gone")),
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
            FromClient::Received(_) => Err(Ending::new(CloseCode::Malformed, "nothing was sent that needs this")),
            FromClient::ChallengeRequest(_) | FromClient::Login(_) => {
                Err(Ending::new(CloseCode::UnexpectedMessage, "this session is logged in"))
            }
        }
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let refused = match self.session.heartbeat(heartbeat) {
            Ok(()) => {
                self.heard = Instant::now();
                return;
            }
            Err(HeartbeatError::NoPosition | HeartbeatError::InvalidPosition(_)) => ErrorCode::InvalidPosition,
            Err(HeartbeatError::DesiredRoomTooLong) => ErrorCode::InvalidRoom,
            Err(HeartbeatError::TooOften) => ErrorCode::TooFast,
        };
        self.refusals.add(refused);
    }

    async fn follow(&mut self, event: Option<SessionEvent>) -> Result<(), Ending> {
        match event {
            Some(SessionEvent::IslandChanged(island)) => self.move_to(island).await,
            Some(SessionEvent::Kicked) => {
                self.writer.send(ToClient::Kicked(KickedMessage::default()))?;
                self.writer.finish(FAREWELL).await;
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
        let clogged = Arc::clone(&self.clogged);
        let link = NativeLink::new(self.transport.clone(), self.writer.clone(), refusals, counters, clogged, island);
        match self.door.region.join(grant, Box::new(link)).await {
            Ok(seat) => {
                self.seat = Some(seat);
                Ok(())
            }
            Err(JoinFailed::Stale) => Ok(()),
            Err(JoinFailed::Full) => {
                self.seat = None;
                self.refusals.add(ErrorCode::RoomFull);
                Ok(())
            }
            Err(error @ JoinFailed::Ending) => Err(Ending::new(CloseCode::ShuttingDown, error)),
        }
    }
}
