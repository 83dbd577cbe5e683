//! What a room says to many links, encoded once for all that want it in the same way.

use super::payload::{Older, Payload, for_older};
use super::{Sender, WEBTRANSPORT_PREFIX};
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, encode_chunks};
use atoll_proto::room_frames::{Frames, FramesWriter, put_identity_message, put_peer_update, put_system_message};
use atoll_proto::{PacketKind, peek};
use bytes::Bytes;
use std::sync::OnceLock;

/// Bytes of a frame around a packet: two headers, an alias and a flag.
const FRAME_OVERHEAD: usize = 24;

/// How a link wants a batch encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Datagrams of `atoll/1`, each behind [`WEBTRANSPORT_PREFIX`]; raw QUIC sends what follows the prefix.
    WebTransport,
}

/// The news of one tick of a room, or one voice frame, shared by all links.
#[derive(Debug)]
pub struct Batch {
    tag: Tag,
    entries: Vec<Entry>,
    /// What older clients said, in its order among `entries`.
    older: Vec<OlderEntry>,
    webtransport: OnceLock<Vec<Bytes>>,
    rfc5: OnceLock<Frames>,
    first: OnceLock<FirstFrames>,
}

/// What an older client said, in a batch.
#[derive(Debug)]
struct OlderEntry {
    /// Which entry stands behind it, or is its translation.
    at: usize,
    is_translated: bool,
    alias: Alias,
    kind: Kind,
    data: Bytes,
}

/// Frames of the first generation of WebSocket rooms.
#[derive(Debug, Default)]
pub struct FirstFrames {
    /// The frames.
    pub frames: Frames,
    /// Packets that its readers have no words for.
    pub untranslated: u64,
}

impl Batch {
    pub(super) fn new(tag: Tag) -> Self {
        Self {
            tag,
            entries: Vec::new(),
            older: Vec::new(),
            webtransport: OnceLock::new(),
            rfc5: OnceLock::new(),
            first: OnceLock::new(),
        }
    }

    pub(super) fn push(&mut self, alias: Alias, kind: Kind, sequence: Sequence, payload: Payload) {
        let is_translated = payload.rfc4().is_some();
        if let Some(Older { data, .. }) = payload.older() {
            self.older.push(OlderEntry { at: self.entries.len(), is_translated, alias, kind, data: data.clone() });
        }
        if let Some(payload) = payload.rfc4().cloned() {
            self.entries.push(Entry { alias, kind, sequence, payload });
        }
    }

    /// The room's tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Every sender's news, in order of arrival of each sender's first. A receiver skips its own alias.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Who has news in it, once for each of them, for readers of any generation.
    pub(super) fn senders(&self) -> impl Iterator<Item = Alias> {
        let untranslated = self.older.iter().filter(|older| !older.is_translated);
        self.entries.iter().map(|entry| entry.alias).chain(untranslated.map(|older| older.alias))
    }

    /// The batch in bytes, encoded once however many links ask.
    pub fn encoded(&self, format: Format) -> &[Bytes] {
        match format {
            Format::WebTransport => {
                self.webtransport.get_or_init(|| encode_chunks(&WEBTRANSPORT_PREFIX, self.tag, &self.entries))
            }
        }
    }

    /// The batch in WebSocket frames of RFC-5, encoded once however many links ask.
    pub fn rfc5(&self) -> &Frames {
        self.rfc5.get_or_init(|| {
            let mut writer = FramesWriter::with_capacity(size(&self.entries));
            for Entry { alias, kind, payload, .. } in &self.entries {
                writer.add(*alias, update(*kind, payload), |out| put_peer_update(*alias, payload, true, out));
            }
            writer.finish()
        })
    }

    /// The batch in WebSocket frames of the first generation, encoded once however many links ask. The first to ask says
    /// what time it is, in milliseconds since 1970: translated packets have none of their own.
    pub fn first(&self, unix_ms: impl FnOnce() -> u64) -> &FirstFrames {
        self.first.get_or_init(|| {
            let unix_ms = unix_ms();
            let mut untranslated = 0;
            let mut writer = FramesWriter::with_capacity(size(&self.entries));
            let mut older = self.older.iter().peekable();
            let mut put = |alias: Alias, kind: Kind, data: &[u8]| {
                writer.add(alias, update(kind, data), |out| put_system_message(alias, data, out));
            };
            for (at, Entry { alias, kind, payload, .. }) in self.entries.iter().enumerate() {
                let mut is_original = false;
                while let Some(said) = older.next_if(|older| older.at <= at) {
                    put(said.alias, said.kind, &said.data);
                    is_original |= said.is_translated;
                }
                if is_original {
                    continue;
                }
                match for_older(payload, *alias, unix_ms) {
                    Some(data) => put(*alias, *kind, &data),
                    None => untranslated += 1,
                }
            }
            older.for_each(|said| put(said.alias, said.kind, &said.data));
            FirstFrames { frames: writer.finish(), untranslated }
        })
    }
}

/// What an entry replaces, if it is an update.
fn update(kind: Kind, packet: &[u8]) -> Option<PacketKind> {
    (kind == Kind::Update).then(|| peek(packet).kind)
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.payload.len() + FRAME_OVERHEAD).sum()
}

/// A packet of which none may be lost, shared by all links.
#[derive(Debug)]
pub struct Ordered {
    /// Who sent it.
    pub from: Alias,
    /// The same in full: the alias may have been given up by the time a receiver has it.
    pub sender: Sender,
    payload: Payload,
    rfc5: OnceLock<Bytes>,
    first: OnceLock<Option<Bytes>>,
}

impl Ordered {
    pub(super) fn new(from: Alias, sender: Sender, payload: Payload) -> Self {
        Self { from, sender, payload, rfc5: OnceLock::new(), first: OnceLock::new() }
    }

    /// The comms packet, at most [`MAX_ORDERED_PAYLOAD`](super::MAX_ORDERED_PAYLOAD) bytes; `None` when only clients of
    /// 2022's summer have words for it.
    pub fn payload(&self) -> Option<&Bytes> {
        self.payload.rfc4()
    }

    /// It as a WebSocket frame of RFC-5, encoded once however many links ask.
    pub fn rfc5(&self) -> Option<&Bytes> {
        let packet = self.payload.rfc4()?;
        let frame = self.rfc5.get_or_init(|| one_frame(packet, |out| put_peer_update(self.from, packet, false, out)));
        Some(frame)
    }

    /// It as a WebSocket frame of the first generation, likewise, as [`Batch::first`] is. `None` when its readers have no
    /// words for it.
    pub fn first(&self, unix_ms: impl FnOnce() -> u64) -> Option<&Bytes> {
        let frame = self.first.get_or_init(|| {
            if let Some(Older { data, with_identity }) = self.payload.older() {
                return Some(one_frame(data, |out| match with_identity {
                    true => put_identity_message(self.from, &self.sender.to_string(), data, out),
                    false => put_system_message(self.from, data, out),
                }));
            }
            let data = for_older(self.payload.rfc4()?, self.from, unix_ms())?;
            Some(one_frame(&data, |out| put_system_message(self.from, &data, out)))
        });
        frame.as_ref()
    }
}

fn one_frame(packet: &[u8], put: impl FnOnce(&mut bytes::BytesMut)) -> Bytes {
    let mut out = bytes::BytesMut::with_capacity(packet.len() + FRAME_OVERHEAD);
    put(&mut out);
    out.freeze()
}
