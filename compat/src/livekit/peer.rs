//! One peer connection: the library's, its data channels, and the tracks that it carries.

use super::ports::Shared as Ports;
use super::routes::{Datagram, Inbox, Side};
use super::sdp::Carried;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use str0m::change::SdpPendingOffer;
use str0m::channel::ChannelId;
use str0m::config::DtlsCert;
use str0m::media::Mid;
use str0m::net::{Receive, TcpType};
use str0m::rtp::{ExtensionValues, RtpPacket, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

/// Bytes of messages that one connection holds until its client has them.
const BUFFERED: usize = 256 * 1024;

/// Bytes below which a connection asks for more.
const LOW: usize = 64 * 1024;

/// How old the library's clock may be when something is written: by it, it is sent again when no word of it comes.
const STALE: Duration = Duration::from_millis(100);

/// Data channels that a client may open, beside those of ours: newer ones have some that nothing here is for.
const CHANNELS: usize = 8;

/// Outputs of the library at a time: more than it ever has, unless it goes round in circles.
const OUTPUTS: usize = 10_000;

/// The two kinds of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// `_reliable`.
    Reliable,
    /// `_lossy`.
    Lossy,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is on its way.
    Yes,
    /// The connection holds as many as it may, or has no such channel yet.
    Full,
    /// This one cannot be sent.
    Never,
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

/// One connection. It does nothing by itself: [`Peer::drive`] follows whatever it was told.
pub(super) struct Peer {
    pub(super) rtc: Rtc,
    side: Side,
    local: Vec<SocketAddr>,
    pub(super) pending: Option<(u32, SdpPendingOffer)>,
    pub(super) offers: u32,
    pub(super) reliable: Option<ChannelId>,
    pub(super) lossy: Option<ChannelId>,
    /// The tracks of sections that send, as far as the client has agreed.
    pub(super) carried: HashMap<String, Carried>,
    /// The same once it answers.
    pub(super) offered: HashMap<String, Carried>,
    /// The names of the sections that this side has made.
    pub(super) sections: Vec<String>,
    /// Sections of the client's that could carry a track and do not.
    pub(super) free: usize,
    deadline: Instant,
    /// The library's clock.
    clock: Instant,
    /// Data channels that the client has opened.
    channels: usize,
    is_connected: bool,
    /// It was told something since it was driven.
    pub(super) is_touched: bool,
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
            clock: now,
            channels: 0,
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

    /// Takes a datagram that came for it. What cannot be read is passed over, as datagrams are.
    pub(super) fn receive(&mut self, datagram: &Datagram) {
        let Some(local) = self.local_for(datagram) else { return };
        let received = Receive::new(datagram.protocol, datagram.source, local, &datagram.bytes);
        if let Ok(received) = received {
            self.clock = Instant::now();
            self.is_touched = true;
            let input = Input::Receive(self.clock, received);
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

    /// Has a message sent with the next drive.
    pub(super) fn write(&mut self, lane: Lane, message: &[u8]) -> Written {
        self.is_touched = true;
        let now = Instant::now();
        if now > self.clock + STALE {
            self.turn(now);
        }
        let id = if lane == Lane::Reliable { self.reliable } else { self.lossy };
        match id.and_then(|id| self.rtc.channel(id)).map(|mut channel| channel.write(true, message)) {
            Some(Ok(true)) => Written::Yes,
            Some(Ok(false)) | None => Written::Full,
            Some(Err(error)) => {
                tracing::debug!("a message of {} bytes was not written: {error}", message.len());
                Written::Never
            }
        }
    }

    fn turn(&mut self, now: Instant) {
        self.clock = now;
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.rtc.disconnect();
        }
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
        if self.deadline <= now {
            self.turn(now);
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
                self.channels += 1;
                if self.channels > CHANNELS {
                    self.rtc.disconnect();
                }
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

/// A certificate for the connections of one edge: made once, as one for each would cost every client a key.
pub(super) fn certificate() -> Option<DtlsCert> {
    str0m::crypto::from_feature_flags().dtls_provider.generate_certificate()
}
