//! A session as its client sees it, whatever connection carries it. No I/O and no clock: `now` is a duration since any
//! fixed start.

mod backoff;
mod hearing;
mod lanes;
#[cfg(test)]
mod tests;
mod topics;
mod wish;

pub(crate) use backoff::Backoff;
pub(crate) use lanes::Undelivered;
pub(crate) use topics::NotTaken;

use crate::closed::Closed;
use crate::event::{Event, Lane, Subscription, TopicScope};
use crate::queue::EventQueue;
use crate::seat::Seat;
use crate::stats::Stats;
use crate::target::Way;
use atoll_proto::archipelago::{Heartbeat, Position};
use atoll_proto::atoll::{LargeHeader, OrderedMessage, Received, Resume, Welcome, client_message};
use atoll_proto::close::{CloseCode, RetryAdvice};
use atoll_proto::datagram::{Sequence, Tag};
use bytes::Bytes;
use lanes::{Lanes, Outbound};
use std::time::Duration;
use topics::Topics;
use wish::Wish;

/// What outlives a connection: identity, seat, lanes and events.
///
/// One value for all, so that an island change is in the queue before any packet of its room is.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) stats: Stats,
    queue: EventQueue,
    seat: Option<Seat>,
    /// The last sequence sent. It never starts again, whatever room the client sits in.
    sequence: Sequence,
    lanes: Lanes,
    topics: Topics,
    wish: Wish,
    /// Where the avatar stands, and whether the edge is to be told.
    position: Option<Position>,
    heartbeat_due: bool,
    /// Takes the session up again, once.
    token: Option<String>,
    /// The edge said that the address logged in elsewhere.
    kicked: bool,
    /// The program left so many events untaken that one was lost.
    lagged: bool,
    backoff: Backoff,
}

/// What came of a login that asked for an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// It goes on.
    Resumed,
    /// A new one began.
    New,
}

impl Session {
    /// A session that `welcome` begins.
    pub(crate) fn new(packet_queue: usize, welcome: &Welcome, seed: u64, now: Duration) -> Self {
        let mut session = Self {
            stats: Stats::default(),
            queue: EventQueue::new(packet_queue),
            seat: None,
            sequence: Sequence::default(),
            lanes: Lanes::new(),
            topics: Topics::new(),
            wish: Wish::default(),
            position: None,
            heartbeat_due: false,
            token: None,
            kicked: false,
            lagged: false,
            backoff: Backoff::new(seed),
        };
        session.keep_token(welcome, now);
        session
    }

