//! Who speaks, by the loudness that clients write beside each packet (RFC 6464).

use std::time::{Duration, Instant};

/// How often it is looked at.
pub(super) const WINDOW: Duration = Duration::from_millis(400);

/// Packets louder than this are of somebody who speaks; in dB below the loudest there is.
const ACTIVE: f32 = -35.0;

/// How many of a window's packets have to be, in a hundred.
const SHARE: u32 = 20;

/// Levels are told in as many steps, so that not every breath is news.
const STEPS: f32 = 8.0;

/// The loudness of one participant.
#[derive(Debug)]
pub(super) struct Speech {
    since: Instant,
    packets: u32,
    active: u32,
    loudness: f32,
    /// What was last told: 0 for silence.
    told: f32,
}

impl Speech {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), packets: 0, active: 0, loudness: 0.0, told: 0.0 }
    }

    /// A packet of this loudness, in dB below the loudest there is.
    pub(super) fn heard(&mut self, decibels: i8) {
        let decibels = f32::from(decibels);
        self.packets += 1;
        if decibels > ACTIVE {
            self.active += 1;
            self.loudness += 10_f32.powf(decibels / 20.0);
        }
    }

    /// Nothing is heard any more.
    pub(super) fn silence(&mut self) {
        (self.packets, self.active, self.loudness) = (0, 0, 0.0);
    }

    /// When the window ends, while there is anything to be told of it.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.packets > 0 || self.told > 0.0).then(|| self.since + WINDOW)
    }

    /// At the end of a window, the level from 0 to 1 if that is news.
    pub(super) fn look(&mut self, now: Instant) -> Option<f32> {
        if now < self.since + WINDOW {
            return None;
        }
        let speaks = self.packets > 0 && self.active * 100 >= self.packets * SHARE;
        let mean = if speaks { self.loudness / self.active as f32 } else { 0.0 };
        // Somebody who speaks is told as one, however low.
        let level = if speaks { (mean * STEPS).ceil().clamp(1.0, STEPS) / STEPS } else { 0.0 };
        self.silence();
        self.since = now;
        let is_news = level != self.told;
        self.told = level;
        is_news.then_some(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_is_told_once_and_silence_once() {
        let mut speech = Speech::new();
        assert_eq!(speech.due(), None);
        let mut now = Instant::now();
        let mut window = |speech: &mut Speech, levels: &[i8]| {
            levels.iter().for_each(|level| speech.heard(*level));
            now += WINDOW;
            speech.look(now)
        };
        assert_eq!(window(&mut speech, &[-90; 20]), None);
        let told = window(&mut speech, &[-20; 20]).unwrap();
        assert!(told > 0.0 && told <= 1.0);
        assert_eq!(window(&mut speech, &[-20; 20]), None);
        assert!(speech.due().is_some());
        assert_eq!(window(&mut speech, &[-127; 20]), Some(0.0));
        assert_eq!(speech.due(), None);
        // Two loud packets of ten are speech, one is a cough.
        let some = |loud: usize| [vec![-10; loud], vec![-60; 10 - loud]].concat();
        assert_eq!(window(&mut speech, &some(1)), None);
        assert!(window(&mut speech, &some(2)).is_some());
        assert!(speech.look(now).is_none());
    }
}
