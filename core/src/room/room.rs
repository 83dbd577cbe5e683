//! One room: members, links, and the tick.

use super::batch::{Batch, Ordered};
use super::frame::{CloseReason, Frame, Link};
use super::governing::Announcer;
use super::links::Links;
use super::members::{Members, Newcomer};
use super::{Delivery, JoinError, LinkId, MAX_ORDERED_PAYLOAD, Outgoing, Packet, RoomId, SendError, Sender};
use atoll_proto::archipelago::Position;
use atoll_proto::datagram::{Alias, Kind, MAX_PAYLOAD, Sequence, Tag};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Rooms of at most this many members send at once instead of waiting for a tick.
const AT_ONCE: usize = 8;

/// How a room behaves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Most members.
    pub max_members: usize,
    /// Time between two ticks, zero to send at once; `None` goes by the number of members.
    pub tick: Option<Duration>,
}

/// A seat taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The member's alias.
    pub alias: Alias,
    /// The link that now speaks for it.
    pub link: LinkId,
    /// The link from which it took the seat over, if it is another connection of the same session.
    pub former: Option<LinkId>,
}

/// What one tick did, or one packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Packets in the batch, or sent at once.
    pub entries: usize,
    /// Packets handed to links, a receiver's own not counted.
    pub delivered: u64,
    /// Links skipped because they were behind.
    pub behind: usize,
    /// Links that an ordered packet was too large for.
    pub too_large: usize,
    /// Links dropped because they had ended.
    pub gone: usize,
}

/// A broadcast domain. See the [module](super) for how it works.
pub struct Room {
    id: RoomId,
    tag: Tag,
    settings: Settings,
    pub(super) members: Members,
    links: Links,
    /// Members with unsent packets, each once, in order of their first.
    unsent: Vec<Alias>,
    /// Who spoke last of those who have no seat.
    pub(super) announcer: Option<Announcer>,
    last_tick: Option<Duration>,
}

impl Room {
    /// An empty room.
    pub fn new(id: RoomId, tag: Tag, settings: Settings) -> Self {
        Self {
            id,
            tag,
            settings,
            members: Members::default(),
            links: Links::new(tag),
            unsent: Vec::new(),
            announcer: None,
            last_tick: None,
        }
    }

    /// The room's name.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// The tag of this incarnation.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Members seated now.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Where a member said to stand in its last update that told, in metres. A member with a session says so in its
    /// heartbeats, too; one without only here.
    pub fn place(&self, member: Alias) -> Option<Position> {
        self.members.one(member)?.outbox.place()
    }

    /// Whether nothing connects this room to anybody.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Seats somebody with a link of its own. With the next tick it hears who is here, and from then on what is sent; the
    /// others hear who came, if not before, because he speaks.
    ///
    /// The same sender and session again is a reseat: the alias stays, and no neighbour notices. The former link hears
    /// [`CloseReason::Reseated`] and nothing after it, the new one who is here and whatever follows, so that none of it is
    /// missed. What comes through the former one is taken for the seat as before until [`Room::close_link`] is called for
    /// it. One that is hidden now and was not, or the other way round, takes a new seat instead: the others hear that it left
    /// or came.
    ///
    /// Another session of the same sender takes a new seat; the old one's link hears [`CloseReason::Kicked`], and nothing
    /// is taken through it or its former ones any more.
    ///
    /// # Errors
    /// [`JoinError::Full`] when the room has as many members as it may; [`JoinError::Superseded`].
    pub fn join(&mut self, newcomer: Newcomer, link: Box<dyn Link>) -> Result<Joined, JoinError> {
        if let Some(alias) = self.members.alias_of(&newcomer.sender) {
            let held_by = self.members.one(alias).and_then(|member| member.session);
            let reason = match (held_by, newcomer.session) {
                (Some(held), Some(session)) if held == session => CloseReason::Reseated,
                // Its command was overtaken by that of its successor.
                (Some(held), Some(session)) if held > session => return Err(JoinError::Superseded),
                _ => CloseReason::Kicked,
            };
            if reason == CloseReason::Reseated && self.members.is_hidden(alias) == newcomer.hidden {
                return Ok(self.reseat(alias, link));
            }
            self.evict(alias, reason);
        }
        if self.members.len() >= self.settings.max_members {
            return Err(JoinError::Full);
        }
        let link = self.links.open(link);
        let alias = self.members.seat(link, newcomer);
        self.links.set_own(link, alias);
        Ok(Joined { alias, link, former: None })
    }

