//! Tokens that take an earlier session up, and the way to the task of each.

use super::attach::Attach;
use super::token::{Hash, Shown};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Random bytes of a token.
const TOKEN: usize = 32;

/// The sessions that can be resumed, by the hash of their token. There are at most two for each session: the last one
/// issued, and the one that was shown for it until its client has shown that it got the other.
#[derive(Default)]
pub(super) struct Resumptions {
    by_hash: Mutex<HashMap<Hash, mpsc::Sender<Attach>>>,
}

/// A token that is valid until it is used or this is dropped.
pub(super) struct Issued {
    resumptions: Arc<Resumptions>,
    hash: Hash,
}

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers for a resume token: {0}")]
pub(super) struct NoRandomness(#[from] getrandom::Error);

impl Resumptions {
    /// A new token as 64 hex digits; who shows it is brought to `session`.
    pub(super) fn issue(self: &Arc<Self>, session: mpsc::Sender<Attach>) -> Result<(String, Issued), NoRandomness> {
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token)?;
        let text = token.iter().fold(String::with_capacity(2 * TOKEN), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let issued = self.restore(Shown(hash_of(&text)), session);
        Ok((text, issued))
    }

    /// Makes a token that was shown valid once more.
    pub(super) fn restore(self: &Arc<Self>, Shown(hash): Shown, session: mpsc::Sender<Attach>) -> Issued {
        self.lock().insert(hash, session);
        Issued { resumptions: Arc::clone(self), hash }
    }

    /// The way to the session of a token, which is used up.
    pub(super) fn take(&self, token: &str) -> Option<(mpsc::Sender<Attach>, Shown)> {
        if token.len() != 2 * TOKEN {
            return None;
        }
        let hash = hash_of(token);
        let session = self.lock().remove(&hash)?;
        Some((session, Shown(hash)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, mpsc::Sender<Attach>>> {
        self.by_hash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Issued {
    fn drop(&mut self) {
        self.resumptions.lock().remove(&self.hash);
    }
}

fn hash_of(token: &str) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(resumptions: &Arc<Resumptions>) -> (String, Issued) {
        resumptions.issue(mpsc::channel(1).0).unwrap()
    }

    #[test]
    fn a_token_works_once_and_only_as_it_was_written() {
        let resumptions = Arc::default();
        let (token, issued) = issue(&resumptions);
        assert_eq!(token.len(), 64);
        for wrong in ["", "0", &token[1..], &token.to_uppercase(), &format!("{token} "), &"0".repeat(64)] {
            if wrong != token {
                assert!(resumptions.take(wrong).is_none(), "{wrong}");
            }
        }
        assert!(resumptions.take(&token).is_some());
        assert!(resumptions.take(&token).is_none());
        drop(issued);
    }

    #[test]
    fn a_token_that_was_restored_works_once_more() {
        let resumptions = Arc::default();
        let (token, issued) = issue(&resumptions);
        let (session, shown) = resumptions.take(&token).unwrap();
        drop(issued);
        let restored = resumptions.restore(shown, session);
        assert!(resumptions.take(&token).is_some());
        assert!(resumptions.take(&token).is_none());
        drop(restored);
        assert!(resumptions.lock().is_empty());
    }

    #[test]
    fn a_session_that_ended_leaves_no_token() {
        let resumptions = Arc::default();
        let (first, held) = issue(&resumptions);
        let (second, other) = issue(&resumptions);
        drop(held);
        assert!(resumptions.take(&first).is_none());
        assert!(resumptions.take(&second).is_some());
        drop(other);
        assert!(resumptions.lock().is_empty());
    }
}
