//! One room: members, links, and the tick.

use super::frame::{Batch, CloseReason, Frame, Link, MemberList, Pressure};
use super::outbox::Outbox;
use super::{Delivery, LinkId, RoomId, Sender, SessionId};
use atoll_proto::datagram::{Alias, MAX_PAYLOAD, Sequence, Tag};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Rooms of at most this many members send at once instead of waiting for a tick.
const AT_ONCE: usize = 8;

/// Why a seat was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The room has as many members as it may.
    #[error("the room is full")]
    Full,
    /// A later session of the same sender has the seat.
    #[error("a later session has the seat")]
    Superseded,
}

/// Why a packet was not taken; it reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The sender has no seat here (any more).
    #[error("no seat in this room")]
    NoSeat,
    /// An update older than the last of its sender and kind.
    #[error("older than the last update")]
    Stale,
    /// More than a member may send in one tick.
    #[error("too many events in one tick")]
    TooFast,
    /// Above [`MAX_PAYLOAD`].
    #[error("a payload of {0} bytes; at most {MAX_PAYLOAD} are allowed")]
    TooLarge(usize),
    /// A delivery this room does not offer.
    #[error("this room does not offer that delivery")]
    Unsupported,
}

/// A seat taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The member's alias.
    pub alias: Alias,
    /// The link that now speaks for it.
    pub link: LinkId,
}

/// What one tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Packets in the batch.
    pub entries: usize,
    /// Packets handed to links, a receiver's own not counted.
    pub delivered: u64,
    /// Links skipped because they were behind.
    pub behind: usize,
    /// Links dropped because they had ended.
    pub gone: usize,
}

/// A broadcast domain. See the [module](super) for how it works.
pub struct Room {
    id: RoomId,
    tag: Tag,
    max_members: usize,
    next_alias: u32,
    next_link: u32,
    /// By alias, which is the order of joining.
    members: BTreeMap<Alias, Member>,
    aliases: HashMap<Sender, Alias>,
    links: BTreeMap<LinkId, LinkState>,
    /// Members with unsent packets, each once, in order of their first.
    unsent: Vec<Alias>,
    joined: Vec<Alias>,
    left: Vec<Alias>,
    last_tick: Option<Duration>,
}

struct Member {
    sender: Sender,
    session: Option<SessionId>,
    link: LinkId,
    outbox: Outbox,
    waits: bool,
}

struct LinkState {
    link: Box<dyn Link>,
    /// The alias to name in the snapshot.
    own: Option<Alias>,
    /// Has heard its snapshot.
    informed: bool,
}

