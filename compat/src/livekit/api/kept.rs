//! What was said of rooms by the API. A room is there as long as somebody is in it; what is kept outlives that for a while.

use atoll_core::room::RoomId;
use livekit_protocol::CreateRoomRequest;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Rooms of which something is kept.
const MAX_ROOMS: usize = 1024;

/// Bytes of metadata of all rooms together.
const MAX_BYTES: usize = 16 << 20;

/// Longest metadata of a room, in bytes: LiveKit's own limit.
const MAX_METADATA: usize = 64 * 1024;

/// Seconds that a room is kept which nobody has entered, and which everybody has left, where the program does not say: LiveKit's
/// own figures.
const EMPTY_TIMEOUT: u32 = 300;
const DEPARTURE_TIMEOUT: u32 = 20;

/// Longest time that either may be, in seconds.
const MAX_TIMEOUT: u32 = 24 * 3600;

/// Why nothing was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeepError {
    #[error("metadata above {MAX_METADATA} bytes")]
    TooLarge,
    #[error("there are {MAX_ROOMS} rooms, or {MAX_BYTES} bytes of their metadata, of which something is kept already")]
    Full,
}

/// What is kept of one room.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) sid: String,
    pub(super) metadata: String,
    pub(super) empty_timeout: u32,
    pub(super) departure_timeout: u32,
    /// Milliseconds since 1970.
    pub(super) created_ms: i64,
    /// Until when, if nobody is there.
    pub(super) until: Option<Instant>,
}

/// What is kept of all.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    by_room: HashMap<RoomId, Kept>,
    bytes: usize,
    made: u64,
}

impl Shelf {
    pub(super) fn one(&self, room: &RoomId) -> Option<&Kept> {
        self.by_room.get(room)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.by_room.keys()
    }

    /// Keeps a room; of one that is kept, what the program says is changed. `present` is the sid and the beginning of one where
    /// somebody is.
    pub(super) fn keep(
        &mut self,
        room: &RoomId,
        present: Option<(String, i64)>,
        request: CreateRoomRequest,
        (now, now_ms): (Instant, i64),
    ) -> Result<(), KeepError> {
        let CreateRoomRequest { metadata, empty_timeout, departure_timeout, .. } = request;
        let known = self.by_room.get(room);
        let metadata =
            if metadata.is_empty() { known.map_or(metadata, |kept| kept.metadata.clone()) } else { metadata };
        self.check(room, &metadata)?;
        let or = |seconds: u32, known: Option<u32>, usual| match seconds {
            0 => known.unwrap_or(usual),
            seconds => seconds.min(MAX_TIMEOUT),
        };
        let empty_timeout = or(empty_timeout, known.map(|kept| kept.empty_timeout), EMPTY_TIMEOUT);
        let departure_timeout = or(departure_timeout, known.map(|kept| kept.departure_timeout), DEPARTURE_TIMEOUT);
        let until = present.is_none().then(|| now + Duration::from_secs(empty_timeout.into()));
        let (sid, created_ms) = match (known, present) {
            (Some(kept), _) => (kept.sid.clone(), kept.created_ms),
            (None, Some(present)) => present,
            (None, None) => {
                self.made += 1;
                (format!("RM_{now_ms:x}m{:x}", self.made), now_ms)
            }
        };
        let kept = Kept { sid, metadata, empty_timeout, departure_timeout, created_ms, until };
        self.put(room, kept);
        Ok(())
    }

    /// Keeps the metadata of a room.
    pub(super) fn set_metadata(
        &mut self,
        room: &RoomId,
        present: Option<(String, i64)>,
        metadata: String,
        now: (Instant, i64),
    ) -> Result<(), KeepError> {
        self.check(room, &metadata)?;
        if !self.by_room.contains_key(room) {
            self.keep(room, present, CreateRoomRequest::default(), now)?;
        }
        if let Some(kept) = self.by_room.get(room).cloned() {
            self.put(room, Kept { metadata, ..kept });
        }
        Ok(())
    }

    /// Somebody is there.
    pub(super) fn entered(&mut self, room: &RoomId) {
        if let Some(kept) = self.by_room.get_mut(room) {
            kept.until = None;
        }
    }

