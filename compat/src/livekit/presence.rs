//! What a participant is told of others, and others of it.

use super::data::{self, sid, signed};
use super::notice::Notice;
use super::participant::Participant;
use super::peer::{Lane, Written};
use super::rooms::{described, described_quality};
use super::sdp::Carried;
use super::signals::go;
use super::talk::{Meant, Said};
use super::tracks::{MAX_HEARD, source};
use crate::ended::Ended;
use atoll_core::room::{Delivery, MemberList, Outgoing, Sender};
use atoll_proto::datagram::Alias;
use bytes::Bytes;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ConnectionQuality, ConnectionQualityUpdate, DisconnectReason, ParticipantInfo, ParticipantUpdate, RoomUpdate,
    SpeakerInfo, SpeakersChanged,
};
use prost::Message as _;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::media::Mid;
use str0m::rtp::RtpPacket;

/// Time between two words about the room.
const PAUSE: Duration = Duration::from_secs(1);

impl Participant {
    /// Who is here, or who came and went.
    pub(super) fn members(&mut self, list: MemberList) {
        match list {
            MemberList::Snapshot { own, members } => {
                self.others = members.iter().filter(|(alias, _)| Some(*alias) != own).cloned().collect();
                if !self.has_joined {
                    self.has_joined = true;
                    self.welcome();
                }
            }
            MemberList::Change { joined, left } => {
                let mut participants = Vec::with_capacity(joined.len() + left.len());
                // First who left: somebody that took the place of its former self goes and comes.
                for alias in left.iter() {
                    let Some(sender) = self.others.remove(alias) else { continue };
                    let info = gone(*alias, &sender);
                    self.departed.add(Instant::now(), info.clone());
                    participants.push(info);
                }
                for (alias, sender) in joined.iter().filter(|(alias, _)| *alias != self.alias) {
                    self.others.insert(*alias, sender.clone());
                    participants.push(self.place.room().info(*alias, sender));
                }
                self.update(participants);
                self.count();
            }
        }
        self.choose_tracks();
    }

    /// Everybody else, as they are.
    pub(super) fn everybody(&self) -> Vec<ParticipantInfo> {
        self.others.iter().map(|(alias, sender)| self.place.room().info(*alias, sender)).collect()
    }

    pub(super) fn update(&self, participants: Vec<ParticipantInfo>) {
        if !participants.is_empty() && self.has_joined {
            self.signals.send(Message::Update(ParticipantUpdate { participants }));
        }
    }

    /// Tells how many there are now, at most once a second: what is known of a room may be large.
    pub(super) fn count(&mut self) {
        let now = Instant::now();
        self.owes_count = !self.has_joined || self.counted_at.is_some_and(|at| now < at + PAUSE);
        if !self.owes_count {
            self.counted_at = Some(now);
            self.signals.send(Message::RoomUpdate(RoomUpdate { room: Some(self.room()) }));
        }
    }

    /// When it is to be told.
    pub(super) fn count_due(&self) -> Option<Instant> {
        let due = || self.counted_at.map(|at| at + PAUSE);
        if self.owes_count && self.has_joined { due() } else { None }
    }

