//! Island changes that come twice, because somebody says them in two spellings.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an island change that was heard may come again.
const AGAIN: Duration = Duration::from_secs(2);

/// Peers whose last island change is remembered.
const REMEMBERED: usize = 65_536;

/// The last island change of each peer, by its subject.
#[derive(Default)]
pub(super) struct Heard(Mutex<HashMap<String, (u64, Instant)>>);

impl Heard {
    /// Whether the island change of this subject is the one that was heard last, within 2 s.
    pub(super) fn again(&self, subject: &str, payload: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        let (hash, now) = (hasher.finish(), Instant::now());
        let mut heard = self.lock();
        if heard.len() >= REMEMBERED {
            heard.retain(|_, (_, at)| now.duration_since(*at) < AGAIN);
            if heard.len() >= REMEMBERED {
                heard.clear();
            }
        }
        let last = heard.insert(subject.to_owned(), (hash, now));
        last.is_some_and(|(last, at)| last == hash && now.duration_since(at) < AGAIN)
    }

    /// Who logs in again hears of the same island once more. Does nothing for other subjects than logins.
    pub(super) fn forget_on_login(&self, subject: &str) {
        let peer = subject.strip_prefix("peer.").and_then(|rest| rest.strip_suffix(".connect"));
        if let Some(peer) = peer {
            self.lock().remove(&super::subjects::island_changed(peer));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_change_acts_once_within_two_seconds_unless_the_peer_logged_in_meanwhile() {
        let (heard, subject) = (Heard::default(), "client-proto.0xa.island_changed");
        assert!(!heard.again(subject, b"I1"));
        assert!(heard.again(subject, b"I1"));
        assert!(!heard.again(subject, b"I2"));
        assert!(!heard.again(subject, b"I1"), "back within a moment");
        heard.forget_on_login("peer.0xb.connect");
        heard.forget_on_login("peer.0xa.disconnect");
        assert!(heard.again(subject, b"I1"));
        heard.forget_on_login("peer.0xa.connect");
        assert!(!heard.again(subject, b"I1"), "another session of the same peer");
        tokio::time::sleep(AGAIN).await;
        assert!(!heard.again(subject, b"I1"));
    }
}
