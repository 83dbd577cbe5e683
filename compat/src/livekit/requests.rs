//! What a participant asks by its WebSocket.

use super::data::room_sid;
use super::lobby::Return;
use super::participant::Participant;
use super::profile::Profile;
use super::request::Wish;
use super::signals::{Signals, go};
use super::tracks::{opus, source};
use crate::ended::Ended;
use crate::socket::Socket;
use atoll_core::auth::LIVEKIT_TOKEN_SECONDS;
use atoll_core::room::Sender;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, ConnectionQualityUpdate, DisconnectReason, JoinResponse, MediaSectionsRequirement,
    ParticipantInfo, Pong, ReconnectResponse, RequestResponse, Room, ServerInfo, SessionDescription, SignalRequest,
    TrackPublishedResponse, UpdateParticipantMetadata, request_response,
};
use prost::Message as _;
use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds that a client waits for an answer to a ping, and between two.
const PING_TIMEOUT: i32 = 15;
const PING_INTERVAL: i32 = 5;

/// The server that clients take this for: the protocol number of what is served.
const PROTOCOL: i32 = 15;
const VERSION: &str = "1.8.4";

impl Participant {
    /// The first thing that it is told.
    pub(super) fn welcome(&mut self) {
        let info = self.place.info().map(|info| ParticipantInfo::clone(&info));
        let is_single = self.dialect.is_single();
        self.signals.send(Message::Join(JoinResponse {
            room: Some(self.room()),
            participant: info,
            other_participants: self.everybody(),
            server_version: VERSION.to_owned(),
            server_info: Some(server_info()),
            ice_servers: self.door.ice_servers.to_vec(),
            subscriber_primary: !is_single,
            ping_timeout: PING_TIMEOUT,
            ping_interval: PING_INTERVAL,
            enabled_publish_codecs: vec![opus()],
            fast_publish: !is_single && self.token.grants.can_publish_data,
            ..Default::default()
        }));
        self.refresh();
        let updates = self.place.room().qualities();
        if !updates.is_empty() {
            self.signals.send(Message::ConnectionQuality(ConnectionQualityUpdate { updates }));
        }
        let first = self.first.take();
        if let Some(subscriber) = &mut self.subscriber {
            let offer = subscriber.offer(&[], true, false);
            self.offered(offer);
        }
        for track in first.iter().flat_map(|wish| &wish.tracks) {
            self.add_track(track);
        }
        if let Some(offer) = first.and_then(|wish| wish.offer) {
            self.offer(&offer);
        }
    }

    /// Its room as it is now.
    pub(super) fn room(&self) -> Room {
        let tag = self.talk.seat().tag();
        let room = Room {
            sid: room_sid(tag),
            name: self.token.room.clone(),
            enabled_codecs: vec![opus()],
            num_participants: self.others.len() as u32 + 1,
            ..Default::default()
        };
        self.door.book.complete(tag, room)
    }

    /// Gives the client a fresh token, by which it can come back after the time of its first.
    pub(super) fn refresh(&mut self) {
        self.refresh_at = Instant::now() + Duration::from_secs(LIVEKIT_TOKEN_SECONDS / 2);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Ok(token) = self.door.keys.renew(&self.token, now) {
            self.signals.send(Message::RefreshToken(token));
        }
    }

    /// One message of the client. Those that cannot be read, or are not known, are passed over.
    pub(super) fn request(&mut self, message: &[u8]) -> Result<(), Ended> {
        let request = SignalRequest::decode(message).ok().and_then(|request| request.message);
        let Some(request) = request else {
            self.door.counters.unread.add(1);
            return Ok(());
        };
        match request {
            Request::Offer(offer) => self.offer(&offer),
            Request::Answer(answer) => self.answered(&answer),
            Request::AddTrack(request) => self.add_track(&request),
            Request::Mute(mute) if self.published.mute(&mute.sid, mute.muted) => self.tell_tracks(),
            Request::Subscription(asked) => {
                let others = asked.participant_tracks.into_iter().flat_map(|one| one.track_sids);
                for sid in asked.track_sids.into_iter().chain(others) {
                    self.heard.ask(sid, asked.subscribe);
                }
                self.choose_tracks();
            }
            Request::UpdateMetadata(update) => self.update_metadata(update),
            Request::Ping(timestamp) => self.signals.send(Message::Pong(timestamp)),
            Request::PingReq(ping) => {
                self.quality.measured(ping.rtt);
                let pong = Pong { last_ping_timestamp: ping.timestamp, timestamp: unix_ms() };
                self.signals.send(Message::PongResp(pong));
            }
            Request::Leave(_) => {
                self.signals.leave(go(DisconnectReason::ClientInitiated), Ended::Left);
                return Err(Ended::Left);
            }
            // Our candidates are in our descriptions, and those of clients are learnt from what they send.
            _ => {}
        }
        Ok(())
    }

    /// A client that has come back by this socket.
    pub(super) fn resume(&mut self, Return { socket, wish }: Return) -> Socket {
        let Wish { dialect, offer, .. } = wish;
        // What it may do is as before, whatever token it has shown: a program may have changed that.
        self.dialect = dialect;
        self.signals = Signals::new(self.door.budget.clone(), self.door.counters.clone());
        if dialect.knows_reconnect_response() {
            self.signals.send(Message::Reconnect(ReconnectResponse {
                ice_servers: self.door.ice_servers.to_vec(),
                server_info: Some(server_info()),
                last_message_seq: self.last_number,
                ..Default::default()
            }));
        }
        self.refresh();
        let own = self.place.info().map(|info| ParticipantInfo::clone(&info));
        let here: HashSet<String> = self.others.values().map(Sender::to_string).collect();
        let gone = self.departed.take(|identity| here.contains(identity));
        self.update(gone.into_iter().chain(own).chain(self.everybody()).collect());
        let wanted = self.heard.wanted().to_vec();
        if let Some(subscriber) = &mut self.subscriber {
            let offer = subscriber.offer(&wanted, false, true);
            self.offered(offer);
        }
        if let Some(offer) = offer {
            self.offer(&offer);
        }
        socket
    }

