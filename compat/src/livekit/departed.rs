//! Who has left lately: a client that had lost its WebSocket has not heard of it.

use livekit_protocol::ParticipantInfo;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long it may take until a lost WebSocket is known for lost, and its client is back.
const KEPT: Duration = Duration::from_secs(60);

/// Most of them.
const MOST: usize = 1024;

/// Those who have left, the last ones last.
#[derive(Debug, Default)]
pub(super) struct Departed {
    gone: VecDeque<(Instant, ParticipantInfo)>,
}

impl Departed {
    /// Somebody has left; `info` says so.
    pub(super) fn add(&mut self, now: Instant, info: ParticipantInfo) {
        while self.gone.front().is_some_and(|(at, _)| now > *at + KEPT) || self.gone.len() >= MOST {
            self.gone.pop_front();
        }
        self.gone.push_back((now, info));
    }

    /// All of them, to be told again, but for those who are here again.
    pub(super) fn take(&mut self, is_here: impl Fn(&str) -> bool) -> Vec<ParticipantInfo> {
        self.gone.drain(..).map(|(_, info)| info).filter(|info| !is_here(&info.identity)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(identity: &str) -> ParticipantInfo {
        ParticipantInfo { identity: identity.to_owned(), ..Default::default() }
    }

    #[test]
    fn those_who_left_lately_are_told_once() {
        let mut departed = Departed::default();
        let now = Instant::now();
        departed.add(now, info("long ago"));
        departed.add(now + KEPT, info("here again"));
        departed.add(now + KEPT + Duration::from_secs(1), info("gone"));
        assert_eq!(departed.take(|identity| identity == "here again"), [info("gone")]);
        assert!(departed.take(|_| false).is_empty());
        (0..2 * MOST).for_each(|number| departed.add(now, info(&number.to_string())));
        let kept = departed.take(|_| false);
        assert_eq!((kept.len(), &*kept[0].identity), (MOST, "1024"));
    }
}
