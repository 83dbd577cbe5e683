//! Who is still inside when the edge ends.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// Counts nobody, but notices when the last one has gone.
pub(super) struct Gate {
    /// Everybody inside holds one; taken at the end, so that the last one's drop is noticed.
    alive: Mutex<Option<mpsc::Sender<Infallible>>>,
    all_gone: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

/// Somebody whom the end waits for.
pub(super) struct Alive {
    _sender: Option<mpsc::Sender<Infallible>>,
}

impl Default for Gate {
    fn default() -> Self {
        let (alive, all_gone) = mpsc::channel(1);
        Self { alive: Mutex::new(Some(alive)), all_gone: tokio::sync::Mutex::new(all_gone) }
    }
}

impl Gate {
    /// One more, until it is dropped. Nobody waits for those who come after the end has begun.
    pub(super) fn enter(&self) -> Alive {
        Alive { _sender: self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    /// Waits until all have gone who came in before.
    pub(super) async fn all_gone(&self) {
        drop(self.alive.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Nothing is ever sent, so this waits for the last sender.
        let _ = self.all_gone.lock().await.recv().await;
    }
}
