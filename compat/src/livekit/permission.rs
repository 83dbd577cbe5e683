//! What a participant may, once a program has changed it.

use super::participant::Participant;
use super::tracks::source;
use atoll_core::auth::LivekitGrants;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{ParticipantInfo, ParticipantPermission, TrackUnpublishedResponse};

impl Participant {
    /// Follows what was changed of it by a program, and tells its client, once that has joined. What it may not do any more ends at once.
    pub(super) fn follow_changes(&mut self) {
        let Some(info) = self.place.info().map(|info| ParticipantInfo::clone(&info)) else { return };
        let token = &mut self.token;
        token.name = info.name.clone();
        token.metadata = Some(info.metadata.clone()).filter(|metadata| !metadata.is_empty());
        token.attributes = info.attributes.clone().into_iter().collect();
        let grants = info.permission.as_ref().map(|permission| granted(permission, &token.grants));
        self.update(vec![info]);
        if let Some(grants) = grants.filter(|grants| *grants != self.token.grants) {
            self.token.grants = grants;
            let grants = &self.token.grants;
            if !grants.can_publish_data {
                self.talk.stop();
            }
            let ended = self.published.revoke(|track| grants.may_publish(source(track)));
            for track_sid in &ended {
                let unpublished = TrackUnpublishedResponse { track_sid: track_sid.clone() };
                self.signals.send(Message::TrackUnpublished(unpublished));
            }
            if !ended.is_empty() {
                self.tell_tracks();
            }
            self.choose_tracks();
        }
        // The client comes back with what it may now.
        if self.has_joined {
            self.refresh();
        }
    }
}

/// What a token would grant for this. As with LiveKit, what is not said is not allowed, but for sources: without any, all are.
fn granted(permission: &ParticipantPermission, before: &LivekitGrants) -> LivekitGrants {
    LivekitGrants {
        can_publish: permission.can_publish,
        can_publish_data: permission.can_publish_data,
        can_subscribe: permission.can_subscribe,
        can_publish_sources: permission.can_publish_sources.iter().map(|track| source(*track)).collect(),
        can_update_own_metadata: permission.can_update_metadata,
        ..before.clone()
    }
}
