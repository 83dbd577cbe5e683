//! One participant: its connections, its WebSocket when it has one, and its seat. A task of its own drives it.

use super::Door;
use super::departed::Departed;
use super::gate::Gate;
use super::lobby::{Entry, Return};
use super::mailbox::{Mail, Mailbox};
use super::notice::Notice;
use super::peer::{Lane, Peer, PeerEvent, Written};
use super::quality::Quality;
use super::request::Dialect;
use super::rooms::Place;
use super::routes::{Datagram, Inbox, Side};
use super::signals::{Signals, come_again, go};
use super::speech::Speech;
use super::talk::Talk;
use super::tracks::{Heard, Published};
use crate::ended::Ended;
use crate::socket::Socket;
use atoll_core::auth::LivekitToken;
use atoll_core::limit::Spot;
use atoll_core::region::Over;
use atoll_core::room::{CloseReason, Sender};
use atoll_proto::datagram::Alias;
use bytes::Bytes;
use livekit_protocol::DisconnectReason;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep_until, timeout};

/// How long the first connection may take.
const CONNECTING: Duration = Duration::from_secs(15);

/// How long a participant may be without a WebSocket, or without a connection that it had.
const AWAY: Duration = Duration::from_secs(15);

/// How long a client may take none of its data while much more waits: what the connection holds of it is 256 KiB.
const STANDING: Duration = Duration::from_secs(15);

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Datagrams that are taken in at a time.
const DATAGRAMS: usize = 64;

/// Those before a connection is driven.
const AT_ONCE: usize = 16;

/// One participant.
pub(super) struct Participant {
    pub(super) door: Door,
    pub(super) token: LivekitToken,
    pub(super) dialect: Dialect,
    pub(super) sid: Arc<str>,
    pub(super) alias: Alias,
    pub(super) place: Place,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) talk: Talk,
    pub(super) inbox: Inbox,
    pub(super) publisher: Peer,
    /// None with a single connection.
    pub(super) subscriber: Option<Peer>,
    pub(super) signals: Signals,
    /// Everybody else in the room.
    pub(super) others: BTreeMap<Alias, Sender>,
    pub(super) departed: Departed,
    /// When it was last told of its room.
    pub(super) counted_at: Option<Instant>,
    /// Its room has changed since.
    pub(super) owes_count: bool,
    pub(super) published: Published,
    pub(super) heard: Heard,
    pub(super) speech: Speech,
    pub(super) quality: Quality,
    /// The number of the last reliable packet, of a client that numbers them.
    pub(super) last_number: u32,
    /// An offer is to be made as soon as the last has been answered.
    pub(super) owes_offer: bool,
    pub(super) has_joined: bool,
    /// What the client asked for with its first request, once it has been told who is here.
    pub(super) first: Option<super::request::Wish>,
    pub(super) is_active: bool,
    /// Since when the data channels have taken nothing more, if they do not.
    pub(super) full_since: Option<Instant>,
    /// When its token is to be renewed.
    pub(super) refresh_at: Instant,
    /// When it has to be connected at the latest.
    pub(super) patience: Option<Instant>,
}

/// What comes to a participant, one at a time.
enum Input {
    Request(Bytes),
    SocketEnded(Ended),
    Returned(Box<Return>),
    Datagrams,
    News,
    Time,
}

