//! One peer connection: the library's, its data channels, and the tracks that it carries.

use super::ports::Shared as Ports;
use super::routes::{Datagram, Inbox, Side};
use super::sdp::{self, Carried};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::config::DtlsCert;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Receive, TcpType};
use str0m::rtp::{ExtensionValues, RtpPacket, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

/// Bytes of messages that one connection holds until its client has them.
const BUFFERED: usize = 256 * 1024;

/// Bytes below which a connection asks for more.
const LOW: usize = 64 * 1024;

/// Outputs of the library at a time: more than it ever has, unless it goes round in circles.
const OUTPUTS: usize = 10_000;

/// Sections above which those of tracks that have gone are used again.
pub(super) const MANY_SECTIONS: usize = 128;

/// The two kinds of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// `_reliable`.
    Reliable,
    /// `_lossy`.
    Lossy,
}

/// Something that happened to a connection.
#[derive(Debug)]
pub(super) enum PeerEvent {
    /// Packets can flow; again after a loss.
    Connected,
    /// They cannot any more. The client may find another way.
    Disconnected,
    /// A data channel stands.
    Opened,
    /// A message came.
    Data(Lane, Vec<u8>),
    /// There is room for more messages.
    Drained,
    /// A packet of the client's media came, of the section with this name.
    Media(Mid, Box<RtpPacket>),
    /// It is over for good.
    Over,
}

/// Why a description was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SdpError {
    /// It is larger than any client's.
    #[error("a session description above {} bytes or {} sections", sdp::MAX_SDP, sdp::MAX_SECTIONS)]
    TooLarge,
    /// The library cannot read it, or cannot do what it asks.
    #[error("{0}")]
    Refused(String),
    /// An answer to nothing.
    #[error("an answer without an offer")]
    Unasked,
}

/// One connection. It does nothing by itself: [`Peer::drive`] follows whatever it was told.
pub(super) struct Peer {
    rtc: Rtc,
    side: Side,
    local: Vec<SocketAddr>,
    pending: Option<(u32, SdpPendingOffer)>,
    offers: u32,
    reliable: Option<ChannelId>,
    lossy: Option<ChannelId>,
    /// The tracks of sections that send, as far as the client has agreed.
    carried: HashMap<String, Carried>,
    /// The same once it answers.
    offered: HashMap<String, Carried>,
    /// The names of the sections that this side has made.
    sections: Vec<String>,
    /// Sections of the client's that could carry a track and do not.
    free: usize,
    deadline: Instant,
    is_connected: bool,
    /// It was told something since it was driven.
    is_touched: bool,
}

impl Peer {
    /// A connection of a client that is told these addresses.
    pub(super) fn new(side: Side, certificate: &DtlsCert, local: Vec<SocketAddr>, has_tcp: bool) -> Self {
        let now = Instant::now();
        let mut rtc = RtcConfig::new()
            .set_ice_lite(true)
            .set_dtls_cert(certificate.clone())
            .clear_codecs()
            .enable_opus(true, false)
            // So that sections of video are not refused; nothing flows in them.
            .enable_vp8(true)
            .set_rtp_mode(true)
            .set_stats_interval(None)
            .set_send_buffer_audio(64)
            .set_sctp_max_buffered_amount(BUFFERED)
            .build(now);
        for address in &local {
            let udp = Candidate::builder().udp().host(*address).build();
            let tcp = has_tcp.then(|| Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build());
            for candidate in [Some(udp), tcp].into_iter().flatten().flatten() {
                rtc.add_local_candidate(candidate);
            }
        }
        Self {
            rtc,
            side,
            local,
            pending: None,
            offers: 0,
            reliable: None,
            lossy: None,
            carried: HashMap::new(),
            offered: HashMap::new(),
            sections: Vec::new(),
            free: 0,
            deadline: now,
            is_connected: false,
            is_touched: true,
        }
    }

    /// Has requests with this connection's present name delivered to `inbox`.
    pub(super) fn announce(&mut self, inbox: &mut Inbox) {
        inbox.name(self.side, self.rtc.direct_api().local_ice_credentials().ufrag);
    }

