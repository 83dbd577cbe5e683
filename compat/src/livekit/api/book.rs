//! Which rooms there are and who is in them, by whatever door: told by the region, seat by seat.

use super::kept::{KeepError, Shelf};
use super::webhooks::Webhooks;
use crate::livekit::data::{room_sid, sid};
use crate::livekit::rooms::described;
use crate::livekit::tracks::opus;
use atoll_core::region::RoomWatch;
use atoll_core::room::{RoomId, Sender, Visit};
use atoll_proto::datagram::{Alias, Tag};
use livekit_protocol::participant_info::State as ParticipantState;
use livekit_protocol::{CreateRoomRequest, ParticipantInfo, Room};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often it is looked which rooms are kept no longer.
const EVERY: Duration = Duration::from_secs(1);

/// The rooms of the region, as programs of LiveKit's API know them.
pub(in crate::livekit) struct Book {
    max_members: u32,
    webhooks: Webhooks,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rooms with somebody in them.
    here: HashMap<Tag, Here>,
    tags: HashMap<RoomId, Tag>,
    kept: Shelf,
    /// What is known of those who are about to sit down by LiveKit's door.
    expected: HashMap<(RoomId, Sender), (u64, ParticipantInfo)>,
    expectations: u64,
}

struct Here {
    room: RoomId,
    /// Milliseconds since 1970.
    since_ms: i64,
    members: BTreeMap<Alias, Present>,
}

struct Present {
    sender: Sender,
    hidden: bool,
    info: ParticipantInfo,
}

/// A room that there is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) room: RoomId,
    /// That of the room with somebody in it.
    pub(super) tag: Option<Tag>,
}

/// Somebody in a room.
#[derive(Debug, Clone)]
pub(super) struct Seated {
    pub(super) room: RoomId,
    pub(super) tag: Tag,
    pub(super) alias: Alias,
    pub(super) sender: Sender,
    info: ParticipantInfo,
}

/// What is known of somebody who is about to sit down; forgotten when it is dropped.
pub(in crate::livekit) struct Expected {
    book: Arc<Book>,
    key: (RoomId, Sender),
    number: u64,
}

impl Book {
    /// An empty one. Rooms have at most so many members.
    pub(in crate::livekit) fn new(max_members: usize, webhooks: Webhooks) -> Arc<Self> {
        let max_members = u32::try_from(max_members).unwrap_or(u32::MAX);
        Arc::new(Self { max_members, webhooks, state: Mutex::default() })
    }