    /// Changes what others know of this one, and tells everybody; itself, too.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut ParticipantInfo)) {
        if self.place.change(change)
            && let Some(info) = self.place.info()
        {
            self.update(vec![ParticipantInfo::clone(&info)]);
        }
    }

    pub(super) fn become_active(&mut self) {
        self.change(|info| info.state = State::Active as i32);
    }

    /// How well its connection does has changed.
    pub(super) fn does(&mut self, quality: ConnectionQuality) {
        self.place.does(quality);
        self.notice(Notice::Quality { sid: Arc::clone(&self.sid), quality });
    }

    /// Something that another client of this door says. One that has not joined yet is told how things are when it does, and
    /// nothing before that.
    pub(super) fn notice(&mut self, notice: Notice) {
        if matches!(notice, Notice::Changed(alias) if alias == self.alias) {
            return self.follow_changes();
        }
        if !self.has_joined {
            return;
        }
        match notice {
            Notice::Room => self.count(),
            Notice::Changed(alias) => {
                let info = self.others.get(&alias).map(|sender| self.place.room().info(alias, sender));
                self.update(info.into_iter().collect());
                self.choose_tracks();
            }
            Notice::Speaking(speaker) => {
                let speakers = vec![SpeakerInfo::clone(&speaker)];
                self.signals.send(Message::SpeakersChanged(SpeakersChanged { speakers }));
            }
            Notice::Quality { sid, quality } => {
                let updates = vec![described_quality(&sid, quality)];
                self.signals.send(Message::ConnectionQuality(ConnectionQualityUpdate { updates }));
            }
            Notice::Media { track, packet } => self.hear(&track, &packet),
            Notice::Data { message, .. } => {
                let peer = self.subscriber.as_mut().unwrap_or(&mut self.publisher);
                if peer.write(Lane::Lossy, &message) != Written::Yes {
                    self.door.counters.dropped.add(1);
                }
            }
        }
    }

    pub(super) fn hear_media(&mut self) {
        for notice in self.mailbox.take_media() {
            self.notice(notice);
        }
    }

    fn hear(&mut self, track: &Arc<str>, packet: &RtpPacket) {
        let peer = self.subscriber.as_mut().unwrap_or(&mut self.publisher);
        let mid = peer.carried().iter().find(|(_, carried)| carried.track == **track).map(|(mid, _)| mid.clone());
        let Some(mid) = mid else { return };
        if let Some((number, time)) = self.heard.number(&mid, track, packet) {
            peer.write_media(&mid, number, time, packet);
        }
    }

    /// Sees to it that the client hears the tracks that there are, as far as it wants and may.
    pub(super) fn choose_tracks(&mut self) {
        let may = self.token.grants.can_subscribe;
        let mut wanted = Vec::new();
        for (alias, info, track) in self.place.room().tracks() {
            let is_heard = may && self.others.contains_key(&alias) && self.heard.wants(&track.sid);
            if !is_heard || wanted.len() >= MAX_HEARD {
                continue;
            }
            // Browsers keep a section's first name for its track, so all clients take the track from the stream's name.
            wanted.push(Carried { stream: format!("{}|{}", info.sid, track.sid), track: track.sid.clone() });
        }
        if self.heard.want(wanted) {
            self.owes_offer = true;
        }
        self.negotiate();
    }

    /// A packet of one of this participant's tracks.
    pub(super) fn spoke(&mut self, mid: Mid, packet: RtpPacket) {
        // Those of a muted track, too: their numbers go on.
        self.quality.heard(mid, *packet.seq_no);
        let Some(track) = self.published.heard(mid) else { return };
        // Its token may have changed since it announced the track.
        if !self.token.grants.may_publish(source(track.source)) {
            return self.door.counters.refused.add(1);
        }
        if let Some(level) = packet.header.ext_vals.audio_level {
            self.speech.heard(level);
        }
        let notice = Notice::Media { track: track.sid.as_str().into(), packet: Arc::new(packet) };
        self.place.tell(&notice);
    }

    pub(super) fn tell_speech(&mut self, level: f32) {
        let speaker = Arc::new(SpeakerInfo { sid: self.sid.to_string(), level, active: level > 0.0 });
        let notice = Notice::Speaking(speaker);
        self.place.tell(&notice);
        self.notice(notice);
    }

    /// A message of its data channels.
    pub(super) fn said(&mut self, lane: Lane, message: &[u8]) -> Option<Ended> {
        if !self.token.grants.can_publish_data {
            self.door.counters.refused.add(1);
            return None;
        }
        let message = data::read(message);
        let sequence = message.as_ref().map_or(0, data::Message::sequence);
        if sequence > 0 && lane == Lane::Reliable {
            // Said again after a loss of the connection.
            if sequence <= self.last_number {
                return None;
            }
            self.last_number = sequence;
        }
        let said = match message {
            Some(data::Message::Packet { payload, topic, to, .. }) => {
                let delivery = if lane == Lane::Reliable { Delivery::Ordered } else { Delivery::unreliable(&payload) };
                let said = self.addressed(payload, topic, &to);
                if delivery != Delivery::Ordered {
                    if self.talk.seat().send(delivery, None, said).is_err() {
                        self.door.counters.refused.add(1);
                    }
                    return None;
                }
                Said::Packet(said)
            }
            Some(data::Message::Other(packet)) => {
                let to = packet.destination_identities.clone();
                let reliable = lane == Lane::Reliable;
                let message = signed(*packet, reliable, &self.token.identity, &self.sid).encode_to_vec().into();
                let meant = Meant { message, to };
                if !reliable {
                    self.talk.say_lossy(meant);
                    return None;
                }
                Said::Other(meant)
            }
            None => {
                self.door.counters.unread.add(1);
                return None;
            }
        };
        if self.talk.say(said) {
            return None;
        }
        let ended = Ended::Violation("more reliable data than may wait".to_owned());
        self.signals.leave(go(DisconnectReason::ParticipantRemoved), ended.clone());
        Some(ended)
    }
}

impl Participant {
    /// A packet for those with these identities or sids, or for all.
    fn addressed(&self, payload: Bytes, topic: Option<String>, to: &[String]) -> Outgoing {
        let said = Outgoing::from(self.mailbox.words().said(payload));
        let said = match topic {
            Some(topic) => said.about(topic),
            None => said,
        };
        if to.is_empty() {
            return said;
        }
        let to: HashSet<&str> = to.iter().map(String::as_str).collect();
        let named = self.others.iter().filter(|(alias, sender)| {
            to.contains(sender.to_string().as_str()) || to.contains(sid(**alias, sender).as_str())
        });
        said.to(named.map(|(alias, _)| *alias).collect::<Vec<_>>())
    }
}

fn gone(alias: Alias, sender: &Sender) -> ParticipantInfo {
    ParticipantInfo { state: State::Disconnected as i32, version: u32::MAX, ..described(alias, sender) }
}
