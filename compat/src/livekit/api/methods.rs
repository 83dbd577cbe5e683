//! What may be asked of rooms and participants.

use super::Api;
use super::book::{Found, Seated};
use super::kept::KeepError;
use super::twirp::{Code, TwirpError};
use crate::livekit::data::{SERVER, as_here, sid};
use crate::livekit::notice::Notice;
use crate::livekit::profile::{MAX_NAME, Profile, TooLarge};
use atoll_core::auth::LivekitCaller;
use atoll_core::room::{CloseReason, Delivery, Outgoing, RoomId};
use bytes::Bytes;
use livekit_protocol::data_packet::Kind;
use livekit_protocol::{
    CreateRoomRequest, DeleteRoomRequest, DeleteRoomResponse, ListParticipantsRequest, ListParticipantsResponse,
    ListRoomsRequest, ListRoomsResponse, ParticipantInfo, RemoveParticipantResponse, Room, RoomParticipantIdentity,
    SendDataRequest, SendDataResponse, UpdateParticipantRequest, UpdateRoomMetadataRequest,
};
use std::collections::HashSet;

/// Largest data, in bytes: with what is around it, it fits a message of a data channel.
const MAX_DATA: usize = 64_000;

/// One call, of somebody who may this or that.
pub(super) struct Methods<'a> {
    pub(super) api: &'a Api,
    pub(super) caller: LivekitCaller,
}