    /// Opens a link that stands for no member yet: a bridge. It hears all frames of the room.
    pub fn open_link(&mut self, link: Box<dyn Link>) -> LinkId {
        self.links.open(link)
    }

    /// Seats a member behind an open link.
    ///
    /// # Errors
    /// [`JoinError::Full`] when the room has as many members as it may, or the link has been dropped.
    pub fn add(&mut self, link: LinkId, sender: Sender) -> Result<Alias, JoinError> {
        if let Some(alias) = self.members.alias_of(&sender) {
            self.evict(alias, CloseReason::Kicked);
        }
        if self.members.len() >= self.settings.max_members || !self.links.contains(link) {
            return Err(JoinError::Full);
        }
        Ok(self.members.seat(link, Newcomer { sender, session: None, hidden: false }))
    }

    /// Takes the seat of a member behind `link` away; the link stays open. Other members are left alone.
    pub fn remove(&mut self, link: LinkId, alias: Alias) {
        if self.members.one(alias).is_some_and(|member| member.link == link) {
            self.members.unseat(alias);
        }
    }

    /// Drops a link and every seat behind it. Of a link replaced by a reseat, only what would still come through it ends;
    /// unknown links are ignored.
    pub fn close_link(&mut self, link: LinkId) {
        self.members.line_ended(link);
        if !self.links.remove(link) {
            return;
        }
        for alias in self.members.behind(link) {
            self.members.unseat(alias);
        }
    }

    /// Takes a packet of a member behind `link`, or behind one that a reseat replaced: for the next tick, or at once when
    /// it is ordered or voice. The member's link hears of a refusal too, unless the packet was merely stale.
    ///
    /// # Errors
    /// [`SendError`]: the packet reaches nobody.
    pub fn send(&mut self, now: Duration, link: LinkId, packet: Packet) -> Result<Report, SendError> {
        let from = packet.from;
        let sent = self.take(now, link, packet);
        if let Err(error) = sent
            && error != SendError::Stale
            && let Some(hears) = self.members.speaking(link, from).map(|member| member.link)
        {
            self.links.tell(hears, Frame::Refused { from, error });
        }
        let gone = self.drop_gone();
        sent.map(|report| Report { gone, ..report })
    }

