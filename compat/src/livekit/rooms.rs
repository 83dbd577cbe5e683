//! What clients of this door know of each other beside what their room knows: names, tracks, who speaks.

mod governed;

use super::data::sid;
use super::mailbox::{Mail, Mailbox};
use super::notice::Notice;
use super::quality::score;
use atoll_core::room::Sender;
use atoll_proto::datagram::{Alias, Tag};
use livekit_protocol::participant_info::State;
use livekit_protocol::{ConnectionQuality, ConnectionQualityInfo, ParticipantInfo, ParticipantPermission, TrackInfo};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rooms with clients of this door.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    by_tag: Mutex<HashMap<Tag, Arc<Room>>>,
    numbers: AtomicU64,
}

/// The clients of this door in one room.
#[derive(Debug, Default)]
pub(super) struct Room {
    members: Mutex<BTreeMap<Alias, Member>>,
}

#[derive(Debug, Clone)]
struct Member {
    /// Which connection's it is: the seat of a participant may be taken over.
    number: u64,
    mailbox: Arc<Mailbox>,
    info: Arc<ParticipantInfo>,
    /// How well its connection does, once it stands.
    quality: Option<ConnectionQuality>,
}

/// A participant's place among them; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    rooms: Arc<Rooms>,
    room: Arc<Room>,
    tag: Tag,
    alias: Alias,
    number: u64,
}

impl Rooms {
    /// Puts a participant among the others of its room. Whoever had its seat before is not there any more.
    pub(super) fn enter(
        self: &Arc<Self>,
        tag: Tag,
        alias: Alias,
        mailbox: Arc<Mailbox>,
        mut info: ParticipantInfo,
    ) -> Place {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut by_tag = self.by_tag.lock().unwrap_or_else(PoisonError::into_inner);
        let room = Arc::clone(by_tag.entry(tag).or_default());
        let mut members = room.lock();
        if let Some(former) = members.get(&alias) {
            // Of the same sid, clients pass over what is older than what they know.
            info.version = former.info.version + 1;
        }
        members.insert(alias, Member { number, mailbox, info: Arc::new(info), quality: None });
        drop(members);
        drop(by_tag);
        let place = Place { rooms: Arc::clone(self), room, tag, alias, number };
        place.tell(&Notice::Changed(alias));
        place
    }
}

impl Member {
    fn is_hidden(&self) -> bool {
        self.info.permission.as_ref().is_some_and(|permission| permission.hidden)
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Alias, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a member: all of one that came by this door, the name of any other.
    pub(super) fn info(&self, alias: Alias, sender: &Sender) -> ParticipantInfo {
        match self.lock().get(&alias) {
            Some(member) => ParticipantInfo::clone(&member.info),
            None => described(alias, sender),
        }
    }

    /// Tells others than `from`, those that `chosen` picks by their identities. What may be lost waits with media. Of somebody who
    /// is hidden nobody hears how it is.
    pub(super) fn tell(&self, from: Alias, chosen: impl Fn(&str) -> bool, notice: &Notice) {
        let others: Vec<Arc<Mailbox>> = {
            let members = self.lock();
            let is_about_it = matches!(notice, Notice::Changed(_) | Notice::Speaking(_) | Notice::Quality { .. });
            if is_about_it && members.get(&from).is_some_and(Member::is_hidden) {
                return;
            }
            let others = members.iter().filter(|(alias, member)| **alias != from && chosen(&member.info.identity));
            others.map(|(_, member)| Arc::clone(&member.mailbox)).collect()
        };
        for mailbox in others {
            match notice {
                Notice::Media { .. } | Notice::Data { reliable: false, .. } | Notice::Quality { .. } => {
                    mailbox.push_media(notice.clone());
                }
                _ => mailbox.push(Mail::Notice(notice.clone())),
            }
        }
    }

    /// How well the connections of all do who are not hidden.
    pub(super) fn qualities(&self) -> Vec<ConnectionQualityInfo> {
        let members = self.lock();
        let seen = members.values().filter(|member| !member.is_hidden());
        seen.filter_map(|member| Some(described_quality(&member.info.sid, member.quality?))).collect()
    }

    /// Every track, with whose it is.
    pub(super) fn tracks(&self) -> Vec<(Alias, Arc<ParticipantInfo>, TrackInfo)> {
        let members = self.lock();
        let of = |(alias, member): (&Alias, &Member)| {
            let (alias, info) = (*alias, Arc::clone(&member.info));
            member.info.tracks.clone().into_iter().map(move |track| (alias, Arc::clone(&info), track))
        };
        members.iter().flat_map(of).collect()
    }
}

/// What is said of a connection.
pub(super) fn described_quality(sid: &str, quality: ConnectionQuality) -> ConnectionQualityInfo {
    ConnectionQualityInfo { participant_sid: sid.to_owned(), quality: quality as i32, score: score(quality) }
}

/// What is said of a participant that came by another door.
pub(super) fn described(alias: Alias, sender: &Sender) -> ParticipantInfo {
    ParticipantInfo {
        sid: sid(alias, sender),
        identity: sender.to_string(),
        state: State::Active as i32,
        version: 1,
        permission: Some(ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Place {
    /// Which connection's it is.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Changes what is known of the participant, and tells the others; nobody, and false, when nothing has changed.
    pub(super) fn change(&self, change: impl FnOnce(&mut ParticipantInfo)) -> bool {
        let mut members = self.room.lock();
        let Some(member) = members.get_mut(&self.alias).filter(|member| member.number == self.number) else {
            return false;
        };
        let mut info = ParticipantInfo::clone(&member.info);
        change(&mut info);
        if info == *member.info {
            return false;
        }
        info.version += 1;
        member.info = Arc::new(info);
        drop(members);
        self.tell(&Notice::Changed(self.alias));
        true
    }

    /// How well the participant's connection does from now on.
    pub(super) fn does(&self, quality: ConnectionQuality) {
        let mut members = self.room.lock();
        let Some(member) = members.get_mut(&self.alias).filter(|member| member.number == self.number) else { return };
        member.quality = Some(quality);
        let sid = member.info.sid.as_str().into();
        drop(members);
        self.tell(&Notice::Quality { sid, quality });
    }

    /// What is known of the participant.
    pub(super) fn info(&self) -> Option<Arc<ParticipantInfo>> {
        self.room.lock().get(&self.alias).map(|member| Arc::clone(&member.info))
    }

    /// Tells all others.
    pub(super) fn tell(&self, notice: &Notice) {
        self.room.tell(self.alias, |_| true, notice);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_tag = self.rooms.by_tag.lock().unwrap_or_else(PoisonError::into_inner);
        let mut members = self.room.lock();
        if members.get(&self.alias).is_some_and(|member| member.number == self.number) {
            members.remove(&self.alias);
        }
        if members.is_empty() {
            by_tag.remove(&self.tag);
        }
    }
}
