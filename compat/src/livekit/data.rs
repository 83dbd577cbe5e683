//! Packets of a room as LiveKit's data packets, and back.

use crate::ws_room::frames::{translated, unix_ms};
use atoll_core::room::{Batch, Encoding, Item, Older, Ordered, Payload, Sender};
use atoll_proto::Address;
use atoll_proto::datagram::{Alias, Kind, Tag};
use atoll_proto::peek;
use atoll_proto::room_frames::{Frames, FramesWriter};
use bytes::Bytes;
use livekit_protocol::data_packet::{Kind as DataKind, Value};
use livekit_protocol::{DataPacket, UserPacket};
use prost::Message as _;
use std::sync::Arc;

/// Most addressees of one packet: more than a room has members.
const MAX_ADDRESSEES: usize = 1024;

/// Bytes of a data packet around its payload: identity and sid, twice.
const OVERHEAD: usize = 160;

/// Who it is that speaks to a room by this API, where a transport tells a name. LiveKit's clients are told none, as by LiveKit.
pub(super) const SERVER: &str = "livekit";

/// What a room is called, beside its name.
pub(super) fn room_sid(tag: Tag) -> String {
    format!("RM_{:08x}", tag.0)
}

/// What a participant is called, beside its identity: the same for all who are in the room with it.
pub(super) fn sid(alias: Alias, sender: &Sender) -> String {
    let name = sender.to_string();
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("PA_{:x}{plain}", alias.0)
}

/// An identity as it is here: addresses are in lower case, however they are spelled. Whatever else stays as it is.
pub(super) fn as_here(identity: String) -> String {
    identity.parse().map_or(identity, |address: Address| address.to_string())
}

/// Which of the room's packets a client has words for. LiveKit itself looks into none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// RFC-4, as since October 2022.
    Rfc4,
    /// Those of the summer before.
    Older,
}

/// Data packets with RFC-4 in them.
#[derive(Debug)]
pub(super) enum DataPackets {}

/// Data packets for clients of 2022's summer.
#[derive(Debug)]
pub(super) enum OlderPackets {}

impl Words {
    /// A batch for such a client: a message each, without framing.
    pub(super) fn batch(self, batch: &Batch) -> &Frames {
        match self {
            Self::Rfc4 => batch.encoded::<DataPackets>(),
            Self::Older => batch.encoded::<OlderPackets>(),
        }
    }

    /// An ordered packet for such a client; `None` when it has no words for it.
    pub(super) fn ordered(self, ordered: &Ordered) -> Option<&Bytes> {
        match self {
            Self::Rfc4 => ordered.encoded::<DataPackets>().as_ref(),
            Self::Older => ordered.encoded::<OlderPackets>().as_ref(),
        }
    }

    /// What such a client says.
    pub(super) fn said(self, packet: Bytes) -> Payload {
        match self {
            Self::Rfc4 => packet.into(),
            Self::Older => Older { data: packet, with_identity: false }.into(),
        }
    }
}

impl Encoding<Batch> for DataPackets {
    type Output = Frames;

    fn encode(batch: &Batch) -> Frames {
        written(batch, |item| item.rfc4.cloned())
    }
}

impl Encoding<Ordered> for DataPackets {
    type Output = Option<Bytes>;

    fn encode(ordered: &Ordered) -> Option<Bytes> {
        Some(reliable(ordered, ordered.payload()?))
    }
}

impl Encoding<Batch> for OlderPackets {
    type Output = Frames;

    fn encode(batch: &Batch) -> Frames {
        let now = unix_ms();
        written(batch, |item| {
            item.older.cloned().or_else(|| item.rfc4.and_then(|packet| translated(packet, item.from, now)))
        })
    }
}

impl Encoding<Ordered> for OlderPackets {
    type Output = Option<Bytes>;

    fn encode(ordered: &Ordered) -> Option<Bytes> {
        match ordered.older() {
            Some(older) => Some(reliable(ordered, &older.data)),
            None => Some(reliable(ordered, &translated(ordered.payload()?, ordered.from, unix_ms())?)),
        }
    }
}

