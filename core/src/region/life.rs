//! How long a session's seat lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a seat may stay in a room that its session has left: until its client has found the way to the next one.
const LEFT_BEHIND: Duration = Duration::from_secs(30);

/// Why a seat is over, whatever its client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its address logged in elsewhere.
    Kicked,
    /// Its session has ended.
    Ended,
    /// Its session went to another island half a minute ago.
    LeftBehind,
}

/// What ends a session's seat.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Counts the session's moves from island to island. Ends with it.
    moves: watch::Receiver<u64>,
    /// How many there were when the seat was taken, if it is in the session's island.
    taken_at: Option<u64>,
    kicked: Arc<AtomicBool>,
}

impl Life {
    pub(super) fn new(moves: &watch::Sender<u64>, in_island: bool, kicked: Arc<AtomicBool>) -> Self {
        let taken_at = in_island.then(|| *moves.borrow());
        Self { moves: moves.subscribe(), taken_at, kicked }
    }

    /// How often the session had moved when the seat was taken, if it is in the session's island.
    pub(super) fn taken_at(&self) -> Option<u64> {
        self.taken_at
    }

    /// Waits until the seat is over.
    pub(super) async fn over(mut self) -> Over {
        loop {
            let has_left = self.taken_at.is_some_and(|taken_at| *self.moves.borrow_and_update() != taken_at);
            let has_ended = match has_left {
                true => match timeout(LEFT_BEHIND, ended(&mut self.moves)).await {
                    Ok(()) => true,
                    Err(_) => return Over::LeftBehind,
                },
                false => self.moves.changed().await.is_err(),
            };
            if has_ended {
                return if self.kicked.load(Ordering::Relaxed) { Over::Kicked } else { Over::Ended };
            }
        }
    }
}

async fn ended(moves: &mut watch::Receiver<u64>) {
    while moves.changed().await.is_ok() {}
}
