//! Participants whose clients may come back by another WebSocket.

use super::request::Wish;
use crate::socket::Socket;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// A client that has come back.
pub(super) struct Return {
    pub(super) socket: Socket,
    pub(super) wish: Wish,
}

/// Who is here, by room, identity and sid.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    entries: Mutex<HashMap<Key, Here>>,
}

/// Which connection's entry it is, and the way to it.
type Here = (u64, mpsc::Sender<Box<Return>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    room: String,
    identity: String,
    sid: String,
}

/// A participant's entry; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    lobby: Arc<Lobby>,
    key: Key,
    number: u64,
    returns: mpsc::Receiver<Box<Return>>,
}

impl Lobby {
    /// Enters a participant, in the place of one that had the same sid.
    pub(super) fn enter(self: &Arc<Self>, room: &str, identity: &str, sid: &str, number: u64) -> Entry {
        let key = Key { room: room.to_owned(), identity: identity.to_owned(), sid: sid.to_owned() };
        let (sender, returns) = mpsc::channel(1);
        self.lock().insert(key.clone(), (number, sender));
        Entry { lobby: Arc::clone(self), key, number, returns }
    }

    /// Hands a client that has come back to its participant; gives it back when there is none.
    pub(super) fn hand_over(
        &self,
        room: &str,
        identity: &str,
        sid: &str,
        returned: Box<Return>,
    ) -> Result<(), Box<Return>> {
        let key = Key { room: room.to_owned(), identity: identity.to_owned(), sid: sid.to_owned() };
        let sender = self.lock().get(&key).map(|(_, sender)| sender.clone());
        match sender {
            Some(sender) => sender.try_send(returned).map_err(mpsc::error::TrySendError::into_inner),
            None => Err(returned),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Here>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Waits for the client to come back. Cancel-safe.
    pub(super) async fn returned(&mut self) -> Option<Box<Return>> {
        self.returns.recv().await
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = self.lobby.lock();
        if entries.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            entries.remove(&self.key);
        }
    }
}
