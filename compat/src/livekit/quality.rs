//! How well a participant's connection does, as its client and the others are told.
//!
//! From what this end sees: packets that are missing among the media that it publishes, and the round trip that its client measures
//! with its pings. LiveKit's server computes a score of speech from the same two; what is told is one of four words either way.

use livekit_protocol::ConnectionQuality;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use str0m::media::Mid;

/// How often it is looked at.
pub(super) const WINDOW: Duration = Duration::from_secs(5);

/// Packets lost, in a hundred, from which it is good, and from which it is poor.
const LOSS: (u64, u64) = (3, 10);

/// Round trips, in milliseconds, from which it is good, and from which it is poor.
const ROUND_TRIP: (i64, i64) = (300, 800);

/// Packets of a window below which a loss tells nothing: a speaker who is silent sends two a second.
const FEW: u64 = 20;

/// Numbers that go on by more than this are of another stream.
const LEAP: u64 = 2000;

/// The measure of one participant.
#[derive(Debug)]
pub(super) struct Quality {
    since: Instant,
    /// The numbers of its sections' packets.
    streams: HashMap<Mid, Stream>,
    round_trip: i64,
    is_connected: bool,
    told: Option<ConnectionQuality>,
}

#[derive(Debug)]
struct Stream {
    /// The highest before this window.
    before: u64,
    highest: u64,
    received: u64,
}

impl Quality {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, streams: HashMap::new(), round_trip: 0, is_connected: false, told: None }
    }

    /// A packet of this number came. Sections are as many as the client has tracks.
    pub(super) fn heard(&mut self, mid: Mid, number: u64) {
        let fresh = Stream { before: number.saturating_sub(1), highest: number, received: 1 };
        match self.streams.get_mut(&mid) {
            Some(stream) if number.abs_diff(stream.highest) <= LEAP => {
                stream.highest = stream.highest.max(number);
                stream.received += 1;
            }
            _ => _ = self.streams.insert(mid, fresh),
        }
    }

    /// The round trip that the client has measured, in milliseconds.
    pub(super) fn measured(&mut self, round_trip: i64) {
        self.round_trip = round_trip.max(0);
    }

    /// Packets can flow, or cannot any more. What is news of it.
    pub(super) fn connected(&mut self, is_connected: bool) -> Option<ConnectionQuality> {
        self.is_connected = is_connected;
        self.streams.clear();
        self.news(if is_connected { self.by_round_trip() } else { ConnectionQuality::Lost })
    }

    /// When the window ends.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_connected.then(|| self.since + WINDOW)
    }

    /// At the end of a window, what is news.
    pub(super) fn look(&mut self, now: Instant) -> Option<ConnectionQuality> {
        if !self.is_connected || now < self.since + WINDOW {
            return None;
        }
        self.since = now;
        let (mut expected, mut received) = (0, 0);
        for stream in self.streams.values_mut() {
            expected += stream.highest - stream.before;
            received += stream.received;
            (stream.before, stream.received) = (stream.highest, 0);
        }
        let lost = expected.saturating_sub(received) * 100;
        let by_loss = match () {
            () if expected < FEW || lost < LOSS.0 * expected => ConnectionQuality::Excellent,
            () if lost < LOSS.1 * expected => ConnectionQuality::Good,
            () => ConnectionQuality::Poor,
        };
        // The words are numbered from bad to good, but for the last.
        let worse = (by_loss as i32).min(self.by_round_trip() as i32);
        self.news(ConnectionQuality::try_from(worse).unwrap_or(by_loss))
    }

    fn by_round_trip(&self) -> ConnectionQuality {
        match self.round_trip {
            time if time < ROUND_TRIP.0 => ConnectionQuality::Excellent,
            time if time < ROUND_TRIP.1 => ConnectionQuality::Good,
            _ => ConnectionQuality::Poor,
        }
    }

    fn news(&mut self, quality: ConnectionQuality) -> Option<ConnectionQuality> {
        (self.told.replace(quality) != Some(quality)).then_some(quality)
    }
}

/// The score that goes with a word.
pub(super) fn score(quality: ConnectionQuality) -> f32 {
    match quality {
        ConnectionQuality::Excellent => 5.0,
        ConnectionQuality::Good => 4.0,
        ConnectionQuality::Poor => 2.0,
        ConnectionQuality::Lost => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionQuality::{Excellent, Good, Lost, Poor};

    #[test]
    fn lost_packets_and_long_round_trips_are_told_when_they_are_news() {
        let begun = Instant::now();
        let mut quality = Quality::new(begun);
        assert_eq!((quality.due(), quality.look(begun + WINDOW)), (None, None));
        assert_eq!(quality.connected(true), Some(Excellent));
        let mid = Mid::from("0");
        let mut now = begun;
        let mut number = 65_500;
        // One packet of every so many does not come.
        let mut window = |quality: &mut Quality, every: u64| {
            for _ in 0..250 {
                number += 1;
                if number % every != 0 {
                    quality.heard(mid, number);
                }
            }
            now = now.max(quality.due().unwrap());
            quality.look(now)
        };
        assert_eq!(window(&mut quality, u64::MAX), None);
        assert_eq!(window(&mut quality, 20), Some(Good));
        assert_eq!(window(&mut quality, 20), None);
        assert_eq!(window(&mut quality, 5), Some(Poor));
        assert_eq!(window(&mut quality, u64::MAX), Some(Excellent));
        quality.measured(500);
        assert_eq!(window(&mut quality, u64::MAX), Some(Good));
        assert_eq!(window(&mut quality, 5), Some(Poor), "the worse of the two");
        quality.measured(-7);
        // Another stream in the same section is no loss, and neither is silence.
        quality.heard(mid, 9_000_000);
        assert_eq!(window(&mut quality, u64::MAX), Some(Excellent));
        assert_eq!(quality.connected(false), Some(Lost));
        assert_eq!(quality.due(), None);
        assert_eq!(quality.connected(true), Some(Excellent));
    }
}
