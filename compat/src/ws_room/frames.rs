//! What a room says, as WebSocket frames of each generation, written once for all who read them.

use atoll_core::room::{Batch, Encoding, Item, Ordered};
use atoll_proto::datagram::{Alias, Kind};
use atoll_proto::room_frames::{Frames, FramesWriter, put_identity_message, put_peer_update, put_system_message};
use atoll_proto::translation::{Context, Translation, to_data};
use atoll_proto::{PacketKind, peek};
use bytes::{Bytes, BytesMut};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a frame around a packet: two headers, an alias and a flag.
const FRAME_OVERHEAD: usize = 24;

/// Frames of RFC-5.
#[derive(Debug)]
pub enum Rfc5 {}

/// Frames of the first generation. Translated packets have no time of their own: theirs is that of the first reader who
/// asks for them.
#[derive(Debug)]
pub enum First {}

/// The frames of a batch, in the first generation.
#[derive(Debug, Default)]
pub struct FirstFrames {
    /// The frames.
    pub frames: Frames,
    /// Packets that its readers have no words for.
    pub untranslated: u64,
}

impl Encoding<Batch> for Rfc5 {
    type Output = Frames;

    fn encode(batch: &Batch) -> Frames {
        let mut writer = FramesWriter::with_capacity(size(batch));
        for entry in batch.entries() {
            let (from, packet) = (entry.alias, &entry.payload);
            writer.add(from, update(entry.kind, packet), |out| put_peer_update(from, packet, true, out));
        }
        writer.finish()
    }
}

impl Encoding<Ordered> for Rfc5 {
    /// `None` when its readers have no words for it.
    type Output = Option<Bytes>;

    fn encode(ordered: &Ordered) -> Option<Bytes> {
        let packet = ordered.payload()?;
        Some(one_frame(packet, |out| put_peer_update(ordered.from, packet, false, out)))
    }
}

impl Encoding<Batch> for First {
    type Output = FirstFrames;

    fn encode(batch: &Batch) -> FirstFrames {
        first_frames(batch, unix_ms())
    }
}

impl Encoding<Ordered> for First {
    /// `None` when its readers have no words for it.
    type Output = Option<Bytes>;

    fn encode(ordered: &Ordered) -> Option<Bytes> {
        first_frame(ordered, unix_ms())
    }
}

/// A batch for the first generation, at this time in milliseconds since 1970.
pub fn first_frames(batch: &Batch, unix_ms: u64) -> FirstFrames {
    let mut untranslated = 0;
    let mut writer = FramesWriter::with_capacity(size(batch));
    for Item { from, kind, rfc4, older, .. } in batch.items() {
        let translated = || rfc4.and_then(|packet| translated(packet, from, unix_ms));
        match older.cloned().or_else(translated) {
            Some(data) => writer.add(from, update(kind, &data), |out| put_system_message(from, &data, out)),
            None => untranslated += 1,
        }
    }
    FirstFrames { frames: writer.finish(), untranslated }
}

/// An ordered packet for the first generation, likewise. `None` when its readers have no words for it.
pub fn first_frame(ordered: &Ordered, unix_ms: u64) -> Option<Bytes> {
    let from = ordered.from;
    if let Some(older) = ordered.older() {
        return Some(one_frame(&older.data, |out| match older.with_identity {
            true => put_identity_message(from, &ordered.sender.to_string(), &older.data, out),
            false => put_system_message(from, &older.data, out),
        }));
    }
    let data = translated(ordered.payload()?, from, unix_ms)?;
    Some(one_frame(&data, |out| put_system_message(from, &data, out)))
}

/// An RFC-4 packet for older readers; `None` when they have no words for it.
pub(crate) fn translated(packet: &Bytes, from: Alias, unix_ms: u64) -> Option<Bytes> {
    match to_data(packet, Context { unix_ms, sender: from.0 }) {
        Translation::Packet(data) => Some(data),
        Translation::Unknown => Some(packet.clone()),
        Translation::None => None,
    }
}

/// What a packet replaces, if it is an update.
fn update(kind: Kind, packet: &[u8]) -> Option<PacketKind> {
    (kind == Kind::Update).then(|| peek(packet).kind)
}

fn size(batch: &Batch) -> usize {
    batch.entries().iter().map(|entry| entry.payload.len() + FRAME_OVERHEAD).sum()
}

fn one_frame(packet: &[u8], put: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::with_capacity(packet.len() + FRAME_OVERHEAD);
    put(&mut out);
    out.freeze()
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