impl Participant {
    /// Serves it until it has gone.
    pub(super) async fn run(mut self, socket: Socket, mut entry: Entry, spot: Spot) -> Ended {
        let mut gate = Gate::new(socket, self.door.doorway.region.pace());
        let mut lost_at: Option<Instant> = None;
        let seat = Arc::clone(self.talk.seat());
        let mut over = pin!(seat.over());
        let mut evicted = pin!(spot.evicted());
        let mut sleep = pin!(sleep_until(Instant::now().into()));
        let mut datagrams: Vec<Datagram> = Vec::with_capacity(DATAGRAMS);
        let ended = loop {
            if let Some(ended) = self.pump() {
                break ended;
            }
            let deadline = self.deadline(lost_at).into();
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            let input = tokio::select! {
                biased;
                over = &mut over => {
                    let (reason, ended) = match over {
                        Over::Kicked => (DisconnectReason::DuplicateIdentity, Ended::Replaced),
                        Over::Ended | Over::LeftBehind => (DisconnectReason::ParticipantRemoved, Ended::SessionOver),
                    };
                    self.signals.leave(go(reason), ended.clone());
                    break ended;
                }
                () = &mut evicted => {
                    self.signals.leave(go(DisconnectReason::ParticipantRemoved), Ended::Evicted);
                    break Ended::Evicted;
                }
                returned = entry.returned() => match returned {
                    Some(returned) => Input::Returned(returned),
                    None => continue,
                },
                request = gate.receive(self.signals.outgoing()) => match request {
                    Ok(request) => Input::Request(request),
                    Err(ended) => Input::SocketEnded(ended),
                },
                () = self.inbox.receive(&mut datagrams, DATAGRAMS) => Input::Datagrams,
                () = self.mailbox.news() => Input::News,
                () = &mut sleep => Input::Time,
            };
            let ended = match input {
                Input::Request(request) => self.request(&request).err(),
                Input::SocketEnded(ended) => {
                    if matches!(ended, Ended::Ending) {
                        self.signals.leave(come_again(DisconnectReason::ServerShutdown), Ended::Ending);
                        break ended;
                    }
                    tracing::debug!(sid = &*self.sid, "a participant's signals were lost: {ended}");
                    lost_at = Some(Instant::now());
                    gate.lose();
                    None
                }
                Input::Returned(returned) => {
                    lost_at = None;
                    gate.replace(self.resume(*returned));
                    self.choose_tracks();
                    None
                }
                Input::Datagrams => self.take(&mut datagrams),
                Input::News => None,
                Input::Time => self.is_overdue(lost_at),
            };
            if let Some(ended) = ended {
                break ended;
            }
        };
        self.publisher.close(&self.door.ports);
        if let Some(subscriber) = &mut self.subscriber {
            subscriber.close(&self.door.ports);
        }
        self.signals.outgoing().end(ended.clone());
        let outgoing = Arc::clone(self.signals.outgoing());
        self.mailbox.close();
        // The seat is given up as soon as all that it said has gone in; the client may hear of it a little later.
        drop((self, entry, seat));
        if let Ok(Some(mut socket)) = timeout(FAREWELL, gate.into_socket()).await {
            let saying = async { while socket.receive_sending(&*outgoing).await.is_ok() {} };
            let _ = timeout(FAREWELL, saying).await;
            socket.close(&ended).await;
        }
        ended
    }

    fn deadline(&self, lost_at: Option<Instant>) -> Instant {
        let peers = [Some(self.publisher.deadline()), self.subscriber.as_ref().map(Peer::deadline)];
        let refresh_at = self.has_joined.then_some(self.refresh_at);
        let (away, quality) = (lost_at.map(|at| at + AWAY), self.quality.due());
        let others = [away, self.patience, self.speech.due(), quality, refresh_at, self.count_due()];
        // Afterwards it is looked at when there is more.
        let standing = self.full_since.map(|since| since + STANDING).filter(|at| *at > Instant::now());
        let soonest = peers.into_iter().chain(others).chain([standing]).flatten().min();
        soonest.unwrap_or_else(|| Instant::now() + AWAY)
    }

    /// Whether its client has taken nothing for long, though much waits.
    fn stands_still(&self) -> bool {
        self.full_since.is_some_and(|since| since.elapsed() >= STANDING) && self.mailbox.is_much()
    }

    fn is_overdue(&mut self, lost_at: Option<Instant>) -> Option<Ended> {
        let now = Instant::now();
        if let Some(level) = self.speech.look(now) {
            self.tell_speech(level);
        }
        if let Some(quality) = self.quality.look(now) {
            self.does(quality);
        }
        if self.count_due().is_some_and(|due| now >= due) {
            self.count();
        }
        if self.has_joined && now >= self.refresh_at {
            self.refresh();
        }
        if lost_at.is_some_and(|at| now >= at + AWAY) {
            return Some(Ended::Left);
        }
        if self.patience.is_some_and(|until| now >= until) {
            self.signals.leave(come_again(DisconnectReason::ConnectionTimeout), Ended::Silent);
            return Some(Ended::Silent);
        }
        None
    }

    /// Takes datagrams in, a few at a time: a connection that is not driven in between holds no more than 30 records.
    fn take(&mut self, datagrams: &mut Vec<Datagram>) -> Option<Ended> {
        let mut ended = None;
        for some in datagrams.chunks(AT_ONCE) {
            for datagram in some {
                match (datagram.side, &mut self.subscriber) {
                    (Side::Subscriber, Some(subscriber)) => subscriber.receive(datagram),
                    _ => self.publisher.receive(datagram),
                }
            }
            ended = ended.or_else(|| self.pump());
        }
        datagrams.clear();
        ended
    }

