//! What clients of this door know of each other beside what their room knows: names, tracks, who speaks.

mod governed;

use super::data::sid;
use super::mailbox::{Mail, Mailbox};
use super::notice::Notice;
use atoll_core::room::Sender;
use atoll_proto::datagram::{Alias, Tag};
use livekit_protocol::participant_info::State;
use livekit_protocol::{ParticipantInfo, ParticipantPermission, TrackInfo};
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
        info: ParticipantInfo,
    ) -> Place {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut by_tag = self.by_tag.lock().unwrap_or_else(PoisonError::into_inner);
        let room = Arc::clone(by_tag.entry(tag).or_default());
        room.lock().insert(alias, Member { number, mailbox, info: Arc::new(info) });
        drop(by_tag);
        let place = Place { rooms: Arc::clone(self), room, tag, alias, number };
        place.tell(|_| true, &Notice::Changed(alias));
        place
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

    /// Changes what is known of the participant, and tells the others.
    pub(super) fn change(&self, change: impl FnOnce(&mut ParticipantInfo)) {
        let mut members = self.room.lock();
        let Some(member) = members.get_mut(&self.alias).filter(|member| member.number == self.number) else { return };
        let info = Arc::make_mut(&mut member.info);
        change(info);
        info.version += 1;
        drop(members);
        self.tell(|_| true, &Notice::Changed(self.alias));
    }

    /// What is known of the participant.
    pub(super) fn info(&self) -> Option<Arc<ParticipantInfo>> {
        self.room.lock().get(&self.alias).map(|member| Arc::clone(&member.info))
    }

    /// Tells the others that `chosen` picks by their identities. What may be lost waits with media.
    pub(super) fn tell(&self, chosen: impl Fn(&str) -> bool, notice: &Notice) {
        let others: Vec<Arc<Mailbox>> = {
            let members = self.room.lock();
            let others =
                members.iter().filter(|(alias, member)| **alias != self.alias && chosen(&member.info.identity));
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
