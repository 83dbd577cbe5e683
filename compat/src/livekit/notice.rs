//! What clients of this door say to each other, beside what they say to their room.

use atoll_proto::datagram::Alias;
use bytes::Bytes;
use livekit_protocol::{ConnectionQuality, SpeakerInfo};
use std::sync::Arc;
use str0m::rtp::RtpPacket;

/// Something that one client of this door says to others of its room.
#[derive(Debug, Clone)]
pub(super) enum Notice {
    /// Its name, metadata or tracks have changed.
    Changed(Alias),
    /// What programs say of the room has changed.
    Room,
    /// A message that only clients of LiveKit understand.
    Data { reliable: bool, message: Bytes },
    /// A packet of one of its tracks.
    Media { track: Arc<str>, packet: Arc<RtpPacket> },
    /// It speaks, or does not any more.
    Speaking(Arc<SpeakerInfo>),
    /// How well its connection does.
    Quality { sid: Arc<str>, quality: ConnectionQuality },
}