fn written(batch: &Batch, words: impl Fn(&Item<'_>) -> Option<Bytes>) -> Frames {
    let size = batch.entries().iter().map(|entry| entry.payload.len() + OVERHEAD).sum();
    let mut writer = FramesWriter::with_capacity(size);
    for item in batch.items() {
        let (Some(sender), Some(payload)) = (batch.sender(item.from), words(&item)) else { continue };
        // What is for some, or about something, is no place that a later one replaces.
        let is_plain = batch.to().is_none() && item.topic.is_none();
        let update = (item.kind == Kind::Update && is_plain).then(|| peek(&payload).kind);
        let packet = Said { from: item.from, sender, payload: &payload, topic: item.topic }.packet(DataKind::Lossy);
        writer.add(item.from, update, |out| {
            // The buffer grows as it must, so this cannot fail.
            let _ = packet.encode(out);
        });
    }
    writer.finish()
}

fn reliable(ordered: &Ordered, payload: &[u8]) -> Bytes {
    let said = Said { from: ordered.from, sender: &ordered.sender, payload, topic: ordered.topic() };
    said.packet(DataKind::Reliable).encode_to_vec().into()
}

/// A packet of a room, and what is known of it.
struct Said<'a> {
    from: Alias,
    sender: &'a Sender,
    payload: &'a [u8],
    topic: Option<&'a Arc<str>>,
}

impl Said<'_> {
    fn packet(&self, kind: DataKind) -> DataPacket {
        let (identity, sid) = match self.sender {
            // LiveKit's own programs are nobody who is here.
            Sender::Server(name) if **name == *SERVER => Default::default(),
            sender => (sender.to_string(), sid(self.from, sender)),
        };
        #[allow(deprecated, reason = "clients before 2024 read them nowhere else")]
        let user = UserPacket {
            participant_sid: sid.clone(),
            participant_identity: identity.clone(),
            payload: self.payload.to_vec(),
            topic: self.topic.map(ToString::to_string),
            ..Default::default()
        };
        #[allow(deprecated, reason = "clients before 2024 read it")]
        DataPacket {
            kind: kind as i32,
            participant_identity: identity,
            participant_sid: sid,
            value: Some(Value::User(user)),
            ..Default::default()
        }
    }
}

/// What a client says to its room.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    /// A packet for everybody who understands the room's packets.
    Packet {
        /// The packet.
        payload: Bytes,
        /// Its number among the sender's reliable ones; 0 when the client does not number them.
        sequence: u32,
        /// What it is about, if it says.
        topic: Option<String>,
        /// Whom it is for, by identity or sid, if not for all.
        to: Vec<String>,
    },
    /// Something that only clients of LiveKit understand, such as a chunk of a stream.
    Other(Box<DataPacket>),
}

impl Message {
    /// Its number among the sender's reliable ones; 0 when the client does not number them.
    pub(super) fn sequence(&self) -> u32 {
        match self {
            Self::Packet { sequence, .. } => *sequence,
            Self::Other(packet) => packet.sequence,
        }
    }
}

/// Reads what a client says; `None` when it is nothing that it may.
pub(super) fn read(message: &[u8]) -> Option<Message> {
    let mut packet = DataPacket::decode(message).ok()?;
    let to = std::mem::take(&mut packet.destination_identities);
    match packet.value? {
        #[allow(deprecated, reason = "clients before 2024 write it nowhere else")]
        Value::User(user) => {
            let older = || user.destination_identities.into_iter().chain(user.destination_sids).collect();
            let to: Vec<String> = if to.is_empty() { older() } else { to };
            if to.len() > MAX_ADDRESSEES {
                return None;
            }
            let to = to.into_iter().map(as_here).collect();
            let topic = user.topic.filter(|topic| !topic.is_empty());
            Some(Message::Packet { payload: user.payload.into(), sequence: packet.sequence, topic, to })
        }
        Value::SipDtmf(_) | Value::Metrics(_) => None,
        #[allow(deprecated, reason = "it is the server's to say")]
        Value::Speaker(_) => None,
        _ if to.len() > MAX_ADDRESSEES => None,
        value => {
            let destination_identities = to.into_iter().map(as_here).collect();
            let packet = DataPacket { value: Some(value), destination_identities, ..packet };
            Some(Message::Other(Box::new(packet)))
        }
    }
}

/// The same, said by this participant.
pub(super) fn signed(mut packet: DataPacket, reliable: bool, identity: &str, sid: &str) -> DataPacket {
    let kind = if reliable { DataKind::Reliable } else { DataKind::Lossy };
    #[allow(deprecated, reason = "clients before 2024 read it")]
    {
        packet.kind = kind as i32;
    }
    packet.participant_identity = identity.to_owned();
    packet.participant_sid = sid.to_owned();
    packet.sequence = 0;
    packet
}