    /// Forgets what is kept no longer, for as long as the book is there.
    pub(in crate::livekit) async fn look_after(book: Weak<Self>) {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(book) = book.upgrade() else { return };
            let overdue = book.lock().kept.overdue(Instant::now());
            overdue.iter().for_each(|room| book.delete(room));
        }
    }

    /// Somebody is about to sit down by LiveKit's door, of whom this is known.
    pub(in crate::livekit) fn expect(
        self: &Arc<Self>,
        room: &RoomId,
        sender: &Sender,
        info: ParticipantInfo,
    ) -> Expected {
        let key = (room.clone(), sender.clone());
        let mut state = self.lock();
        state.expectations += 1;
        let number = state.expectations;
        state.expected.insert(key.clone(), (number, info));
        Expected { book: Arc::clone(self), key, number }
    }

    /// What the API has to say of a room with somebody in it, beside what its participants know.
    pub(in crate::livekit) fn complete(&self, tag: Tag, room: Room) -> Room {
        let state = self.lock();
        let Some(here) = state.here.get(&tag) else { return room };
        let known = self.room(&state, &here.room);
        Room { num_participants: room.num_participants, max_participants: room.max_participants, ..known }
    }

    /// All rooms, or those of these names.
    pub(super) fn list(&self, names: &[String]) -> Vec<Room> {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let state = self.lock();
        let only_kept = state.kept.rooms().filter(|room| !state.tags.contains_key(*room));
        let all = state.tags.keys().chain(only_kept);
        let wanted = all.filter(|room| names.is_empty() || names.contains(room.as_str()));
        let mut rooms: Vec<Room> = wanted.map(|room| self.room(&state, room)).collect();
        rooms.sort_by(|a, b| a.name.cmp(&b.name));
        rooms
    }

    /// The room, if there is one.
    pub(super) fn find(&self, room: RoomId) -> Option<Found> {
        let state = self.lock();
        let tag = state.tags.get(&room).copied();
        (tag.is_some() || state.kept.one(&room).is_some()).then_some(Found { room, tag })
    }

    /// Who is there, in order of coming.
    pub(super) fn seated(&self, found: &Found) -> Vec<Seated> {
        let state = self.lock();
        let here = found.tag.and_then(|tag| state.here.get(&tag).map(|here| (tag, here)));
        let seated = here.iter().flat_map(|(tag, here)| {
            here.members.iter().map(|(alias, present)| Seated {
                room: here.room.clone(),
                tag: *tag,
                alias: *alias,
                sender: present.sender.clone(),
                info: present.info.clone(),
            })
        });
        seated.collect()
    }

    /// Sees to it that there is a room, with what the program says of it.
    pub(super) fn create(&self, id: RoomId, request: CreateRoomRequest) -> Result<(Room, Option<Tag>), KeepError> {
        let mut state = self.lock();
        let is_new = !state.tags.contains_key(&id) && state.kept.one(&id).is_none();
        let present = state.present(&id);
        state.kept.keep(&id, present, request, (Instant::now(), unix_ms()))?;
        let room = self.room(&state, &id);
        if is_new {
            self.webhooks.room("room_started", || room.clone());
        }
        Ok((room, state.tags.get(&id).copied()))
    }

    /// Keeps the metadata of a room.
    pub(super) fn set_metadata(&self, found: &Found, metadata: String) -> Result<Room, KeepError> {
        let mut state = self.lock();
        let present = state.present(&found.room);
        state.kept.set_metadata(&found.room, present, metadata, (Instant::now(), unix_ms()))?;
        Ok(self.room(&state, &found.room))
    }

    /// Keeps nothing of a room any more. It has ended if nobody is there.
    pub(super) fn delete(&self, room: &RoomId) {
        let mut state = self.lock();
        let ended = self.room(&state, room);
        if state.kept.drop(room) && !state.tags.contains_key(room) {
            self.webhooks.room("room_finished", || ended);
        }
    }

    /// What is known of a participant has changed.
    pub(super) fn describe(&self, tag: Tag, alias: Alias, info: &ParticipantInfo) {
        let mut state = self.lock();
        let present = state.here.get_mut(&tag).and_then(|here| here.members.get_mut(&alias));
        if let Some(present) = present {
            present.info = info.clone();
        }
    }

    fn room(&self, state: &State, id: &RoomId) -> Room {
        let kept = state.kept.one(id);
        let here = state.tags.get(id).and_then(|tag| state.here.get(tag));
        let (sid, created_ms) = match kept {
            Some(kept) => (kept.sid.clone(), kept.created_ms),
            None => state.present(id).unwrap_or_default(),
        };
        Room {
            sid,
            name: id.as_str().to_owned(),
            metadata: kept.map(|kept| kept.metadata.clone()).unwrap_or_default(),
            empty_timeout: kept.map_or(0, |kept| kept.empty_timeout),
            departure_timeout: kept.map_or(0, |kept| kept.departure_timeout),
            // What holds, whatever a program asked for.
            max_participants: self.max_members,
            creation_time: created_ms / 1000,
            creation_time_ms: created_ms,
            enabled_codecs: vec![opus()],
            num_participants: here.map_or(0, Here::seen),
            ..Default::default()
        }
    }

    fn came(&self, state: &mut State, (id, tag): (&RoomId, Tag), visit: &Visit) {
        let Visit { alias, sender, hidden, .. } = visit.clone();
        if let Entry::Vacant(begins) = state.here.entry(tag) {
            begins.insert(Here { room: id.clone(), since_ms: unix_ms(), members: BTreeMap::new() });
            state.tags.insert(id.clone(), tag);
            match state.kept.one(id) {
                Some(_) => state.kept.entered(id),
                None => self.webhooks.room("room_started", || self.room(state, id)),
            }
        }
        let info = match state.expected.remove(&(id.clone(), sender.clone())) {
            Some((_, info)) => ParticipantInfo { sid: sid(alias, &sender), identity: sender.to_string(), ..info },
            None => by_another_door(alias, &sender, hidden),
        };
        if let Some(here) = state.here.get_mut(&tag) {
            here.members.insert(alias, Present { sender, hidden, info: info.clone() });
        }
        if !hidden {
            let info = ParticipantInfo { state: ParticipantState::Active as i32, ..info };
            self.webhooks.participant("participant_joined", || (self.room(state, id), info));
        }
    }

    fn left(&self, state: &mut State, (id, tag): (&RoomId, Tag), visit: &Visit) {
        let gone = state.here.get_mut(&tag).and_then(|here| here.members.remove(&visit.alias));
        if let Some(Present { hidden: false, info, .. }) = gone {
            let info = ParticipantInfo { state: ParticipantState::Disconnected as i32, ..info };
            self.webhooks.participant("participant_left", || (self.room(state, id), info));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomWatch for Book {
    fn visits(&self, room: &RoomId, tag: Tag, visits: &[Visit]) {
        let mut state = self.lock();
        for visit in visits {
            match visit.came {
                true => self.came(&mut state, (room, tag), visit),
                false => self.left(&mut state, (room, tag), visit),
            }
        }
        // Not before the end of them: somebody may take the place of its former self.
        if state.here.get(&tag).is_none_or(|here| !here.members.is_empty()) {
            return;
        }
        let ended = self.room(&state, room);
        state.here.remove(&tag);
        if state.tags.get(room) == Some(&tag) {
            state.tags.remove(room);
        }
        match state.kept.one(room) {
            Some(_) => state.kept.left(room, Instant::now()),
            None => self.webhooks.room("room_finished", || ended),
        }
    }
}

impl State {
    /// The sid and the beginning of a room with somebody in it.
    fn present(&self, room: &RoomId) -> Option<(String, i64)> {
        let tag = self.tags.get(room)?;
        Some((room_sid(*tag), self.here.get(tag)?.since_ms))
    }
}

impl Here {
    /// How many of them others see.
    fn seen(&self) -> u32 {
        self.members.values().filter(|present| !present.hidden).count() as u32
    }
}

impl Seated {
    /// What was known of it when it came.
    pub(super) fn described(&self) -> ParticipantInfo {
        self.info.clone()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut state = self.book.lock();
        if state.expected.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            state.expected.remove(&self.key);
        }
    }
}

fn by_another_door(alias: Alias, sender: &Sender, hidden: bool) -> ParticipantInfo {
    let mut info = described(alias, sender);
    if let Some(permission) = &mut info.permission {
        permission.hidden = hidden;
    }
    let now = unix_ms();
    ParticipantInfo { joined_at: now / 1000, joined_at_ms: now, ..info }
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