    /// Takes what has come from the room, and drives the connections until they have nothing more to say.
    fn pump(&mut self) -> Option<Ended> {
        if self.mailbox.is_too_slow() || self.stands_still() {
            // Its signals are not what is slow: they are not cut off, so that it hears of it.
            self.signals.leave(come_again(DisconnectReason::StateMismatch), Ended::Left);
            return Some(Ended::TooSlow);
        }
        while let Some(mail) = self.mailbox.pop_signal() {
            if let Some(ended) = self.signal(mail) {
                return Some(ended);
            }
        }
        self.hear_media();
        self.send_data();
        let mut events = Vec::new();
        loop {
            self.publisher.drive(&self.door.ports, &mut events);
            let from_publisher = events.len();
            if let Some(subscriber) = &mut self.subscriber {
                subscriber.drive(&self.door.ports, &mut events);
            }
            if events.is_empty() {
                return None;
            }
            for (at, event) in events.drain(..).enumerate() {
                let side = if at < from_publisher { Side::Publisher } else { Side::Subscriber };
                if let Some(ended) = self.event(side, event) {
                    return Some(ended);
                }
            }
            self.send_data();
        }
    }

    fn event(&mut self, side: Side, event: PeerEvent) -> Option<Ended> {
        let is_primary = self.subscriber.is_none() || side == Side::Subscriber;
        match event {
            PeerEvent::Connected if is_primary => {
                self.patience = None;
                if !self.is_active {
                    self.is_active = true;
                    self.become_active();
                }
                if let Some(quality) = self.quality.connected(true) {
                    self.does(quality);
                }
            }
            PeerEvent::Disconnected if is_primary => {
                self.patience = Some(Instant::now() + AWAY);
                if let Some(quality) = self.quality.connected(false) {
                    self.does(quality);
                }
            }
            PeerEvent::Connected | PeerEvent::Disconnected => {}
            PeerEvent::Opened | PeerEvent::Drained => self.full_since = None,
            PeerEvent::Data(lane, message) => return self.said(lane, &message),
            PeerEvent::Media(mid, packet) => self.spoke(mid, *packet),
            PeerEvent::Over => {
                self.signals.leave(come_again(DisconnectReason::StateMismatch), Ended::Left);
                return Some(Ended::Left);
            }
        }
        None
    }

    fn signal(&mut self, mail: Mail) -> Option<Ended> {
        match mail {
            Mail::Members(list) => self.members(list),
            Mail::Notice(notice) => self.notice(notice),
            Mail::Closed(reason) => {
                let (why, ended) = match reason {
                    CloseReason::Kicked => (DisconnectReason::DuplicateIdentity, Ended::Replaced),
                    CloseReason::Reseated => (DisconnectReason::Migration, Ended::Reseated),
                    CloseReason::Removed => (DisconnectReason::ParticipantRemoved, Ended::Removed),
                    CloseReason::Deleted => (DisconnectReason::RoomDeleted, Ended::Removed),
                };
                if ended == Ended::Removed {
                    self.talk.stop();
                }
                self.signals.leave(go(why), ended.clone());
                return Some(ended);
            }
            Mail::Ordered(_) => {}
        }
        None
    }

    /// Writes what waits, as much as the connection takes: all that a tick brought, before it is driven.
    fn send_data(&mut self) {
        if self.full_since.is_some() {
            return;
        }
        let peer = self.subscriber.as_mut().unwrap_or(&mut self.publisher);
        if !peer.is_connected() {
            return;
        }
        let words = self.mailbox.words();
        while let Some(mail) = self.mailbox.pop_data() {
            let message = match &mail {
                Mail::Ordered(ordered) => words.ordered(ordered).cloned(),
                Mail::Notice(Notice::Data { message, .. }) => Some(message.clone()),
                _ => None,
            };
            match message.map_or(Written::Yes, |message| peer.write(Lane::Reliable, &message)) {
                Written::Yes => {}
                Written::Never => self.door.counters.untranslated.add(1),
                Written::Full => {
                    self.mailbox.put_back(mail);
                    self.full_since = Some(Instant::now());
                    return;
                }
            }
        }
        while let Some((batch, own)) = self.mailbox.pop_batch() {
            for (at, (from, _, message)) in words.batch(&batch).each().enumerate() {
                if Some(from) == own {
                    continue;
                }
                match peer.write(Lane::Lossy, &message) {
                    Written::Yes => {}
                    Written::Never => self.door.counters.untranslated.add(1),
                    Written::Full => {
                        self.mailbox.keep(&batch, at);
                        self.full_since = Some(Instant::now());
                        return;
                    }
                }
            }
        }
        while let Some(message) = self.mailbox.pop_late() {
            match peer.write(Lane::Lossy, &message) {
                Written::Yes => {}
                Written::Never => self.door.counters.untranslated.add(1),
                Written::Full => {
                    self.door.counters.dropped.add(1);
                    self.full_since = Some(Instant::now());
                    return;
                }
            }
        }
    }

    /// When the first connection has to stand.
    pub(super) fn first_patience() -> Option<Instant> {
        Some(Instant::now() + CONNECTING)
    }
}