    /// When it wants to be driven at the latest.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Answers a client's offer; `carried` are the tracks of this side's sections then, beside `free` ones.
    pub(super) fn answer(
        &mut self,
        offer: &str,
        carried: HashMap<String, Carried>,
        free: usize,
    ) -> Result<String, SdpError> {
        self.is_touched = true;
        check(offer)?;
        let offer = SdpOffer::from_sdp_string(offer).map_err(|error| SdpError::Refused(error.to_string()))?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| SdpError::Refused(error.to_string()))?;
        (self.carried, self.free) = (carried, free);
        Ok(sdp::with_tracks(&answer.to_sdp_string(), &self.carried))
    }

    /// The client's answer to the offer of this number; to any, when the client knows no numbers.
    pub(super) fn take_answer(&mut self, number: u32, answer: &str) -> Result<(), SdpError> {
        self.is_touched = true;
        check(answer)?;
        let (asked, pending) = self.pending.take().ok_or(SdpError::Unasked)?;
        if number != 0 && number != asked {
            // One to an offer that another has replaced.
            self.pending = Some((asked, pending));
            return Ok(());
        }
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| SdpError::Refused(error.to_string()))?;
        let taken = self.rtc.sdp_api().accept_answer(pending, answer);
        taken.map_err(|error| SdpError::Refused(error.to_string()))?;
        self.carried = std::mem::take(&mut self.offered);
        let new = self.carried.keys().filter(|mid| !self.sections.contains(mid));
        let new: Vec<String> = new.cloned().collect();
        self.sections.extend(new);
        Ok(())
    }

    /// Whether an offer has not been answered.
    pub(super) fn is_waiting_for_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Makes an offer with `wanted` tracks, by their names, each in a section of its own.
    /// `with_channels` for the first, `restart` when the client has lost its way here. `None` when nothing
    /// is to be said.
    pub(super) fn offer(&mut self, wanted: &[Carried], with_channels: bool, restart: bool) -> Option<(u32, String)> {
        self.is_touched = true;
        self.pending = None;
        let mut api = self.rtc.sdp_api();
        if with_channels {
            let lossy = Reliability::MaxRetransmits { retransmits: 0 };
            let channel = |label: &str, ordered, reliability| ChannelConfig {
                label: label.to_owned(),
                ordered,
                reliability,
                ..Default::default()
            };
            self.reliable = Some(api.add_channel_with_config(channel("_reliable", true, Reliability::Reliable)));
            self.lossy = Some(api.add_channel_with_config(channel("_lossy", false, lossy)));
        }
        if restart {
            api.ice_restart(true);
        }
        let mut offered = self.carried.clone();
        offered.retain(|_, carried| wanted.contains(carried));
        // Clients end what a section has brought for good, so that another track there would not be heard: each has its own, as
        // long as descriptions are not too long for that. One is idle for a description, at least, before it is used again.
        let is_long = self.sections.len() >= MANY_SECTIONS;
        let mut free: Vec<&String> =
            self.sections.iter().filter(|mid| is_long && !self.carried.contains_key(*mid)).collect();
        for track in wanted {
            if offered.values().any(|known| known == track) {
                continue;
            }
            let mid = match free.pop() {
                Some(mid) => {
                    api.set_direction(Mid::from(mid.as_str()), Direction::SendOnly);
                    mid.clone()
                }
                None => {
                    let (stream, name) = (Some(track.stream.clone()), Some(track.track.clone()));
                    api.add_media(MediaKind::Audio, Direction::SendOnly, stream, name, None).to_string()
                }
            };
            offered.insert(mid, track.clone());
        }
        for mid in self.carried.keys().filter(|mid| !offered.contains_key(*mid)) {
            api.set_direction(Mid::from(mid.as_str()), Direction::Inactive);
        }
        let (offer, pending) = api.apply()?;
        self.offers += 1;
        self.pending = Some((self.offers, pending));
        self.offered = offered;
        Some((self.offers, sdp::with_tracks(&offer.to_sdp_string(), &self.offered)))
    }

    /// How many of the client's sections could carry a track and do not.
    pub(super) fn free_sections(&self) -> usize {
        self.free
    }

    /// The tracks of this side's sections, by the sections' names.
    pub(super) fn carried(&self) -> &HashMap<String, Carried> {
        &self.carried
    }

    /// Takes a datagram that came for it. What cannot be read is passed over, as datagrams are.
    pub(super) fn receive(&mut self, datagram: &Datagram) {
        let Some(local) = self.local_for(datagram) else { return };
        let received = Receive::new(datagram.protocol, datagram.source, local, &datagram.bytes);
        if let Ok(received) = received {
            let input = Input::Receive(Instant::now(), received);
            self.is_touched = true;
            // One that cannot be taken in is one lost, whoever sent it; the library says by itself when a connection is over.
            if self.rtc.accepts(&input)
                && let Err(error) = self.rtc.handle_input(input)
            {
                tracing::debug!("a datagram was not taken in: {error}");
            }
        }
    }

    /// The address that the client was told and sent this to.
    fn local_for(&self, datagram: &Datagram) -> Option<SocketAddr> {
        let is = |ip: IpAddr| move |address: &&SocketAddr| address.ip() == ip;
        let exact = datagram.destination.and_then(|ip| self.local.iter().find(is(ip)));
        let same = || self.local.iter().find(|address| address.is_ipv4() == datagram.source.is_ipv4());
        exact.or_else(same).copied()
    }

    /// Whether a message is on its way; false when the connection holds as many as it may, or has no such channel yet.
    pub(super) fn write(&mut self, lane: Lane, message: &[u8]) -> bool {
        self.is_touched = true;
        let id = if lane == Lane::Reliable { self.reliable } else { self.lossy };
        let channel = id.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(true, message).unwrap_or(false))
    }

    /// Sends a packet of the track in the section of this name.
    pub(super) fn write_media(&mut self, mid: &str, sequence: u64, time: u32, packet: &RtpPacket) {
        self.is_touched = true;
        let mid = Mid::from(mid);
        let Some(kind) = self.rtc.media(mid).and_then(|media| media.remote_pts().first().copied()) else { return };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else { return };
        let header = &packet.header;
        let write =
            str0m::rtp::RtpWrite::new(kind, SeqNo::from(sequence), time, Instant::now(), packet.payload.clone());
        // How loud it is goes along; the rest names sections of its sender's connection.
        let loudness = ExtensionValues {
            audio_level: header.ext_vals.audio_level,
            voice_activity: header.ext_vals.voice_activity,
            ..Default::default()
        };
        stream.write_rtp(write.marker(header.marker).ext_vals(loudness));
    }

    /// Ends it, as politely as the time allows.
    pub(super) fn close(&mut self, ports: &Ports) {
        self.is_touched = true;
        let _ = self.rtc.close();
        self.drive(ports, &mut Vec::new());
    }

    /// Sends what is to be sent, and tells what happened: nothing, of one that was told nothing and whose time has not come.
    pub(super) fn drive(&mut self, ports: &Ports, events: &mut Vec<PeerEvent>) {
        let now = Instant::now();
        if !std::mem::take(&mut self.is_touched) && now < self.deadline {
            return;
        }
        if self.deadline <= now && self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.rtc.disconnect();
        }
        for _ in 0..OUTPUTS {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(deadline)) => {
                    self.deadline = deadline;
                    break;
                }
                Ok(Output::Transmit(transmit)) => ports.send(&transmit),
                Ok(Output::Event(event)) => events.extend(self.event(event)),
                Err(_) => {
                    self.rtc.disconnect();
                    break;
                }
            }
        }
        if !self.rtc.is_alive() {
            self.deadline = now + Duration::from_secs(3600);
            events.push(PeerEvent::Over);
        }
    }

    fn event(&mut self, event: Event) -> Option<PeerEvent> {
        match event {
            Event::Connected => {
                self.is_connected = true;
                Some(PeerEvent::Connected)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.is_connected = false;
                Some(PeerEvent::Disconnected)
            }
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed)
                if !self.is_connected && self.reliable.or(self.lossy).is_some() =>
            {
                self.is_connected = true;
                Some(PeerEvent::Connected)
            }
            Event::ChannelOpen(id, label) => {
                let lane = match label.as_str() {
                    "_reliable" => Lane::Reliable,
                    "_lossy" => Lane::Lossy,
                    _ => return None,
                };
                match lane {
                    Lane::Reliable => self.reliable = Some(id),
                    Lane::Lossy => self.lossy = Some(id),
                }
                self.rtc.channel(id)?.set_buffered_amount_low_threshold(LOW);
                Some(PeerEvent::Opened)
            }
            Event::ChannelData(data) => {
                let lane = match data.id {
                    id if Some(id) == self.reliable => Lane::Reliable,
                    id if Some(id) == self.lossy => Lane::Lossy,
                    _ => return None,
                };
                Some(PeerEvent::Data(lane, data.data))
            }
            Event::ChannelBufferedAmountLow(_) => Some(PeerEvent::Drained),
            Event::RtpPacket(packet) => {
                let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc)?.mid();
                Some(PeerEvent::Media(mid, Box::new(packet)))
            }
            _ => None,
        }
    }
}

fn check(text: &str) -> Result<(), SdpError> {
    let fits = text.len() <= sdp::MAX_SDP && sdp::count(text) <= sdp::MAX_SECTIONS;
    if fits { Ok(()) } else { Err(SdpError::TooLarge) }
}

/// A certificate for the connections of one edge: made once, as one for each would cost every client a key.
pub(super) fn certificate() -> Option<DtlsCert> {
    str0m::crypto::from_feature_flags().dtls_provider.generate_certificate()
}
