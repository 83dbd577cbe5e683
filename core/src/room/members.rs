//! Who has a seat in a room, and through which lines each may speak.

use super::outbox::Outbox;
use super::{LinkId, Sender, SessionId, Visit};
use atoll_proto::datagram::Alias;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Somebody who takes a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Who.
    pub sender: Sender,
    /// The session that the seat is of, if it is a session's.
    pub session: Option<SessionId>,
    /// Whether nobody is told of it but its own link. A hidden member counts as the others do, hears all that they hear, and
    /// what it sends reaches them.
    pub hidden: bool,
}

/// The members of a room.
#[derive(Default)]
pub(super) struct Members {
    next_alias: u32,
    /// By alias, which is the order of joining.
    by_alias: BTreeMap<Alias, Member>,
    aliases: HashMap<Sender, Alias>,
    /// Links replaced by a reseat, until their line is dropped: what it still carries is the seat's. There are no more of
    /// them than lines that doors hold.
    former: HashMap<LinkId, Alias>,
    joined: Vec<Alias>,
    left: Vec<Alias>,
    /// Who came and went, for whoever watches the room, if anybody does.
    visits: Option<Vec<Visit>>,
}

pub(super) struct Member {
    pub(super) sender: Sender,
    pub(super) session: Option<SessionId>,
    /// Nobody is told of it.
    pub(super) hidden: bool,
    /// Where it hears.
    pub(super) link: LinkId,
    pub(super) outbox: Outbox,
    /// Has packets that wait for the tick.
    pub(super) waits: bool,
}

/// Who came and went since links were told.
pub(super) struct News {
    pub(super) joined: Arc<[(Alias, Sender)]>,
    pub(super) left: Arc<[Alias]>,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.by_alias.len()
    }

    /// The seat of a sender, if it has one.
    pub(super) fn alias_of(&self, sender: &Sender) -> Option<Alias> {
        self.aliases.get(sender).copied()
    }

    pub(super) fn one(&self, alias: Alias) -> Option<&Member> {
        self.by_alias.get(&alias)
    }

    pub(super) fn one_mut(&mut self, alias: Alias) -> Option<&mut Member> {
        self.by_alias.get_mut(&alias)
    }

    /// The member, if what comes through the line of `link` may be its.
    pub(super) fn speaking(&mut self, link: LinkId, alias: Alias) -> Option<&mut Member> {
        let former = self.former.get(&link) == Some(&alias);
        self.by_alias.get_mut(&alias).filter(|member| former || member.link == link)
    }

    /// Everybody whom a link may see, in order of joining: of the hidden, only its own.
    pub(super) fn seen_by(&self, own: Option<Alias>) -> Arc<[(Alias, Sender)]> {
        let seen = self.by_alias.iter().filter(|(alias, member)| !member.hidden || Some(**alias) == own);
        seen.map(|(alias, member)| (*alias, member.sender.clone())).collect()
    }

    /// Whether only its own link may see a member.
    pub(super) fn is_hidden(&self, alias: Alias) -> bool {
        self.one(alias).is_some_and(|member| member.hidden)
    }

    /// Everybody behind a link.
    pub(super) fn behind(&self, link: LinkId) -> Vec<Alias> {
        self.by_alias.iter().filter(|(_, member)| member.link == link).map(|(alias, _)| *alias).collect()
    }

    /// Whether links have yet to be told of this member.
    pub(super) fn is_new(&self, alias: Alias) -> bool {
        self.joined.contains(&alias)
    }

    /// Whether links have yet to be told who came or went.
    pub(super) fn has_news(&self) -> bool {
        !self.joined.is_empty() || !self.left.is_empty()
    }

    /// Who came and went since the last call, if anybody did.
    pub(super) fn take_news(&mut self) -> Option<News> {
        if !self.has_news() {
            return None;
        }
        let joined = std::mem::take(&mut self.joined).into_iter();
        let joined = joined.filter_map(|alias| self.one(alias).map(|member| (alias, member.sender.clone()))).collect();
        Some(News { joined, left: std::mem::take(&mut self.left).into() })
    }

    pub(super) fn seat(&mut self, link: LinkId, Newcomer { sender, session, hidden }: Newcomer) -> Alias {
        let alias = self.reserve();
        self.aliases.insert(sender.clone(), alias);
        self.by_alias.insert(alias, Member { sender, session, hidden, link, outbox: Outbox::new(), waits: false });
        if !hidden {
            self.joined.push(alias);
        }
        self.note(alias);
        alias
    }

    /// Takes a seat away, from the lines of its former links, too. The link where it heard.
    pub(super) fn unseat(&mut self, alias: Alias) -> Option<LinkId> {
        let member = self.by_alias.remove(&alias)?;
        if let Some(visits) = &mut self.visits {
            let (sender, hidden) = (member.sender.clone(), member.hidden);
            visits.push(Visit { alias, sender, hidden, came: false });
        }
        self.aliases.remove(&member.sender);
        self.former.retain(|_, seat| *seat != alias);
        // Somebody nobody heard of yet need not be taken back.
        match self.joined.iter().position(|joined| *joined == alias) {
            Some(at) => drop(self.joined.remove(at)),
            None if member.hidden => {}
            None => self.left.push(alias),
        }
        Some(member.link)
    }

    /// A number that no member has, nor will have.
    pub(super) fn reserve(&mut self) -> Alias {
        let alias = Alias(self.next_alias);
        self.next_alias += 1;
        alias
    }

    /// Everybody, in order of joining.
    pub(super) fn aliases(&self) -> Vec<Alias> {
        self.by_alias.keys().copied().collect()
    }

    /// Notes from now on who comes and goes.
    pub(super) fn note_visits(&mut self) {
        if self.visits.is_none() {
            self.visits = Some(Vec::new());
            self.aliases().into_iter().for_each(|alias| self.note(alias));
        }
    }

    /// Who came and went since the last call.
    pub(super) fn take_visits(&mut self) -> Vec<Visit> {
        self.visits.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note(&mut self, alias: Alias) {
        if let (Some(visits), Some(member)) = (&mut self.visits, self.by_alias.get(&alias)) {
            let (sender, hidden) = (member.sender.clone(), member.hidden);
            visits.push(Visit { alias, sender, hidden, came: true });
        }
    }

    /// Moves a seat to another link. The line of the one it had, which is returned, may still speak for it.
    pub(super) fn reseat(&mut self, alias: Alias, link: LinkId) -> Option<LinkId> {
        let member = self.by_alias.get_mut(&alias)?;
        let former = std::mem::replace(&mut member.link, link);
        self.former.insert(former, alias);
        Some(former)
    }

    /// The line of a link has ended: nothing more comes through it.
    pub(super) fn line_ended(&mut self, link: LinkId) {
        self.former.remove(&link);
    }

    #[cfg(test)]
    pub(super) fn is_without_former_lines(&self) -> bool {
        self.former.is_empty()
    }
}
