//! Packets of a room as LiveKit's data packets, and back.

use atoll_core::room::{Batch, Encoding, Ordered, Sender};
use atoll_proto::datagram::{Alias, Kind};
use atoll_proto::room_frames::{Frames, FramesWriter};
use atoll_proto::{PacketKind, peek};
use bytes::Bytes;
use livekit_protocol::data_packet::{Kind as DataKind, Value};
use livekit_protocol::{DataPacket, UserPacket};
use prost::Message;

/// Bytes of a data packet around its payload: identity and sid, twice.
const OVERHEAD: usize = 160;

/// What a participant is called, beside its identity: the same for all who are in the room with it.
pub(super) fn sid(alias: Alias, sender: &Sender) -> String {
    let name = sender.to_string();
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("PA_{:x}{plain}", alias.0)
}

/// Data packets, as LiveKit's clients read them.
#[derive(Debug)]
pub(super) enum DataPackets {}

impl Encoding<Batch> for DataPackets {
    /// A message each, without framing.
    type Output = Frames;

    fn encode(batch: &Batch) -> Frames {
        let size = batch.entries().iter().map(|entry| entry.payload.len() + OVERHEAD).sum();
        let mut writer = FramesWriter::with_capacity(size);
        for entry in batch.entries() {
            let Some(sender) = batch.sender(entry.alias) else { continue };
            let update: Option<PacketKind> = (entry.kind == Kind::Update).then(|| peek(&entry.payload).kind);
            let packet = packet(DataKind::Lossy, entry.alias, sender, &entry.payload);
            writer.add(entry.alias, update, |out| {
                // The buffer grows as it must, so this cannot fail.
                let _ = packet.encode(out);
            });
        }
        writer.finish()
    }
}

impl Encoding<Ordered> for DataPackets {
    /// `None` when LiveKit's clients have no words for it.
    type Output = Option<Bytes>;

    fn encode(ordered: &Ordered) -> Option<Bytes> {
        let payload = ordered.payload()?;
        Some(packet(DataKind::Reliable, ordered.from, &ordered.sender, payload).encode_to_vec().into())
    }
}

fn packet(kind: DataKind, from: Alias, sender: &Sender, payload: &[u8]) -> DataPacket {
    let (identity, sid) = (sender.to_string(), sid(from, sender));
    #[allow(deprecated, reason = "clients before 2024 read them nowhere else")]
    let user = UserPacket {
        participant_sid: sid.clone(),
        participant_identity: identity.clone(),
        payload: payload.to_vec(),
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

/// What a client says to its room.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// A packet for everybody who understands the room's packets.
    Packet {
        /// The packet.
        payload: Bytes,
        /// Its number among the sender's reliable ones; 0 when the client does not number them.
        sequence: u32,
        /// What it is about, if it says.
        topic: Option<String>,
        /// Whom it is for, if not for all.
        to: Vec<String>,
    },
    /// Something that only clients of LiveKit understand, such as a chunk of a stream.
    Other(Box<DataPacket>),
}

/// Reads what a client says; `None` when it is nothing that it may.
pub(super) fn read(message: &[u8]) -> Option<Said> {
    let mut packet = DataPacket::decode(message).ok()?;
    let to = std::mem::take(&mut packet.destination_identities);
    match packet.value? {
        #[allow(deprecated, reason = "clients before 2024 write it nowhere else")]
        Value::User(user) => {
            let to = if to.is_empty() { user.destination_identities } else { to };
            let topic = user.topic.filter(|topic| !topic.is_empty());
            Some(Said::Packet { payload: user.payload.into(), sequence: packet.sequence, topic, to })
        }
        Value::SipDtmf(_) | Value::Metrics(_) => None,
        #[allow(deprecated, reason = "it is the server's to say")]
        Value::Speaker(_) => None,
        value => {
            let packet = DataPacket { value: Some(value), destination_identities: to, ..packet };
            Some(Said::Other(Box::new(packet)))
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