impl Methods<'_> {
    pub(super) fn list_rooms(&self, request: ListRoomsRequest) -> Result<ListRoomsResponse, TwirpError> {
        allow(self.caller.may_list(), "roomList")?;
        Ok(ListRoomsResponse { rooms: self.api.book.list(&request.names) })
    }

    pub(super) fn create_room(&self, request: CreateRoomRequest) -> Result<Room, TwirpError> {
        allow(self.caller.may_create(), "roomCreate")?;
        let room = self.room_named(&request.name)?;
        let told = !request.metadata.is_empty();
        let (made, tag) = self.api.book.create(room, request)?;
        if let Some(room) = tag.filter(|_| told).and_then(|tag| self.api.rooms.at(tag)) {
            room.tell_all(&Notice::Room);
        }
        Ok(made)
    }

    pub(super) async fn delete_room(&self, request: DeleteRoomRequest) -> Result<DeleteRoomResponse, TwirpError> {
        allow(self.caller.may_create(), "roomCreate")?;
        let Found { room, tag } = self.find(&request.room)?;
        self.api.book.delete(&room);
        if let Some(tag) = tag {
            self.api.region.dismiss(&room, tag, None, CloseReason::Deleted).await;
        }
        Ok(DeleteRoomResponse {})
    }

    pub(super) fn list_participants(
        &self,
        request: ListParticipantsRequest,
    ) -> Result<ListParticipantsResponse, TwirpError> {
        self.govern(&request.room)?;
        let found = self.find(&request.room)?;
        let participants = self.api.book.seated(&found).iter().map(|seated| self.info(seated)).collect();
        Ok(ListParticipantsResponse { participants })
    }

    pub(super) fn participant(&self, request: RoomParticipantIdentity) -> Result<ParticipantInfo, TwirpError> {
        self.govern(&request.room)?;
        Ok(self.info(&self.one(&request.room, &request.identity)?))
    }

    pub(super) async fn remove_participant(
        &self,
        request: RoomParticipantIdentity,
    ) -> Result<RemoveParticipantResponse, TwirpError> {
        self.govern(&request.room)?;
        let Seated { room, tag, alias, .. } = self.one(&request.room, &request.identity)?;
        match self.api.region.dismiss(&room, tag, Some(vec![alias]), CloseReason::Removed).await {
            0 => Err(nobody(&request.identity)),
            _ => Ok(RemoveParticipantResponse {}),
        }
    }

    pub(super) fn update_participant(&self, request: UpdateParticipantRequest) -> Result<ParticipantInfo, TwirpError> {
        self.govern(&request.room)?;
        let UpdateParticipantRequest { room, identity, metadata, permission, name, attributes } = request;
        let seated = self.one(&room, &identity)?;
        let change = move |info: &mut ParticipantInfo| {
            Profile { name, metadata, attributes }.apply(info).map_err(too_large)?;
            if let Some(mut permission) = permission {
                // Who is in no list has a seat that is in none.
                permission.hidden = info.permission.as_ref().is_some_and(|known| known.hidden);
                info.permission = Some(permission);
            }
            Ok::<(), TwirpError>(())
        };
        let at = self.api.rooms.at(seated.tag);
        let Some(changed) = at.and_then(|room| room.govern(seated.alias, change)) else {
            let message = format!("{identity} is there by another door than LiveKit's, which has no such things");
            return Err(Code::FailedPrecondition.error(message));
        };
        let changed = changed?;
        self.api.book.describe(seated.tag, seated.alias, &changed);
        Ok(changed)
    }

    pub(super) fn update_room_metadata(&self, request: UpdateRoomMetadataRequest) -> Result<Room, TwirpError> {
        self.govern(&request.room)?;
        let found = self.find(&request.room)?;
        let room = self.api.book.set_metadata(&found, request.metadata)?;
        if let Some(room) = found.tag.and_then(|tag| self.api.rooms.at(tag)) {
            room.tell_all(&Notice::Room);
        }
        Ok(room)
    }

    pub(super) async fn send_data(&self, request: SendDataRequest) -> Result<SendDataResponse, TwirpError> {
        self.govern(&request.room)?;
        if request.data.len() > MAX_DATA {
            return Err(Code::InvalidArgument.error(format!("data above {MAX_DATA} bytes")));
        }
        let found = self.find(&request.room)?;
        let is_reliable = request.kind() == Kind::Reliable;
        #[allow(deprecated, reason = "programs before 2023 write them")]
        let SendDataRequest { data, destination_sids, destination_identities, topic, .. } = request;
        let to: Vec<String> = destination_identities.into_iter().map(as_here).chain(destination_sids).collect();
        let payload = Bytes::from(data);
        let delivery = if is_reliable { Delivery::Ordered } else { Delivery::unreliable(&payload) };
        let mut said = Outgoing::from(payload);
        if let Some(topic) = topic.filter(|topic| !topic.is_empty()) {
            if topic.len() > MAX_NAME {
                return Err(Code::InvalidArgument.error(format!("a topic above {MAX_NAME} bytes")));
            }
            said = said.about(topic);
        }
        if !to.is_empty() {
            let to: HashSet<&str> = to.iter().map(String::as_str).collect();
            let is_meant = |seated: &Seated| {
                to.contains(seated.sender.to_string().as_str())
                    || to.contains(sid(seated.alias, &seated.sender).as_str())
            };
            let seated = self.api.book.seated(&found);
            let members: Vec<_> = seated.iter().filter(|seated| is_meant(seated)).map(|seated| seated.alias).collect();
            said = said.to(members);
        }
        // Nobody is in a room that was only made so far.
        if let Some(tag) = found.tag {
            let announced = self.api.region.announce(&found.room, tag, SERVER, delivery, said).await;
            announced.map_err(|error| Code::Unavailable.error(error.to_string()))?;
        }
        Ok(SendDataResponse {})
    }

    fn govern(&self, room: &str) -> Result<(), TwirpError> {
        allow(self.caller.governs(room), "roomAdmin of this room")
    }

    fn room_named(&self, name: &str) -> Result<RoomId, TwirpError> {
        self.api.region.room_named(name).ok_or_else(|| Code::InvalidArgument.error("no room may be called so"))
    }

    fn find(&self, name: &str) -> Result<Found, TwirpError> {
        let missing = || Code::NotFound.error("requested room does not exist");
        let room = self.api.region.room_named(name).ok_or_else(missing)?;
        // A rule may fit the name of an island, which is another room.
        let found = [room, RoomId::new(name)].into_iter().find_map(|room| self.api.book.find(room));
        found.ok_or_else(missing)
    }

    fn one(&self, room: &str, identity: &str) -> Result<Seated, TwirpError> {
        let found = self.find(room)?;
        let named = as_here(identity.to_owned());
        let seated = self.api.book.seated(&found).into_iter().find(|seated| seated.sender.to_string() == named);
        seated.ok_or_else(|| nobody(identity))
    }

    /// What is known of a participant.
    fn info(&self, seated: &Seated) -> ParticipantInfo {
        let at = self.api.rooms.at(seated.tag);
        let known = at.and_then(|room| room.known(seated.alias));
        known.unwrap_or_else(|| seated.described())
    }
}

impl From<KeepError> for TwirpError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::TooLarge => Code::InvalidArgument.error(error.to_string()),
            KeepError::Full => Code::ResourceExhausted.error(error.to_string()),
        }
    }
}

fn allow(is_allowed: bool, grant: &str) -> Result<(), TwirpError> {
    let denied = || Code::PermissionDenied.error(format!("permissions denied: the token does not grant {grant}"));
    is_allowed.then_some(()).ok_or_else(denied)
}

fn nobody(identity: &str) -> TwirpError {
    Code::NotFound.error(format!("participant {identity} does not exist"))
}

fn too_large(error: TooLarge) -> TwirpError {
    Code::InvalidArgument.error(error.to_string())
}