    /// Nobody is there any more.
    pub(super) fn left(&mut self, room: &RoomId, now: Instant) {
        if let Some(kept) = self.by_room.get_mut(room) {
            kept.until = Some(now + Duration::from_secs(kept.departure_timeout.into()));
        }
    }

    /// Keeps nothing of it any more. False when nothing was.
    pub(super) fn drop(&mut self, room: &RoomId) -> bool {
        let dropped = self.by_room.remove(room);
        self.bytes -= dropped.as_ref().map_or(0, |kept| kept.metadata.len());
        dropped.is_some()
    }

    /// The rooms whose time is over.
    pub(super) fn overdue(&self, now: Instant) -> Vec<RoomId> {
        let is_over = |kept: &Kept| kept.until.is_some_and(|until| until <= now);
        self.by_room.iter().filter(|(_, kept)| is_over(kept)).map(|(room, _)| room.clone()).collect()
    }

    fn check(&self, room: &RoomId, metadata: &str) -> Result<(), KeepError> {
        let known = self.by_room.get(room);
        if metadata.len() > MAX_METADATA {
            return Err(KeepError::TooLarge);
        }
        let bytes = self.bytes + metadata.len() - known.map_or(0, |kept| kept.metadata.len());
        let is_full = (known.is_none() && self.by_room.len() >= MAX_ROOMS) || bytes > MAX_BYTES;
        if is_full { Err(KeepError::Full) } else { Ok(()) }
    }

    fn put(&mut self, room: &RoomId, kept: Kept) {
        self.bytes += kept.metadata.len();
        let former = self.by_room.insert(room.clone(), kept);
        self.bytes -= former.map_or(0, |former| former.metadata.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(metadata: &str) -> CreateRoomRequest {
        CreateRoomRequest { metadata: metadata.to_owned(), ..Default::default() }
    }

    #[test]
    fn what_is_kept_ends_some_time_after_the_room_is_empty() {
        let (mut shelf, now, room) = (Shelf::default(), Instant::now(), RoomId::named("r"));
        let after = |seconds| now + Duration::from_secs(seconds);
        shelf.keep(&room, None, request("one"), (now, 5)).unwrap();
        assert_eq!((shelf.overdue(after(299)).len(), shelf.overdue(after(300)).len()), (0, 1), "nobody came");
        shelf.entered(&room);
        assert!(shelf.overdue(after(9999)).is_empty());
        shelf.keep(&room, Some(("RM_1".to_owned(), 6)), request(""), (now, 7)).unwrap();
        let kept = shelf.one(&room).unwrap();
        assert_eq!((kept.metadata.as_str(), kept.created_ms, kept.sid.as_str()), ("one", 5, "RM_5m1"));
        shelf.left(&room, after(1000));
        assert_eq!((shelf.overdue(after(1019)).len(), shelf.overdue(after(1020))), (0, vec![room.clone()]));
        assert!(shelf.drop(&room) && !shelf.drop(&room));
        assert_eq!(shelf.bytes, 0);
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let (mut shelf, now) = (Shelf::default(), (Instant::now(), 0));
        let name = |number: usize| RoomId::named(&format!("r{number}"));
        assert_eq!(shelf.keep(&name(0), None, request(&"x".repeat(MAX_METADATA + 1)), now), Err(KeepError::TooLarge));
        let large = "x".repeat(MAX_METADATA);
        let fit = MAX_BYTES / MAX_METADATA;
        for number in 0..fit {
            shelf.keep(&name(number), None, request(&large), now).unwrap();
        }
        assert_eq!(shelf.keep(&name(fit), None, request("x"), now), Err(KeepError::Full));
        shelf.set_metadata(&name(0), None, String::new(), now).unwrap();
        for number in fit..MAX_ROOMS {
            shelf.keep(&name(number), None, request("x"), now).unwrap();
        }
        assert_eq!(shelf.set_metadata(&name(MAX_ROOMS), None, String::new(), now), Err(KeepError::Full));
        assert!(shelf.set_metadata(&name(1), None, "shorter".to_owned(), now).is_ok());
    }
}
