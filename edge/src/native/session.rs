//! One session: it outlives its connections, and ends once.
//!
//! It is attended while it has a connection, and parked while it waits for the next one. The two states are two loops;
//! what is the same in both is a [`Member`].

use super::attach::Attach;
use super::connection::{Connection, Opened};
use super::control::{ControlReader, ControlWriter};
use super::door::{Door, Phase};
use super::ending::Ending;
use super::inbox::Inbox;
use super::link::Ways;
use super::member::{Member, Step, Way};
use super::outbox::Outbox;
use super::refusals::{Refusals, Reports};
use super::resumptions::Issued;
use super::streams::End;
use super::token::Shown;
use super::topics::Topics;
use super::uploads::{Arrived, Uploads};
use super::welcome::welcome;
use super::{Datagrams, UpDatagrams};
use atoll_core::limit::Pace;
use atoll_core::region::Session;
use atoll_proto::archipelago::KickedMessage;
use atoll_proto::atoll::client_message::Message as FromClient;
use atoll_proto::atoll::server_message::Message as ToClient;
use atoll_proto::atoll::{Draining, Received};
use atoll_proto::close::CloseCode;
use bytes::Bytes;
use futures_util::FutureExt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a last message may take to reach its client before the connection is closed, which would drop it.
const FAREWELL: Duration = Duration::from_millis(300);

/// Datagrams taken at a time before anything else is looked at.
const MOST_DATAGRAMS: usize = 32;

/// Serves a new session until it ends.
pub(super) async fn run(session: Session, opened: Opened, door: Door) {
    let mut native = Native::new(session, door);
    let mut attached = native.attach(opened);
    let mut left = match native.welcome(&attached, None) {
        Ok(()) => native.attend(&mut attached).await,
        Err(ending) => Left::Ended(ending),
    };
    loop {
        let attach = match left {
            Left::Ended(ending) => {
                // Its seats go at once, whatever the client does with the close.
                drop(native);
                return attached.connection.end(ending).await;
            }
            Left::Replaced(attach) => {
                attached.abandon(Ending::new(CloseCode::Resumed, "the session goes on over another connection"));
                attach
            }
            Left::Behind(ending) => {
                attached.abandon(ending);
                match native.park().await {
                    Some(attach) => attach,
                    None => return,
                }
            }
        };
        let Attach { opened, shown, received, give_back } = *attach;
        drop(give_back);
        attached = native.attach(opened);
        left = match native.take_up(&attached, shown, &received).await {
            Ok(()) => native.attend(&mut attached).await,
            Err(ending) => Left::Ended(ending),
        };
    }
}

/// How a session left a connection.
enum Left {
    /// With its own end.
    Ended(Ending),
    /// For another connection.
    Replaced(Box<Attach>),
    /// Without one to go on: it was lost, or is of no use (then with the code to close it with).
    Behind(Ending),
}

/// A connection of a session, and what is done for it alone.
struct Attached {
    connection: Connection,
    reader: ControlReader,
    writer: ControlWriter,
    uploads: Uploads,
    writers: JoinSet<()>,
}

impl Attached {
    /// Closes it while the session goes on.
    fn abandon(mut self, ending: Ending) {
        self.writers.abort_all();
        tokio::spawn(self.connection.end(ending));
    }
}

struct Native {
    door: Door,
    member: Member,
    outbox: Arc<Outbox>,
    /// When the outbox may have something that is too old.
    outdated_at: Instant,
    inbox: Inbox,
    datagrams: UpDatagrams,
    reports: Reports,
    topics: Topics,
    pace: Pace,
    phase: watch::Receiver<Phase>,
    /// Connections for this session.
    attachments: mpsc::Receiver<Attach>,
    attach_here: mpsc::Sender<Attach>,
    token: Option<Issued>,
    /// The token that led to the connection, until the client speaks there: the welcome with the other one may be lost.
    former_token: Option<Issued>,
}

impl Native {
    fn new(session: Session, door: Door) -> Self {
        let (attach_here, attachments) = mpsc::channel(1);
        let counters = door.counters();
        let refusals = Arc::new(Refusals::new(Arc::clone(counters)));
        let outbox = Arc::new(Outbox::new(Arc::clone(counters)));
        let topics = Topics::new(session.topics(), Arc::clone(&refusals), Arc::clone(counters));
        let ways = Ways { outbox: outbox.clone(), refusals: refusals.clone(), counters: counters.clone() };
        Self {
            member: Member::new(session, &door, ways),
            outdated_at: outbox.expire(),
            outbox,
            inbox: Inbox::default(),
            datagrams: UpDatagrams::new(Arc::clone(counters), Arc::clone(&refusals)),
            reports: Reports::new(refusals),
            topics,
            pace: door.region().pace(),
            phase: door.phase(),
            attachments,
            attach_here,
            token: None,
            former_token: None,
            door,
        }
    }

