//! What programs change of those who came by this door.

use super::{Mail, Mailbox, Notice, Room, Rooms};
use atoll_proto::datagram::{Alias, Tag};
use livekit_protocol::ParticipantInfo;
use std::sync::{Arc, PoisonError};

impl Rooms {
    /// Those of this door in a room, if there are any.
    pub(in crate::livekit) fn at(&self, tag: Tag) -> Option<Arc<Room>> {
        self.by_tag.lock().unwrap_or_else(PoisonError::into_inner).get(&tag).cloned()
    }
}

impl Room {
    /// What is known of somebody who came by this door.
    pub(in crate::livekit) fn known(&self, alias: Alias) -> Option<ParticipantInfo> {
        self.lock().get(&alias).map(|member| ParticipantInfo::clone(&member.info))
    }

    /// Changes what is known of somebody who came by this door, if it can be so, and tells all of them; itself, too. `None` when it
    /// came by another.
    pub(in crate::livekit) fn govern<E>(
        &self,
        alias: Alias,
        change: impl FnOnce(&mut ParticipantInfo) -> Result<(), E>,
    ) -> Option<Result<ParticipantInfo, E>> {
        let mut members = self.lock();
        let member = members.get_mut(&alias)?;
        let mut info = ParticipantInfo::clone(&member.info);
        if let Err(error) = change(&mut info) {
            return Some(Err(error));
        }
        info.version += 1;
        member.info = Arc::new(info.clone());
        drop(members);
        self.tell_all(&Notice::Changed(alias));
        Some(Ok(info))
    }

    /// Tells everybody who came by this door something that may not be lost.
    pub(in crate::livekit) fn tell_all(&self, notice: &Notice) {
        let all: Vec<Arc<Mailbox>> = self.lock().values().map(|member| Arc::clone(&member.mailbox)).collect();
        all.iter().for_each(|mailbox| mailbox.push(Mail::Notice(notice.clone())));
    }
}