    /// When the next tick is due, if there is anything to tell: `now` for small rooms, else an interval after the last.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        let links = self.links.has_newcomers() || self.links.has_gone();
        if self.unsent.is_empty() && !self.members.has_news() && !links {
            return None;
        }
        let interval = self.settings.tick.unwrap_or_else(|| interval(self.members.len()));
        Some(self.last_tick.map_or(now, |last| now.max(last.saturating_add(interval))))
    }

    /// Tells every link who came and went, then what was sent since the last tick.
    pub fn tick(&mut self, now: Duration) -> Report {
        self.last_tick = Some(now);
        self.tell_members();
        let report = self.tell_news();
        Report { gone: self.drop_gone(), ..report }
    }

    fn take(&mut self, now: Duration, link: LinkId, packet: Packet) -> Result<Report, SendError> {
        let Packet { from, delivery, sequence, said } = packet;
        let member = self.members.speaking(link, from).ok_or(SendError::NoSeat)?;
        let limit = if delivery == Delivery::Ordered { MAX_ORDERED_PAYLOAD } else { MAX_PAYLOAD };
        if said.payload.len() > limit {
            return Err(SendError::TooLarge(said.payload.len()));
        }
        match delivery {
            Delivery::Update => member.outbox.update(now, sequence, said)?,
            Delivery::Event => member.outbox.event(now, sequence, said)?,
            Delivery::Ordered => {
                let to = said.to.clone();
                let ordered = Ordered::new(from, member.sender.clone(), said);
                return Ok(self.send_at_once(from, to.as_deref(), &Frame::Ordered(Arc::new(ordered))));
            }
            Delivery::Voice => {
                let sequence = member.outbox.voice(now, sequence)?;
                let to = said.to.clone();
                let batch = Batch::of_one(self.tag, (from, member.sender.clone()), Kind::Voice, sequence, said);
                return Ok(self.send_at_once(from, to.as_deref(), &Frame::Voice(Arc::new(batch))));
            }
        }
        if !member.waits {
            member.waits = true;
            self.unsent.push(from);
        }
        Ok(Report::default())
    }

    /// Pushes a frame with one packet, once everybody knows of its sender.
    fn send_at_once(&mut self, from: Alias, to: Option<&[Alias]>, frame: &Frame) -> Report {
        // Nobody hears a sender it was not told of.
        if self.members.is_new(from) {
            self.tell_members();
        }
        let mut report = Report { entries: 1, ..Report::default() };
        self.push(from, to, frame, &mut report);
        report
    }

    /// Pushes a frame with one packet to all whom it is for but its sender's own link.
    pub(super) fn push(&mut self, from: Alias, to: Option<&[Alias]>, frame: &Frame, report: &mut Report) {
        let (own, before) = (self.members.one(from).map(|member| member.link), report.too_large);
        match to {
            None => self.links.spread(frame, |link| usize::from(own != Some(link)), report),
            Some(to) => {
                let members = to.iter().filter_map(|alias| self.members.one(*alias));
                let links = members.map(|member| member.link).filter(|link| own != Some(*link)).collect();
                self.links.spread_to(frame, &links, report);
            }
        }
        let links = report.too_large - before;
        if let Some(own) = own.filter(|_| links > 0) {
            self.links.tell(own, Frame::NotForAll { from, links });
        }
    }

    fn tell_members(&mut self) {
        let news = self.members.take_news();
        self.links.tell_members(&self.members, news);
    }

    fn tell_news(&mut self) -> Report {
        let unsent = std::mem::take(&mut self.unsent);
        let senders = unsent.iter().filter_map(|alias| Some((*alias, self.members.one(*alias)?.sender.clone())));
        let mut batch = Batch::new(self.tag, senders.collect());
        let mut addressed = Vec::new();
        // Updates first: where a receiver takes only part of a batch, a flood of events must not displace them.
        for alias in &unsent {
            if let Some(member) = self.members.one_mut(*alias) {
                member.outbox.drain_updates(*alias, &mut batch);
            }
        }
        for alias in &unsent {
            if let Some(member) = self.members.one_mut(*alias) {
                member.outbox.drain_events(*alias, &mut batch, &mut addressed);
                member.waits = false;
            }
        }
        let mut report = self.tell_batch(batch);
        for (from, sequence, said) in addressed {
            self.tell_some(from, sequence, said, &mut report);
        }
        report
    }

    fn tell_batch(&mut self, batch: Batch) -> Report {
        let total = batch.len();
        let mut report = Report { entries: total, ..Report::default() };
        if total == 0 {
            return report;
        }
        // How many entries come from behind each link: a link that sent them all need not hear them.
        let mut own: HashMap<LinkId, usize> = HashMap::new();
        for member in batch.items().filter_map(|item| self.members.one(item.from)) {
            *own.entry(member.link).or_default() += 1;
        }
        let frame = Frame::Batch(Arc::new(batch));
        self.links.spread(&frame, |link| total - own.get(&link).copied().unwrap_or(0), &mut report);
        report
    }

    /// What is for some goes past the batch that all share.
    fn tell_some(&mut self, from: Alias, sequence: Sequence, said: Outgoing, report: &mut Report) {
        let Some(sender) = self.members.one(from).map(|member| member.sender.clone()) else { return };
        let to = said.to.clone();
        let batch = Batch::of_one(self.tag, (from, sender), Kind::Event, sequence, said);
        report.entries += 1;
        self.push(from, to.as_deref(), &Frame::Batch(Arc::new(batch)), report);
    }

    pub(super) fn drop_gone(&mut self) -> usize {
        let gone = self.links.take_gone();
        gone.iter().for_each(|link| self.close_link(*link));
        gone.len()
    }

    fn reseat(&mut self, alias: Alias, link: Box<dyn Link>) -> Joined {
        let link = self.links.open(link);
        self.links.set_own(link, alias);
        let former = self.members.reseat(alias, link);
        if let Some(former) = former {
            self.links.close(former, CloseReason::Reseated);
        }
        // What is sent at once must not wait for the tick to be heard.
        self.tell_members();
        Joined { alias, link, former }
    }

    /// Takes a seat away and, when it was the link's only one, tells and drops the link.
    pub(super) fn evict(&mut self, alias: Alias, reason: CloseReason) {
        let Some(link) = self.members.unseat(alias) else { return };
        if self.links.is_of(link, alias) {
            self.links.close(link, reason);
        }
    }
}

/// The time between two ticks of a room with so many members: 50 Hz down to 20 Hz, because the cost of a tick is one
/// packet or more to each of them.
const fn interval(members: usize) -> Duration {
    let milliseconds = if members <= AT_ONCE {
        0
    } else if members <= 64 {
        20
    } else if members <= 200 {
        33
    } else {
        50
    };
    Duration::from_millis(milliseconds)
}
