//! What others publish, in an order that may be acted on.
//!
//! Each pattern comes by a queue of its own, and queues are read in turn: a message can overtake those that came before it
//! by another pattern. Most may. The end of a session may not overtake its last heartbeat, which would bring the peer back
//! until it is missed; and what tells of all islands may not overtake the changes that led there. A login may overtake the
//! end of the session before it: the peer is then missed until its next heartbeat. That its first heartbeat overtakes it,
//! archipelago itself puts up with.

use super::options::SUBSCRIPTION_CAPACITY;
use super::subjects::{CONCLUSIONS, SAID};
use async_nats::{Client, Message, SubscribeError, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::{self, SelectAll};
use std::future::ready;

/// Most messages that can be in the queues of what is said.
const QUEUED: usize = SAID.len() * SUBSCRIPTION_CAPACITY;

/// Subscriptions to all that others say.
pub(super) struct Incoming {
    said: SelectAll<Subscriber>,
    conclusions: SelectAll<Subscriber>,
    /// A conclusion that waits for what was said before it. That is in its queues: messages are put there as they come.
    held: Option<Message>,
    /// Messages that went before the one that is held.
    went_before: usize,
}

impl Incoming {
    /// Subscribes to what is said, and to conclusions that overtake none of it.
    pub(super) async fn subscribe(client: &Client) -> Result<Self, SubscribeError> {
        let said = all(client, &SAID).await?;
        let conclusions = all(client, &CONCLUSIONS).await?;
        Ok(Self { said, conclusions, held: None, went_before: 0 })
    }

    /// The next message; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            // Where there is always more, it waits for what can have been before it, and no longer.
            if self.went_before >= QUEUED {
                self.went_before = 0;
                return self.held.take();
            }
            tokio::select! {
                biased;
                Some(message) = self.said.next() => {
                    self.went_before += usize::from(self.held.is_some());
                    return Some(message);
                }
                () = ready(()), if self.held.is_some() => {
                    self.went_before = 0;
                    return self.held.take();
                }
                Some(message) = self.conclusions.next() => self.held = Some(message),
                else => return None,
            }
        }
    }
}

async fn all(client: &Client, patterns: &[&str]) -> Result<SelectAll<Subscriber>, SubscribeError> {
    let mut subscribers = Vec::new();
    for pattern in patterns {
        subscribers.push(client.subscribe((*pattern).to_owned()).await?);
    }
    Ok(stream::select_all(subscribers))
}
