//! Descriptions of a connection: what its client offers and what this side does, and the tracks in their sections.

use super::peer::Peer;
use super::sdp::{self, Carried};
use std::collections::{HashMap, HashSet};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::channel::{ChannelConfig, Reliability};
use str0m::media::{Direction, MediaKind, Mid};

/// Sections above which those of tracks that have gone are used again.
pub(super) const MANY_SECTIONS: usize = 128;

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

impl Peer {
    /// Answers a client's offer; `carried` are the tracks of this side's sections then, beside `free` ones. What the client sends in
    /// the sections `in_full` is not to be cut short.
    pub(super) fn answer(
        &mut self,
        offer: &str,
        carried: HashMap<String, Carried>,
        free: usize,
        in_full: &HashSet<String>,
    ) -> Result<String, SdpError> {
        self.is_touched = true;
        check(offer)?;
        let offer = SdpOffer::from_sdp_string(offer).map_err(|error| SdpError::Refused(error.to_string()))?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| SdpError::Refused(error.to_string()))?;
        (self.carried, self.free) = (carried, free);
        Ok(sdp::with_tracks(&answer.to_sdp_string(), &self.carried, in_full))
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
        Some((self.offers, sdp::with_tracks(&offer.to_sdp_string(), &self.offered, &HashSet::new())))
    }

    /// How many of the client's sections could carry a track and do not.
    pub(super) fn free_sections(&self) -> usize {
        self.free
    }

    /// The tracks of this side's sections, by the sections' names.
    pub(super) fn carried(&self) -> &HashMap<String, Carried> {
        &self.carried
    }
}

fn check(text: &str) -> Result<(), SdpError> {
    let fits = text.len() <= sdp::MAX_SDP && sdp::count(text) <= sdp::MAX_SECTIONS;
    if fits { Ok(()) } else { Err(SdpError::TooLarge) }
}
