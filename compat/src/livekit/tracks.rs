//! The tracks that a participant publishes, and those that it hears.

use super::negotiation::MANY_SECTIONS;
use super::sdp::{Carried, Section};
use livekit_protocol::{AddTrackRequest, AudioTrackFeature, Codec, TrackInfo, TrackSource, TrackType};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use str0m::media::Mid;
use str0m::rtp::RtpPacket;

/// Tracks of one participant: a microphone, and what a game may add.
const MAX_PUBLISHED: usize = 8;

/// Tracks that one participant hears.
pub(super) const MAX_HEARD: usize = 64;

/// Longest name that a client gives something, in bytes.
const MAX_NAME: usize = 256;

/// What a participant publishes.
#[derive(Debug, Default)]
pub(super) struct Published {
    count: u64,
    /// By the client's name for it: announced, and not yet in an offer.
    announced: HashMap<String, TrackInfo>,
    /// By the section that brings it.
    live: BTreeMap<Mid, TrackInfo>,
}

impl Published {
    /// Takes in what a client is about to publish; `None` when that is more than it may, or no sound.
    pub(super) fn announce(&mut self, participant: &str, request: &AddTrackRequest) -> Option<TrackInfo> {
        let is_audio = request.r#type == TrackType::Audio as i32;
        let names = [&request.cid, &request.name, &request.stream];
        let fits = names.iter().all(|name| name.len() <= MAX_NAME);
        if !is_audio || !fits || self.announced.len() + self.live.len() >= MAX_PUBLISHED {
            return None;
        }
        self.count += 1;
        let (full, two) = (AudioTrackFeature::TfNoDtx as i32, AudioTrackFeature::TfStereo as i32);
        let has = |feature: i32| request.audio_features.contains(&feature);
        #[allow(deprecated, reason = "clients before 2024 write and read them")]
        let (disable_dtx, stereo) = (request.disable_dtx || has(full), request.stereo || has(two));
        let features = [(disable_dtx, full), (stereo, two)].into_iter().filter(|(is_so, _)| *is_so);
        #[allow(deprecated, reason = "clients before 2024 write and read them")]
        let track = TrackInfo {
            sid: format!("TR_{}{:x}", participant.trim_start_matches("PA_"), self.count),
            r#type: TrackType::Audio as i32,
            name: request.name.clone(),
            muted: request.muted,
            source: request.source,
            mime_type: "audio/opus".to_owned(),
            disable_dtx,
            stereo,
            disable_red: true,
            stream: request.stream.clone(),
            audio_features: features.map(|(_, feature)| feature).collect(),
            ..Default::default()
        };
        self.announced.insert(request.cid.clone(), track.clone());
        Some(track)
    }

    /// Follows an offer. True when what is published has changed.
    pub(super) fn follow(&mut self, sections: &[Section]) -> bool {
        let before = self.live.len();
        let sends = |mid: &Mid| sections.iter().any(|section| section.sends && Mid::from(section.mid.as_str()) == *mid);
        self.live.retain(|mid, _| sends(mid));
        let mut has_changed = self.live.len() != before;
        for section in sections.iter().filter(|section| section.sends && section.kind == "audio") {
            let mid = Mid::from(section.mid.as_str());
            let Some(mut track) = section.track.as_ref().and_then(|name| self.announced.remove(name)) else { continue };
            track.mid = section.mid.clone();
            self.live.insert(mid, track);
            has_changed = true;
        }
        has_changed
    }

    /// The sections of an offer whose tracks are to be sent in full, also where nothing is to be heard (`disable_dtx`).
    pub(super) fn in_full(&self, sections: &[Section]) -> HashSet<String> {
        let is_full = |section: &&Section| {
            let live = self.live.get(&Mid::from(section.mid.as_str()));
            let track = live.or_else(|| section.track.as_ref().and_then(|name| self.announced.get(name)));
            #[allow(deprecated, reason = "clients before 2024 write it nowhere else")]
            track.is_some_and(|track| track.disable_dtx)
        };
        sections.iter().filter(is_full).map(|section| section.mid.clone()).collect()
    }

    /// Mutes a track or lets it be heard again. True when that is news.
    pub(super) fn mute(&mut self, sid: &str, muted: bool) -> bool {
        let tracks = self.live.values_mut().chain(self.announced.values_mut());
        let Some(track) = tracks.into_iter().find(|track| track.sid == sid) else { return false };
        let is_news = track.muted != muted;
        track.muted = muted;
        is_news
    }

    /// Ends those of the sources that may not be published any more, announced ones, too. The sids of those that had begun.
    pub(super) fn revoke(&mut self, may: impl Fn(i32) -> bool) -> Vec<String> {
        self.announced.retain(|_, track| may(track.source));
        let ended = self.live.values().filter(|track| !may(track.source)).map(|track| track.sid.clone()).collect();
        self.live.retain(|_, track| may(track.source));
        ended
    }

    /// What is published, for others to know.
    pub(super) fn infos(&self) -> Vec<TrackInfo> {
        self.live.values().cloned().collect()
    }

    /// The track that a packet of this section is of, unless it is muted.
    pub(super) fn heard(&self, mid: Mid) -> Option<&TrackInfo> {
        self.live.get(&mid).filter(|track| !track.muted)
    }
}

/// What a participant hears.
#[derive(Debug)]
pub(super) struct Heard {
    auto: bool,
    /// What it has asked for, by track.
    asked: HashMap<String, bool>,
    wanted: Vec<Carried>,
    /// The client's sections that have carried a track.
    used: HashSet<String>,
    /// Numbers of packets, by the section that carries them.
    numbers: HashMap<String, Numbers>,
}