impl Room {
    /// An empty room.
    pub fn new(id: RoomId, tag: Tag, max_members: usize) -> Self {
        Self {
            id,
            tag,
            max_members,
            next_alias: 0,
            next_link: 0,
            members: BTreeMap::new(),
            aliases: HashMap::new(),
            links: BTreeMap::new(),
            unsent: Vec::new(),
            joined: Vec::new(),
            left: Vec::new(),
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

    /// Whether nothing connects this room to anybody.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Seats `sender`, with a link of its own. The next tick tells the link who is here, and the others who came.
    ///
    /// The same sender and session again is a reseat: the link is replaced, the alias stays, and no neighbour notices.
    /// Another session of the same sender takes a new seat; the old one's link hears [`CloseReason::Kicked`].
    ///
    /// # Errors
    /// [`JoinError::Full`] when the room has as many members as it may; [`JoinError::Superseded`].
    pub fn join(
        &mut self,
        sender: Sender,
        session: Option<SessionId>,
        link: Box<dyn Link>,
    ) -> Result<Joined, JoinError> {
        if let Some(&alias) = self.aliases.get(&sender) {
            let held_by = self.members.get(&alias).and_then(|member| member.session);
            match (held_by, session) {
                (Some(held), Some(session)) if held == session => return Ok(self.reseat(alias, link)),
                // Its command was overtaken by that of its successor.
                (Some(held), Some(session)) if held > session => return Err(JoinError::Superseded),
                _ => {}
            }
            self.evict(alias, CloseReason::Kicked);
        }
        if self.members.len() >= self.max_members {
            return Err(JoinError::Full);
        }
        let id = self.attach(link);
        let alias = self.seat(id, sender, session);
        self.set_own(id, alias);
        Ok(Joined { alias, link: id })
    }

    /// Opens a link that stands for no member yet: a bridge. It hears all frames of the room.
    pub fn open_link(&mut self, link: Box<dyn Link>) -> LinkId {
        self.attach(link)
    }

    /// Seats a member behind an open link.
    ///
    /// # Errors
    /// [`JoinError::Full`] when the room has as many members as it may, or the link has been dropped.
    pub fn add(&mut self, link: LinkId, sender: Sender) -> Result<Alias, JoinError> {
        if let Some(&alias) = self.aliases.get(&sender) {
            self.evict(alias, CloseReason::Kicked);
        }
        if self.members.len() >= self.max_members || !self.links.contains_key(&link) {
            return Err(JoinError::Full);
        }
        Ok(self.seat(link, sender, None))
    }

    /// Takes the seat of a member behind `link` away; the link stays open. Other members are left alone.
    pub fn remove(&mut self, link: LinkId, alias: Alias) {
        if self.members.get(&alias).is_some_and(|member| member.link == link) {
            self.unseat(alias);
        }
    }

    /// Drops a link and every seat behind it. Unknown links, such as one replaced by a reseat, are ignored.
    pub fn close_link(&mut self, link: LinkId) {
        if self.links.remove(&link).is_none() {
            return;
        }
        let behind: Vec<Alias> =
            self.members.iter().filter(|(_, member)| member.link == link).map(|(alias, _)| *alias).collect();
        behind.into_iter().for_each(|alias| self.unseat(alias));
    }

    /// Takes a packet of the member `alias` behind `link`, for the next tick. The link hears of a refusal too, unless
    /// the packet was merely stale.
    ///
    /// # Errors
    /// [`SendError`]: the packet reaches nobody.
    pub fn send(
        &mut self,
        link: LinkId,
        alias: Alias,
        delivery: Delivery,
        sequence: Sequence,
        payload: Bytes,
    ) -> Result<(), SendError> {
        let member = self.members.get_mut(&alias).filter(|member| member.link == link).ok_or(SendError::NoSeat)?;
        let taken = match delivery {
            _ if payload.len() > MAX_PAYLOAD => Err(SendError::TooLarge(payload.len())),
            Delivery::Update => member.outbox.update(sequence, payload),
            Delivery::Event => member.outbox.event(sequence, payload),
            Delivery::Ordered | Delivery::Voice => Err(SendError::Unsupported),
        };
        if let Err(error) = taken {
            let link = self.links.get_mut(&member.link).filter(|_| error != SendError::Stale);
            if let Some(state) = link {
                state.link.push(self.tag, Frame::Refused { from: alias, error });
            }
            return Err(error);
        }
        if !member.waits {
            member.waits = true;
            self.unsent.push(alias);
        }
        Ok(())
    }

    /// When the next tick is due, if there is anything to tell: `now` for small rooms, else an interval after the last.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        let news = !self.unsent.is_empty() || !self.joined.is_empty() || !self.left.is_empty();
        if !news && self.links.values().all(|link| link.informed) {
            return None;
        }
        Some(self.last_tick.map_or(now, |last| now.max(last + interval(self.members.len()))))
    }

    /// Tells every link who came and went, then what was sent since the last tick.
    pub fn tick(&mut self, now: Duration) -> TickReport {
        self.last_tick = Some(now);
        let mut report = TickReport::default();
        let mut gone = self.tell_members();
        self.tell_news(&mut report, &mut gone);
        report.gone = gone.len();
        gone.into_iter().for_each(|link| self.close_link(link));
        report
    }

    fn tell_members(&mut self) -> Vec<LinkId> {
        let joined: Arc<[_]> = std::mem::take(&mut self.joined).into_iter().filter_map(|a| self.named(a)).collect();
        let left: Arc<[_]> = std::mem::take(&mut self.left).into();
        let changed = !joined.is_empty() || !left.is_empty();
        let mut everybody = None;
        let mut gone = Vec::new();
        for (id, state) in &mut self.links {
            let list = if !state.informed {
                state.informed = true;
                let members = everybody.get_or_insert_with(|| {
                    self.members.iter().map(|(a, m)| (*a, m.sender.clone())).collect::<Arc<[_]>>()
                });
                MemberList::Snapshot { own: state.own, members: Arc::clone(members) }
            } else if changed {
                MemberList::Change { joined: Arc::clone(&joined), left: Arc::clone(&left) }
            } else {
                continue;
            };
            if state.link.push(self.tag, Frame::Members(list)) == Pressure::Gone {
                gone.push(*id);
            }
        }
        gone
    }

    fn tell_news(&mut self, report: &mut TickReport, gone: &mut Vec<LinkId>) {
        let mut entries = Vec::with_capacity(self.unsent.len());
        let unsent = std::mem::take(&mut self.unsent);
        // Updates first: where a receiver takes only part of a batch, a flood of events must not displace them.
        for drain in [Outbox::drain_updates, Outbox::drain_events] {
            for alias in &unsent {
                if let Some(member) = self.members.get_mut(alias) {
                    drain(&mut member.outbox, *alias, &mut entries);
                    member.waits = false;
                }
            }
        }
        if entries.is_empty() {
            return;
        }
        report.entries = entries.len();
        // How many entries come from behind each link: a link that sent them all need not hear them.
        let mut own: HashMap<LinkId, usize> = HashMap::new();
        for member in entries.iter().filter_map(|entry| self.members.get(&entry.alias)) {
            *own.entry(member.link).or_default() += 1;
        }
        let batch = Arc::new(Batch::new(self.tag, entries));
        for (id, state) in &mut self.links {
            let foreign = report.entries - own.get(id).copied().unwrap_or(0);
            if foreign == 0 || gone.contains(id) {
                continue;
            }
            match state.link.push(self.tag, Frame::Batch(Arc::clone(&batch))) {
                Pressure::Flowing => report.delivered += foreign as u64,
                Pressure::Behind => report.behind += 1,
                Pressure::Gone => gone.push(*id),
            }
        }
    }

    fn named(&self, alias: Alias) -> Option<(Alias, Sender)> {
        self.members.get(&alias).map(|member| (alias, member.sender.clone()))
    }

    fn attach(&mut self, link: Box<dyn Link>) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(id, LinkState { link, own: None, informed: false });
        id
    }