    /// Makes an offer, or asks for one, when the tracks to be heard are others than those that are carried.
    pub(super) fn negotiate(&mut self) {
        if !self.owes_offer || !self.has_joined {
            return;
        }
        let wanted = self.heard.wanted().to_vec();
        let Some(subscriber) = &mut self.subscriber else {
            self.owes_offer = false;
            let carried = self.publisher.carried();
            let missing = wanted.iter().filter(|track| !carried.values().any(|known| known == *track)).count();
            let free = self.publisher.free_sections();
            let needed = missing.saturating_sub(free) as u32;
            let requirement = MediaSectionsRequirement { num_audios: needed, num_videos: 0 };
            self.signals.send(Message::MediaSectionsRequirement(requirement));
            return;
        };
        if subscriber.is_waiting_for_answer() {
            return;
        }
        self.owes_offer = false;
        let offer = subscriber.offer(&wanted, false, false);
        self.offered(offer);
    }

    fn offered(&mut self, offer: Option<(u32, String)>) {
        if let Some(subscriber) = &mut self.subscriber {
            subscriber.announce(&mut self.inbox);
        }
        if let Some((id, sdp)) = offer {
            let description = SessionDescription { r#type: "offer".to_owned(), sdp, id, ..Default::default() };
            self.signals.send(Message::Offer(description));
        }
    }

    fn answered(&mut self, answer: &SessionDescription) {
        let Some(subscriber) = &mut self.subscriber else { return };
        if let Err(error) = subscriber.take_answer(answer.id, &answer.sdp) {
            tracing::debug!(sid = &*self.sid, "an answer was refused: {error}");
            self.door.counters.unread.add(1);
            return;
        }
        subscriber.announce(&mut self.inbox);
        self.negotiate();
    }

    fn offer(&mut self, offer: &SessionDescription) {
        let sections = super::sdp::sections(&offer.sdp);
        let (carried, missing, free) = match self.subscriber {
            Some(_) => Default::default(),
            None => self.heard.assign(&sections, self.publisher.carried()),
        };
        let mid_to_track_id = carried.iter().map(|(mid, carried)| (mid.clone(), carried.track.clone())).collect();
        let assigned: Vec<String> = carried.keys().cloned().collect();
        let in_full = self.published.in_full(&sections);
        let sdp = match self.publisher.answer(&offer.sdp, carried, free, &in_full) {
            Ok(sdp) => sdp,
            Err(error) => {
                tracing::debug!(sid = &*self.sid, "an offer was refused: {error}");
                self.door.counters.unread.add(1);
                return;
            }
        };
        self.heard.assigned(assigned.iter());
        self.publisher.announce(&mut self.inbox);
        let description = SessionDescription { r#type: "answer".to_owned(), sdp, id: offer.id, mid_to_track_id };
        self.signals.send(Message::Answer(description));
        if self.published.follow(&sections) {
            self.tell_tracks();
        }
        if missing > 0 {
            self.owes_offer = true;
            self.negotiate();
        }
    }

    fn add_track(&mut self, request: &AddTrackRequest) {
        let may = self.token.grants.may_publish(source(request.source));
        let track = if may { self.published.announce(&self.sid, request) } else { None };
        match track {
            Some(track) => {
                let published = TrackPublishedResponse { cid: request.cid.clone(), track: Some(track) };
                self.signals.send(Message::TrackPublished(published));
            }
            None => {
                self.door.counters.refused.add(1);
                let reason =
                    if may { request_response::Reason::UnsupportedType } else { request_response::Reason::NotAllowed };
                let refused = request_response::Request::AddTrack(request.clone());
                self.respond(0, reason, Some(refused));
            }
        }
    }

    pub(super) fn tell_tracks(&mut self) {
        let tracks = self.published.infos();
        if tracks.iter().all(|track| track.muted) {
            self.speech.silence();
        }
        self.change(|info| {
            info.is_publisher = !tracks.is_empty();
            info.tracks = tracks;
        });
    }

    fn update_metadata(&mut self, update: UpdateParticipantMetadata) {
        use request_response::Reason;
        let UpdateParticipantMetadata { metadata, name, attributes, request_id } = update;
        let mut reason = Reason::NotAllowed;
        if self.token.grants.can_update_own_metadata {
            let profile = Profile { name, metadata, attributes };
            self.change(|info| {
                reason = if profile.apply(info).is_ok() { Reason::Ok } else { Reason::LimitExceeded };
            });
        }
        if request_id != 0 {
            self.respond(request_id, reason, None);
        }
    }

    fn respond(&self, request_id: u32, reason: request_response::Reason, request: Option<request_response::Request>) {
        if self.dialect.knows_request_response() {
            let response = RequestResponse { request_id, reason: reason as i32, request, ..Default::default() };
            self.signals.send(Message::RequestResponse(response));
        }
    }
}

fn server_info() -> ServerInfo {
    ServerInfo { version: VERSION.to_owned(), protocol: PROTOCOL, ..Default::default() }
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
