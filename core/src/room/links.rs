//! The links of a room, and how each fares.

use super::frame::{CloseReason, Frame, Link, MemberList, Pressure};
use super::members::{Members, News};
use super::{LinkId, Report};
use atoll_proto::datagram::{Alias, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The links that hear a room.
pub(super) struct Links {
    tag: Tag,
    next: u32,
    by_id: BTreeMap<LinkId, State>,
    /// Links that have yet to hear their snapshot.
    newcomers: usize,
    /// Links that said they have gone, until the room takes them up.
    gone: Vec<LinkId>,
}

struct State {
    link: Box<dyn Link>,
    /// The alias to name in the snapshot.
    own: Option<Alias>,
    /// Has heard its snapshot.
    informed: bool,
    gone: bool,
}

impl Links {
    pub(super) fn new(tag: Tag) -> Self {
        Self { tag, next: 0, by_id: BTreeMap::new(), newcomers: 0, gone: Vec::new() }
    }

    pub(super) fn open(&mut self, link: Box<dyn Link>) -> LinkId {
        let id = LinkId(self.next);
        self.next += 1;
        self.newcomers += 1;
        self.by_id.insert(id, State { link, own: None, informed: false, gone: false });
        id
    }

    /// Makes a link that of one seat alone.
    pub(super) fn set_own(&mut self, id: LinkId, alias: Alias) {
        if let Some(state) = self.by_id.get_mut(&id) {
            state.own = Some(alias);
        }
    }

    /// Whether a link is that of this seat alone.
    pub(super) fn is_of(&self, id: LinkId, alias: Alias) -> bool {
        self.by_id.get(&id).is_some_and(|state| state.own == Some(alias))
    }

    pub(super) fn contains(&self, id: LinkId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether a link has yet to hear its snapshot.
    pub(super) fn has_newcomers(&self) -> bool {
        self.newcomers > 0
    }

    /// Whether a link said that it has gone and has not been taken up.
    pub(super) fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Drops a link without a word. False when there is none.
    pub(super) fn remove(&mut self, id: LinkId) -> bool {
        self.take(id).is_some()
    }

    /// Tells a link why it is dropped.
    pub(super) fn close(&mut self, id: LinkId, reason: CloseReason) {
        if let Some(mut state) = self.take(id) {
            state.link.push(self.tag, Frame::Closed(reason));
        }
    }

    /// Tells one link alone.
    pub(super) fn tell(&mut self, id: LinkId, frame: Frame) {
        if let Some(state) = self.by_id.get_mut(&id)
            && state.push(self.tag, frame) == Pressure::Gone
        {
            self.gone.push(id);
        }
    }

    /// Tells newcomers who is here, and the others who came and went.
    pub(super) fn tell_members(&mut self, members: &Members, news: Option<News>) {
        let mut everybody = None;
        for (id, state) in &mut self.by_id {
            let list = if !state.informed {
                state.informed = true;
                let members = match state.own.filter(|own| members.is_hidden(*own)) {
                    Some(hidden) => members.seen_by(Some(hidden)),
                    None => Arc::clone(everybody.get_or_insert_with(|| members.seen_by(None))),
                };
                MemberList::Snapshot { own: state.own, members }
            } else if let Some(News { joined, left }) = &news {
                MemberList::Change { joined: Arc::clone(joined), left: Arc::clone(left) }
            } else {
                continue;
            };
            if state.push(self.tag, Frame::Members(list)) == Pressure::Gone {
                self.gone.push(*id);
            }
        }
        self.newcomers = 0;
    }

    /// Pushes a frame to every link for which `foreign` says that it holds packets of others, and how many. Newcomers are
    /// left out: the snapshot comes before everything else. Were they told here, each packet in a storm of newcomers would
    /// tell everybody of the last one, instead of each tick of all.
    pub(super) fn spread(&mut self, frame: &Frame, foreign: impl Fn(LinkId) -> usize, report: &mut Report) {
        for (id, state) in self.by_id.iter_mut().filter(|(_, state)| state.informed && !state.gone) {
            let foreign = foreign(*id);
            if foreign > 0 && state.hear(self.tag, frame, foreign, report) == Pressure::Gone {
                self.gone.push(*id);
            }
        }
    }

    /// Pushes a frame with one packet to these links, but newcomers.
    pub(super) fn spread_to(&mut self, frame: &Frame, links: &BTreeSet<LinkId>, report: &mut Report) {
        for id in links {
            if let Some(state) = self.by_id.get_mut(id).filter(|state| state.informed && !state.gone)
                && state.hear(self.tag, frame, 1, report) == Pressure::Gone
            {
                self.gone.push(*id);
            }
        }
    }

    /// The links that have gone since the last call. They are still here.
    pub(super) fn take_gone(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.gone)
    }

    fn take(&mut self, id: LinkId) -> Option<State> {
        let state = self.by_id.remove(&id)?;
        self.newcomers -= usize::from(!state.informed);
        Some(state)
    }
}

impl State {
    /// Pushes a frame with packets of others, and notes how that went.
    fn hear(&mut self, tag: Tag, frame: &Frame, packets: usize, report: &mut Report) -> Pressure {
        // A link keeps what is ordered, however it fares.
        let kept = matches!(frame, Frame::Ordered(_));
        let pressure = self.push(tag, frame.clone());
        match pressure {
            Pressure::Behind if !kept => report.behind += 1,
            Pressure::Flowing | Pressure::Behind => report.delivered += packets as u64,
            Pressure::TooLarge => report.too_large += 1,
            Pressure::Gone => {}
        }
        pressure
    }

    /// Pushes unless the link has gone; [`Pressure::Gone`] is answered once.
    fn push(&mut self, tag: Tag, frame: Frame) -> Pressure {
        if self.gone {
            return Pressure::Flowing;
        }
        let pressure = self.link.push(tag, frame);
        self.gone = pressure == Pressure::Gone;
        pressure
    }
}