    fn set_own(&mut self, link: LinkId, alias: Alias) {
        if let Some(state) = self.links.get_mut(&link) {
            state.own = Some(alias);
        }
    }

    fn seat(&mut self, link: LinkId, sender: Sender, session: Option<SessionId>) -> Alias {
        let alias = Alias(self.next_alias);
        self.next_alias += 1;
        self.aliases.insert(sender.clone(), alias);
        self.members.insert(alias, Member { sender, session, link, outbox: Outbox::default(), waits: false });
        self.joined.push(alias);
        alias
    }

    fn unseat(&mut self, alias: Alias) {
        let Some(member) = self.members.remove(&alias) else { return };
        self.aliases.remove(&member.sender);
        // Somebody nobody heard of yet need not be taken back.
        match self.joined.iter().position(|joined| *joined == alias) {
            Some(at) => drop(self.joined.remove(at)),
            None => self.left.push(alias),
        }
    }

    fn reseat(&mut self, alias: Alias, link: Box<dyn Link>) -> Joined {
        let id = self.attach(link);
        self.set_own(id, alias);
        let old = self.members.get_mut(&alias).map(|member| std::mem::replace(&mut member.link, id));
        if let Some(mut state) = old.and_then(|old| self.links.remove(&old)) {
            state.link.push(self.tag, Frame::Closed(CloseReason::Reseated));
        }
        Joined { alias, link: id }
    }

    /// Takes a seat away and, when it was the link's only one, tells and drops the link.
    fn evict(&mut self, alias: Alias, reason: CloseReason) {
        let Some(link) = self.members.get(&alias).map(|member| member.link) else { return };
        self.unseat(alias);
        let own = self.links.get(&link).is_some_and(|state| state.own == Some(alias));
        if let Some(mut state) = own.then(|| self.links.remove(&link)).flatten() {
            state.link.push(self.tag, Frame::Closed(reason));
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
