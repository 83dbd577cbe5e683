//! One peer connection of the bot: the webrtc crate's, which is another implementation than the edge's.

use super::Lane;
use super::sound::Sound;
use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use livekit_protocol::DataPacket;
use livekit_protocol::signal_response::Message as Signal;
use prost::Message as _;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::ice::network_type::NetworkType;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};

/// Bytes that a channel holds until the edge has them. With that many, sending waits: a flood goes as fast as the machine takes it.
const BUFFERED: usize = 256 * 1024;

/// What Opus is numbered in this side's offers.
pub(super) const OPUS: u8 = 111;

/// Which of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that the bot offers, which carries what it sends.
    Publisher,
    /// The one that the edge offers, which carries what the bot hears.
    Subscriber,
}

/// What happened to a bot.
#[derive(Debug, Clone)]
pub enum News {
    /// A signal.
    Signal(Box<Signal>),
    /// A packet of a data channel.
    Data(Lane, Box<DataPacket>),
    /// A packet of the track with this sid.
    Sound {
        /// `TR_…`.
        track: String,
        /// The number of the packet.
        number: u16,
        /// An Opus packet.
        frame: Bytes,
    },
    /// A connection stands.
    Connected(Side),
    /// A connection does not stand any more.
    Lost(Side),
    /// The WebSocket has ended.
    Closed(crate::websocket::Closed),
}

/// Takes messages of data channels in the place of [`News`].
pub type Ear = Arc<dyn Fn(Lane, &[u8]) + Send + Sync>;

/// Where what a connection hears goes.
#[derive(Clone)]
pub(super) struct Ears {
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) data: Option<Ear>,
    pub(super) takes_data: bool,
}

/// By which of the two a connection is to find its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// ICE-TCP, the edge's side passive.
    Tcp,
}

/// One connection.
pub(super) struct Connection {
    peer: Arc<dyn PeerConnection>,
    transport: Transport,
    channels: Channels,
}

type Channels = Arc<Mutex<HashMap<Lane, Arc<dyn DataChannel>>>>;

struct Handler {
    side: Side,
    ears: Ears,
}

