//! What the edge says, looked at where it leaves: before the network has done anything to it.

use super::judge::Shared;
use atoll_proto::atoll::{ServerMessage, server_message};
use atoll_proto::datagram::{Kind, Sequence, Tag, decode_chunk};
use atoll_proto::framing::{MAX_MESSAGE, take_frame};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How late a datagram may leave after the news that its room was left: none waits in a queue of the edge.
const SLACK: Duration = Duration::from_millis(50);

/// Holds one connection's downstream to what the protocol promises.
pub(super) struct Tap {
    judge: Shared,
    control: BytesMut,
    room: Option<(Tag, Instant)>,
    updates: BTreeMap<(Tag, u32), Sequence>,
}

impl Tap {
    pub(super) fn new(judge: Shared) -> Self {
        Self { judge, control: BytesMut::new(), room: None, updates: BTreeMap::new() }
    }

    pub(super) fn control(&mut self, bytes: &Bytes, now: Instant) {
        self.control.extend_from_slice(bytes);
        while let Some(frame) = take_frame(&mut self.control, MAX_MESSAGE).unwrap() {
            let message: ServerMessage = atoll_proto::decode(&frame).unwrap();
            if let Some(server_message::Message::IslandChanged(island)) = message.message {
                self.room = Some((Tag(island.tag), now));
            }
        }
    }

    pub(super) fn datagram(&mut self, bytes: &Bytes, now: Instant) {
        let (tag, entries) = decode_chunk(bytes.clone()).unwrap();
        if let Some((current, since)) = self.room
            && tag != current
            && now > since + SLACK
        {
            self.judge.fail(format!("a datagram of {tag:?} left {:?} after {current:?} was told", now - since));
        }
        for entry in entries {
            let entry = entry.unwrap();
            if entry.kind != Kind::Update {
                continue;
            }
            let before = self.updates.insert((tag, entry.alias.0), entry.sequence);
            if before.is_some_and(|before| !entry.sequence.is_newer_than(before)) {
                self.judge.fail(format!("update {:?} of {:?} left after {before:?}", entry.sequence, entry.alias));
            }
        }
    }
}