    fn attach(&self, opened: Opened) -> Attached {
        let Opened { connection, reader, writer } = opened;
        connection.carrier.logged_in();
        let uploads = Uploads::new(self.pace.clone(), Arc::clone(self.door.uploads()));
        Attached { connection, reader, writer, uploads, writers: JoinSet::new() }
    }

    fn welcome(&mut self, attached: &Attached, resumed: Option<Received>) -> Result<(), Ending> {
        let issued = self.door.resumptions().issue(self.attach_here.clone());
        let (token, issued) = issued.map_err(|error| Ending::new(CloseCode::Internal, error))?;
        self.token = Some(issued);
        attached.writer.send(welcome(&self.door, self.member.address(), token, resumed))?;
        // Who comes while the edge drains hears of it, too.
        self.phase.mark_changed();
        Ok(())
    }

    /// Goes on over a new connection.
    async fn take_up(&mut self, attached: &Attached, shown: Shown, received: &Received) -> Result<(), Ending> {
        // In this order: the one that was shown is one of these two.
        (self.token, self.former_token) = (None, None);
        self.former_token = Some(self.door.resumptions().restore(shown, self.attach_here.clone()));
        self.topics.forget_answers();
        self.outbox.rewind(received).map_err(|error| Ending::new(CloseCode::Malformed, error))?;
        self.door.counters().resumed.add(1);
        let resumed = self.inbox.received();
        self.welcome(attached, Some(resumed))?;
        self.member.heard();
        let way = (attached.connection.carrier.clone(), attached.writer.clone());
        self.member.sit_again(&way).await
    }

    /// Serves a connection until the session ends or has to do without it.
    async fn attend(&mut self, attached: &mut Attached) -> Left {
        match self.attended(attached).await {
            Ok(left) => left,
            // Whatever failed first, the end of the connection is the cause if there is one.
            Err(ending) => match attached.connection.carrier.ended() {
                // Who hears it after all was held up somewhere, and may go on.
                Some(End::Lost) => Left::Behind(Ending::new(CloseCode::TooSlow, "the connection counts as lost")),
                None if ending.code == CloseCode::TooSlow => Left::Behind(ending),
                Some(End::ByPeer) | None => Left::Ended(ending),
            },
        }
    }

    async fn attended(&mut self, attached: &mut Attached) -> Result<Left, Ending> {
        let Attached { connection, reader, writer, uploads, writers } = attached;
        let Connection { carrier, streams, datagrams, .. } = connection;
        let way = (carrier.clone(), writer.clone());
        let mut alarm = pin!(sleep_until(self.alarm()));
        loop {
            set(&mut alarm, self.alarm());
            // In an order that makes a run repeatable: what ends the session first, what comes in floods last.
            tokio::select! {
                biased;
                _ = self.phase.changed() => announce(*self.phase.borrow_and_update(), writer)?,
                clogged = writer.clogged() => return Err(clogged.into()),
                Some(attach) = self.attachments.recv() => return Ok(Left::Replaced(Box::new(attach))),
                event = self.member.next_event() => {
                    if self.member.follow(event, Some(&way)).await? == Step::Kicked {
                        writer.send(ToClient::Kicked(KickedMessage::default()))?;
                        writer.finish(FAREWELL).await;
                        return Err(Ending::new(CloseCode::Kicked, "the address logged in elsewhere"));
                    }
                }
                () = &mut alarm => {
                    self.member.excuse(carrier.held_up());
                    self.ring(writer)?;
                }
                () = self.outbox.wanted() => self.outbox.serve(carrier, writers),
                errors = self.reports.next() => {
                    for error in errors {
                        writer.send(ToClient::Error(error))?;
                    }
                }
                message = self.topics.next(writer) => writer.send(message)?,
                message = reader.next() => {
                    let message = message?;
                    self.former_token = None;
                    self.hear(message, &way).await?;
                }
                stream = streams.next() => {
                    let stream = stream.ok_or_else(gone)?;
                    self.former_token = None;
                    uploads.read(stream);
                }
                arrived = uploads.next() => self.take(arrived?).await?,
                datagram = datagrams.next() => {
                    let datagram = datagram.ok_or_else(gone)?;
                    self.former_token = None;
                    self.pass_on(datagram, datagrams)?;
                }
            }
        }
    }

    /// When something is due that nobody else tells of.
    fn alarm(&self) -> Instant {
        let due =
            [self.inbox.due(), self.member.seats().expiry(), Some(self.member.doubt_at()), Some(self.outdated_at)];
        due.into_iter().flatten().fold(self.member.silent_at(), Instant::min)
    }