/// Numbers and times that go on when a section carries another track. What a subscriber hears begins below 65,536, or the keys of
/// its packets would not fit.
#[derive(Debug)]
struct Numbers {
    track: Arc<str>,
    number_offset: i64,
    time_offset: u32,
    last_number: i64,
    last_time: u32,
}

/// RTP ticks of 20 ms: between two tracks in one section.
const GAP: u32 = 960;

impl Heard {
    pub(super) fn new(auto: bool) -> Self {
        Self { auto, asked: HashMap::new(), wanted: Vec::new(), used: HashSet::new(), numbers: HashMap::new() }
    }

    /// The participant asks for a track, or not to hear it.
    pub(super) fn ask(&mut self, sid: String, hear: bool) {
        let is_known = self.asked.contains_key(&sid);
        if is_known || (self.asked.len() < 4 * MAX_HEARD && sid.len() <= MAX_NAME) {
            self.asked.insert(sid, hear);
        }
    }

    /// Whether it wants to hear this one.
    pub(super) fn wants(&self, sid: &str) -> bool {
        self.asked.get(sid).copied().unwrap_or(self.auto)
    }

    /// From now on it is to hear these. True when they are others than before.
    pub(super) fn want(&mut self, wanted: Vec<Carried>) -> bool {
        let has_changed = self.wanted != wanted;
        self.wanted = wanted;
        has_changed
    }

    pub(super) fn wanted(&self) -> &[Carried] {
        &self.wanted
    }

    /// Which tracks the receiving sections of a client's offer are to carry: as before where they do, else whatever has carried
    /// none. Clients end what a section has brought for good, so that another track there would not be heard. Also, how many
    /// sections are missing, and how many are left. [`Heard::assigned`] once the client is told so.
    pub(super) fn assign(
        &mut self,
        sections: &[Section],
        before: &HashMap<String, Carried>,
    ) -> (HashMap<String, Carried>, usize, usize) {
        if sections.len() >= MANY_SECTIONS {
            // Too long for that. One is idle for a description, at least, before it is used again.
            self.used.retain(|mid| before.contains_key(mid));
        }
        let ours = |section: &&Section| section.kind == "audio" && section.receives && !section.sends;
        let mut carried = HashMap::new();
        for section in sections.iter().filter(ours) {
            if let Some(track) = before.get(&section.mid).filter(|track| self.wanted.contains(track)) {
                carried.insert(section.mid.clone(), track.clone());
            }
        }
        let is_new = |track: &&Carried| !carried.values().any(|known| known == *track);
        let mut new: Vec<Carried> = self.wanted.iter().filter(is_new).cloned().collect();
        let mut left = 0;
        for section in sections.iter().filter(ours).filter(|section| !before.contains_key(&section.mid)) {
            if self.used.contains(&section.mid) || section.mid.len() > MAX_NAME {
                continue;
            }
            match new.pop() {
                Some(track) => {
                    carried.insert(section.mid.clone(), track);
                }
                None => left += 1,
            }
        }
        (carried, new.len(), left)
    }

    /// These sections carry tracks from now on.
    pub(super) fn assigned<'a>(&mut self, carried: impl Iterator<Item = &'a String>) {
        self.used.extend(carried.cloned());
    }

    /// The number and time that a packet of `track` gets in this section.
    pub(super) fn number(&mut self, mid: &str, track: &Arc<str>, packet: &RtpPacket) -> Option<(u64, u32)> {
        let number = i64::try_from(*packet.seq_no).ok()?;
        let time = packet.header.timestamp;
        let numbers = self.numbers.entry(mid.to_owned()).or_insert_with(|| Numbers {
            track: Arc::clone(track),
            number_offset: 1 - number,
            time_offset: 0,
            last_number: 0,
            last_time: time,
        });
        if numbers.track != *track {
            numbers.track = Arc::clone(track);
            numbers.number_offset = numbers.last_number + 1 - number;
            numbers.time_offset = numbers.last_time.wrapping_add(GAP).wrapping_sub(time);
        }
        let (number, time) = (number + numbers.number_offset, time.wrapping_add(numbers.time_offset));
        if number >= numbers.last_number {
            (numbers.last_number, numbers.last_time) = (number, time);
        }
        u64::try_from(number).ok().map(|number| (number, time))
    }
}

/// The one codec of tracks.
pub(super) fn opus() -> Codec {
    Codec { mime: "audio/opus".to_owned(), fmtp_line: String::new() }
}

/// The source of a track, as tokens name it.
pub(super) fn source(source: i32) -> atoll_core::auth::LivekitSource {
    use atoll_core::auth::LivekitSource as Source;
    match TrackSource::try_from(source) {
        Ok(TrackSource::Camera) => Source::Camera,
        Ok(TrackSource::Microphone) => Source::Microphone,
        Ok(TrackSource::ScreenShare) => Source::ScreenShare,
        Ok(TrackSource::ScreenShareAudio) => Source::ScreenShareAudio,
        Ok(TrackSource::Unknown) | Err(_) => Source::Unknown,
    }
}

/// The same, as LiveKit's messages have it.
pub(super) fn livekit_source(source: atoll_core::auth::LivekitSource) -> i32 {
    use atoll_core::auth::LivekitSource as Source;
    let source = match source {
        Source::Camera => TrackSource::Camera,
        Source::Microphone => TrackSource::Microphone,
        Source::ScreenShare => TrackSource::ScreenShare,
        Source::ScreenShareAudio => TrackSource::ScreenShareAudio,
        Source::Unknown => TrackSource::Unknown,
    };
    source as i32
}
