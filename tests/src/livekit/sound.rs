//! A track that the bot sends: packets made beforehand.

use super::connection::OPUS;
use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use std::sync::Arc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// 20 ms of silence: an Opus packet of one frame, all bands, mono.
pub const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// RTP ticks of one packet.
const STEP: u32 = 960;

/// The name of the stream of RTP that the bot's packets are of, unless another is said.
const SSRC: u32 = 0x5eed_0001;

/// A track.
pub struct Sound {
    track: Arc<TrackLocalStaticRTP>,
    number: u16,
    time: u32,
}

impl Sound {
    pub(super) fn new(name: &str, codec: RTCRtpCodec) -> Self {
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() },
            codec,
            ..Default::default()
        };
        let (stream, track) = ("microphones".to_owned(), name.to_owned());
        let track = MediaStreamTrack::new(stream, track, name.to_owned(), RtpCodecKind::Audio, vec![coding]);
        Self { track: Arc::new(TrackLocalStaticRTP::new(track)), number: 1, time: 0 }
    }

    pub(super) fn track(&self) -> Arc<dyn TrackLocal> {
        Arc::clone(&self.track) as Arc<dyn TrackLocal>
    }

    /// Sends an Opus packet of 20 ms, which is said to be `loudness` dB below the loudest there is.
    ///
    /// # Errors
    /// When the track is in no connection yet.
    pub async fn play(&mut self, frame: &[u8], loudness: u8) -> anyhow::Result<()> {
        self.play_as(SSRC, frame, loudness).await
    }

    /// Sends one as if it were of another stream.
    ///
    /// # Errors
    /// As [`Sound::play`].
    pub async fn play_as(&mut self, ssrc: u32, frame: &[u8], loudness: u8) -> anyhow::Result<()> {
        let header = rtp::Header {
            version: 2,
            payload_type: OPUS,
            sequence_number: self.number,
            timestamp: self.time,
            ssrc,
            ..Default::default()
        };
        self.number = self.number.wrapping_add(1);
        self.time = self.time.wrapping_add(STEP);
        let level = HeaderExtension::AudioLevel(AudioLevelExtension { level: loudness, voice: true });
        let packet = rtp::Packet { header, payload: Bytes::copy_from_slice(frame) };
        Ok(self.track.write_rtp_with_extensions(packet, &[level]).await?)
    }
}