impl Connection {
    pub(super) async fn open(side: Side, transport: Transport, ears: Ears) -> anyhow::Result<Self> {
        let mut media = MediaEngine::default();
        media.register_codec(opus(), RtpCodecKind::Audio)?;
        let loudness =
            RTCRtpHeaderExtensionCapability { uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level".to_owned() };
        media.register_header_extension(loudness, RtpCodecKind::Audio, None)?;
        let settings = SettingEngineBuilder::new().with_multicast_dns_mode(MulticastDnsMode::Disabled);
        let settings = settings.with_include_loopback_candidate(true);
        let settings = match transport {
            Transport::Udp => settings.with_network_types(vec![NetworkType::Udp4]),
            Transport::Tcp => settings.with_network_types(vec![NetworkType::Tcp4]),
        };
        let settings = settings.build();
        let here = || vec!["127.0.0.1:0"];
        let builder = PeerConnectionBuilder::new().with_media_engine(media).with_setting_engine(settings);
        let builder =
            builder.with_handler(Arc::new(Handler { side, ears })).with_data_channel_send_buffer_limit(BUFFERED);
        let builder = match transport {
            Transport::Udp => builder.with_udp_addrs(here()),
            Transport::Tcp => builder.with_tcp_addrs(here()),
        };
        Ok(Self { peer: Arc::new(builder.build().await?), transport, channels: Channels::default() })
    }

    /// Opens the channels of one that the bot offers.
    pub(super) async fn open_channels(&self, ears: &Ears) -> anyhow::Result<()> {
        for lane in [Lane::Reliable, Lane::Lossy] {
            let is_lossy = lane == Lane::Lossy;
            let init =
                RTCDataChannelInit { ordered: !is_lossy, max_retransmits: is_lossy.then_some(0), ..Default::default() };
            let channel = self.peer.create_data_channel(lane.label(), Some(init)).await?;
            let (ears, channels) = (ears.clone(), Arc::clone(&self.channels));
            tokio::spawn(listen(lane, channel, ears, Some(channels)));
        }
        Ok(())
    }

    /// Makes an offer; one that looks for a new way if `restart`.
    pub(super) async fn offer(&self, restart: bool) -> anyhow::Result<String> {
        if restart {
            self.peer.restart_ice().await?;
        }
        let offer = self.peer.create_offer(None).await?;
        self.peer.set_local_description(offer.clone()).await?;
        Ok(offer.sdp)
    }

    pub(super) async fn take_answer(&self, sdp: String) -> anyhow::Result<()> {
        self.peer.set_remote_description(RTCSessionDescription::answer(sdp.clone())?).await?;
        self.dial(&sdp).await
    }

    pub(super) async fn answer(&self, offer: String) -> anyhow::Result<String> {
        self.peer.set_remote_description(RTCSessionDescription::offer(offer.clone())?).await?;
        let answer = self.peer.create_answer(None).await?;
        self.peer.set_local_description(answer.clone()).await?;
        self.dial(&offer).await?;
        Ok(answer.sdp)
    }

    /// The crate dials TCP only to candidates that it is given one by one.
    async fn dial(&self, sdp: &str) -> anyhow::Result<()> {
        if self.transport == Transport::Udp {
            return Ok(());
        }
        let candidates = sdp.lines().filter_map(|line| line.strip_prefix("a="));
        for candidate in candidates.filter(|line| line.starts_with("candidate:") && line.contains(" tcptype passive")) {
            let init =
                RTCIceCandidateInit { candidate: candidate.to_owned(), sdp_mline_index: Some(0), ..Default::default() };
            self.peer.add_ice_candidate(init).await?;
        }
        Ok(())
    }

    /// Sends a message by a channel that stands, once there is room in it.
    pub(super) async fn send(&self, lane: Lane, message: &[u8]) -> anyhow::Result<()> {
        let channel = self.lock().get(&lane).cloned().context("no such channel yet")?;
        Ok(channel.send(message.into()).await?)
    }

    /// Whether both channels stand.
    pub(super) fn is_open(&self) -> bool {
        self.lock().len() == 2
    }

    /// A track that the next offer brings, by this name.
    pub(super) async fn add_sound(&self, name: &str) -> anyhow::Result<Sound> {
        let sound = Sound::new(name, opus().rtp_codec);
        self.peer.add_track(sound.track()).await?;
        Ok(sound)
    }

    pub(super) async fn close(&self) {
        // It may have ended already.
        let _ = self.peer.close().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Lane, Arc<dyn DataChannel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let news = match state {
            RTCPeerConnectionState::Connected => News::Connected(self.side),
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => {
                News::Lost(self.side)
            }
            _ => return,
        };
        // Nobody may listen any more.
        let _ = self.ears.news.send(news);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let ears = self.ears.clone();
        tokio::spawn(async move {
            let label = channel.label().await.unwrap_or_default();
            if let Some(lane) = [Lane::Reliable, Lane::Lossy].into_iter().find(|lane| lane.label() == label) {
                if !ears.takes_data {
                    // Who holds it and asks for nothing leaves everything in the connection's buffers.
                    ears.news.closed().await;
                }
                listen(lane, channel, ears, None).await;
            }
        });
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let ears = self.ears.clone();
        tokio::spawn(async move {
            let name = track.track_id().await;
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                let (number, frame) = (packet.header.sequence_number, packet.payload);
                if ears.news.send(News::Sound { track: name.clone(), number, frame }).is_err() {
                    return;
                }
            }
        });
    }
}

async fn listen(lane: Lane, channel: Arc<dyn DataChannel>, ears: Ears, opened: Option<Channels>) {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen => {
                if let Some(opened) = &opened {
                    let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                    opened.insert(lane, Arc::clone(&channel));
                }
            }
            DataChannelEvent::OnMessage(message) => match &ears.data {
                Some(ear) => ear(lane, &message.data),
                None => {
                    let Ok(packet) = DataPacket::decode(&message.data[..]) else { continue };
                    if ears.news.send(News::Data(lane, Box::new(packet))).is_err() {
                        return;
                    }
                }
            },
            _ => {}
        }
    }
}

fn opus() -> RTCRtpCodecParameters {
    let rtp_codec = RTCRtpCodec {
        mime_type: "audio/opus".to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    };
    RTCRtpCodecParameters { rtp_codec, payload_type: OPUS }
}