    fn ring(&mut self, writer: &ControlWriter) -> Result<(), Ending> {
        let now = Instant::now();
        if now >= self.member.silent_at() {
            return Err(Ending::new(CloseCode::Silent, "no heartbeat for too long"));
        }
        self.expire(now);
        if self.inbox.due().is_some_and(|due| due <= now)
            && let Some(received) = self.inbox.acknowledge()
        {
            writer.send(ToClient::Received(received))?;
        }
        Ok(())
    }

    /// Gives up what was kept long enough, whether there is a client or not.
    fn expire(&mut self, now: Instant) {
        self.member.expire_seats();
        if now >= self.outdated_at {
            self.outdated_at = self.outbox.expire();
        }
    }

    async fn hear(&mut self, message: FromClient, way: &Way) -> Result<(), Ending> {
        match message {
            FromClient::Heartbeat(heartbeat) => {
                self.member.heartbeat(&heartbeat);
                Ok(())
            }
            FromClient::Received(received) => {
                self.outbox.acknowledge(&received).map_err(|error| Ending::new(CloseCode::Malformed, error))
            }
            FromClient::Publish(publish) => {
                self.topics.publish(publish);
                Ok(())
            }
            FromClient::Subscribe(subscribe) => self.topics.subscribe(subscribe),
            FromClient::Unsubscribe(unsubscribe) => {
                self.topics.unsubscribe(unsubscribe.subscription);
                Ok(())
            }
            FromClient::JoinRoom(join) => self.member.join_room(&join.connection_string, way).await,
            FromClient::ChallengeRequest(_) | FromClient::Login(_) => {
                Err(Ending::new(CloseCode::UnexpectedMessage, "this session is logged in"))
            }
        }
    }

    async fn take(&mut self, arrived: Arrived) -> Result<(), Ending> {
        let Arrived { lane, news, held: _held } = arrived;
        self.door.counters().arrived(lane, &news);
        match self.inbox.accept(lane, news)? {
            Some((tag, payload)) => self.member.send_ordered(tag, payload).await,
            None => Ok(()),
        }
    }

    /// Passes a datagram on, and those that are there already.
    fn pass_on(&self, first: Option<Bytes>, datagrams: &mut Datagrams) -> Result<(), Ending> {
        self.datagrams.take(first, self.member.seats());
        for _ in 1..MOST_DATAGRAMS {
            let Some(datagram) = datagrams.next().now_or_never() else { return Ok(()) };
            self.datagrams.take(datagram.ok_or_else(gone)?, self.member.seats());
        }
        Ok(())
    }

    /// Waits for another connection. `None` when the session is over.
    async fn park(&mut self) -> Option<Box<Attach>> {
        self.member.set_idle(true);
        let attach = self.parked().await;
        self.member.set_idle(false);
        attach
    }

    async fn parked(&mut self) -> Option<Box<Attach>> {
        let counters = Arc::clone(self.door.counters());
        let _parked = counters.parked.guard();
        let until = Instant::now() + self.door.settings().resume_window;
        let mut repeat_at = Instant::now();
        let mut alarm = pin!(sleep_until(repeat_at));
        loop {
            let now = Instant::now();
            if now >= until || *self.phase.borrow_and_update() != Phase::Open {
                return None;
            }
            if now >= repeat_at {
                repeat_at = now + self.member.repeat_heartbeat();
            }
            self.expire(now);
            let due = [Some(until), Some(self.outdated_at), self.member.seats().expiry()];
            set(&mut alarm, due.into_iter().flatten().fold(repeat_at, Instant::min));
            tokio::select! {
                biased;
                _ = self.phase.changed() => {}
                Some(attach) = self.attachments.recv() => return Some(Box::new(attach)),
                event = self.member.next_event() => match self.member.follow(event, None).await {
                    Ok(Step::On) => {}
                    Ok(Step::Kicked) | Err(_) => return None,
                },
                () = &mut alarm => {}
            }
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.attachments.close();
        // Who came too late to resume logs in instead.
        while let Ok(attach) = self.attachments.try_recv() {
            let Attach { opened, give_back, .. } = attach;
            drop(give_back.send(opened));
        }
    }
}

fn announce(phase: Phase, writer: &ControlWriter) -> Result<(), Ending> {
    match phase {
        Phase::Open => Ok(()),
        Phase::Draining(until) => {
            let left = until.saturating_duration_since(Instant::now());
            let close_in_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
            Ok(writer.send(ToClient::Draining(Draining { close_in_ms }))?)
        }
        Phase::Ending => Err(Ending::shutting_down()),
    }
}

fn gone() -> Ending {
    Ending::new(CloseCode::Closed, "the connection is gone")
}

/// Resets a timer, which costs a lock, only when it has to be.
fn set(alarm: &mut Pin<&mut Sleep>, at: Instant) {
    if alarm.deadline() != at || alarm.is_elapsed() {
        alarm.as_mut().reset(at);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