    /// The oldest event.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.queue.pop() {
                Some(Event::Topic(message)) => match self.topics.taken(message) {
                    Some(message) => return Some(Event::Topic(message)),
                    None => continue,
                },
                other => return other,
            }
        }
    }

    /// Asks for the room of a connection string, in whatever connection, or for that of the island.
    pub(crate) fn join(&mut self, connection_string: &str) -> Result<(), NotTaken> {
        self.wish.ask(connection_string)
    }

    /// Says something on a topic, in a control message of at most `limit` bytes.
    pub(crate) fn publish(&mut self, topic: &str, payload: &Bytes, limit: usize) -> Result<(), NotTaken> {
        self.topics.publish(topic, payload, limit)
    }

    /// Hears a topic from now on, in whatever connection.
    pub(crate) fn subscribe(&mut self, scope: TopicScope, topic: &str, limit: usize) -> Result<Subscription, NotTaken> {
        self.topics.subscribe(scope, topic, limit)
    }

    /// Hears it no more.
    pub(crate) fn unsubscribe(&mut self, subscription: Subscription) -> bool {
        self.topics.unsubscribe(subscription)
    }

    /// Whether the program took enough to read further ordered and large messages.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Why the session is over, if it is.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.queue.closed()
    }

    /// The tag of the room the client sits in.
    pub(crate) fn tag(&self) -> Option<Tag> {
        self.seat.as_ref().map(Seat::tag)
    }

    /// The sequence of the next datagram.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.sequence.next()
    }

    /// Notes that a datagram with this sequence was sent.
    pub(crate) fn sent(&mut self, sequence: Sequence) {
        self.sequence = sequence;
    }

    /// Adds a message to a lane and returns its number; `None` when another one would have to be dropped for it.
    pub(crate) fn send(&mut self, now: Duration, lane: Lane, tag: Tag, payload: Bytes) -> Option<u64> {
        let number = self.lanes.push(now, lane, tag, payload)?;
        self.stats.messages_sent += 1;
        Some(number)
    }

    /// Notes where the avatar stands; the newest is sent next.
    pub(crate) fn heartbeat(&mut self, position: Position) {
        self.position = Some(position);
        self.heartbeat_due = true;
    }

    /// What the control stream carries next.
    pub(crate) fn next_control(&mut self, now: Duration) -> Option<client_message::Message> {
        if let Some(received) = self.lanes.acknowledgement(now) {
            return Some(client_message::Message::Received(received));
        }
        let Some(position) = self.position.filter(|_| self.heartbeat_due) else {
            return self.wish.next().or_else(|| self.topics.next());
        };
        self.heartbeat_due = false;
        let heartbeat = Heartbeat { position: Some(position), desired_room: None };
        Some(client_message::Message::Heartbeat(heartbeat))
    }

    /// When [`next_control`](Self::next_control) has something even though nothing happens until then.
    pub(crate) fn control_at(&self) -> Option<Duration> {
        self.lanes.acknowledge_at()
    }

    /// What the ordered stream carries next.
    pub(crate) fn next_ordered(&mut self, now: Duration) -> Option<OrderedMessage> {
        let outbound = self.lanes.next_ordered(now)?;
        Some(self.outbound(outbound))
    }

    /// What the next large stream carries.
    pub(crate) fn next_large(&mut self, now: Duration) -> Option<(LargeHeader, Bytes)> {
        let outbound = self.lanes.next_large(now)?;
        Some(self.outbound(outbound))
    }

    /// Whether large messages are kept: the next may go out when one is acknowledged.
    pub(crate) fn has_large(&self) -> bool {
        self.lanes.expires_at(Lane::Large).is_some()
    }

    /// When a lane has a gap to send even though nothing happens until then.
    pub(crate) fn lane_at(&self, lane: Lane) -> Option<Duration> {
        self.lanes.expires_at(lane)
    }

    /// What to ask for in a login that should take this session up.
    pub(crate) fn resume(&self) -> Option<Resume> {
        let token = self.token.clone()?;
        Some(Resume { token, received: Some(self.lanes.received()) })
    }

    /// Goes on by a new connection, as its welcome says, and tells whether it is the same session.
    ///
    /// # Errors
    /// [`Closed`] when the edge claims to have what was never sent.
    pub(crate) fn welcomed(&mut self, now: Duration, welcome: &Welcome) -> Result<Login, Closed> {
        let login = match &welcome.resumed {
            Some(received) => self.resumed(now, received)?,
            None => self.restarted(),
        };
        self.keep_token(welcome, now);
        self.topics.go_on(login == Login::New);
        self.wish.go_on(login == Login::New);
        // The edge repeats the last heartbeat it heard; this may be a newer one.
        self.heartbeat_due = self.position.is_some();
        Ok(login)
    }

    /// Tells by which way the session goes on, `from` another one if that still stood.
    pub(crate) fn goes_on(&mut self, login: Login, from: Option<Way>, way: Way) {
        let event = match (login, from) {
            (Login::Resumed, Some(from)) => Event::WayChanged { from, to: way },
            (Login::Resumed, None) => Event::Resumed { way },
            (Login::New, _) => Event::Restarted { way },
        };
        self.tell(event);
    }

    /// Notes the loss of the connection, or of an attempt to have one, and returns how long to wait before the next
    /// attempt; `None` when there should be none.
    pub(crate) fn lost(&mut self, now: Duration, why: &Closed) -> Option<Duration> {
        if self.kicked || self.lagged || matches!(why, Closed::Lagged) {
            return None;
        }
        // Any code but this one ends the session at the edge; a loss parks it.
        if why.code().is_some_and(|code| code != CloseCode::TooSlow) {
            self.token = None;
        }
        self.backoff.lost(now);
        let pause = match why.advice() {
            RetryAdvice::Retry => self.backoff.pause(),
            RetryAdvice::RetryElsewhere => self.backoff.pause_elsewhere(),
            RetryAdvice::DoNotRetry => return None,
        };
        self.tell(Event::Disconnected { why: why.clone(), retry_in: pause });
        Some(pause)
    }

    /// Ends the session: whoever asks for events learns what may not have arrived, and why.
    pub(crate) fn end(&mut self, why: Closed) {
        let why = match why {
            _ if self.lagged => Closed::Lagged,
            Closed::Edge { .. } => why,
            _ if self.kicked => Closed::from_code(CloseCode::Kicked, "kicked"),
            _ => why,
        };
        if self.queue.closed().is_none() {
            self.tell_undelivered();
        }
        self.seat = None;
        self.queue.close(why);
    }

    fn resumed(&mut self, now: Duration, received: &Received) -> Result<Login, Closed> {
        self.lanes.rewind(now, received).map_err(|error| Closed::Lost(error.to_string()))?;
        self.stats.resumed += 1;
        Ok(Login::Resumed)
    }

    fn restarted(&mut self) -> Login {
        self.tell_undelivered();
        self.lanes = Lanes::new();
        self.seat = None;
        self.stats.restarted += 1;
        Login::New
    }

    fn keep_token(&mut self, welcome: &Welcome, now: Duration) {
        self.token = Some(welcome.resume_token.clone()).filter(|token| !token.is_empty());
        self.backoff.welcomed(now);
    }

    fn tell_undelivered(&mut self) {
        let undelivered: Vec<_> = self.lanes.undelivered().collect();
        for Undelivered { lane, first, last } in undelivered {
            self.tell(Event::Undelivered { lane, first, last });
        }
    }

    fn outbound<T>(&mut self, Outbound { item, undelivered }: Outbound<T>) -> T {
        if let Some(Undelivered { lane, first, last }) = undelivered {
            self.tell(Event::Undelivered { lane, first, last });
        }
        item
    }

    /// Tells something that is not learnt from the edge. A program that left so much untaken that this finds no place
    /// has lost the session.
    fn tell(&mut self, event: Event) {
        let told = match event {
            Event::Disconnected { .. } => self.queue.push_disconnected(event),
            _ => self.queue.push_control(event),
        };
        self.lagged |= told.is_err();
    }
}
