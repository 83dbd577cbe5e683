//! The plain room: what one writes in an afternoon with tokio-tungstenite, without TLS, to compare Atoll with.
//!
//! A client sends payloads whose first 4 bytes are its own number. A message to it holds entries: a length (2 bytes) and a
//! payload. Relaying on arrival, a message holds one entry and its sender does not get it; by tick it holds the latest of
//! everybody and goes to everybody.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// Messages that wait for one member; what comes then is dropped.
const QUEUE: usize = 4096;

/// How many entries of a message were sent by others than `own`.
pub(crate) fn entries_of_others(mut message: &[u8], own: u32) -> u64 {
    let mut others = 0;
    while let Some((length, rest)) = message.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        others += u64::from(!payload.starts_with(&own.to_be_bytes()));
        message = rest;
    }
    others
}

/// A room in which everybody hears everybody.
#[derive(Debug, Default)]
pub struct PlainRoom {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    members: BTreeMap<u64, mpsc::Sender<Bytes>>,
    /// The latest of each, by tick.
    latest: BTreeMap<u64, Bytes>,
    next: u64,
}

impl PlainRoom {
    /// Takes members in for ever. Relays by `tick`, or on arrival where it is zero.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tick: Duration) {
        if !tick.is_zero() {
            tokio::spawn(self.clone().run(tick));
        }
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().member(stream, tick.is_zero()));
        }
    }

    async fn member(self: Arc<Self>, stream: TcpStream, at_once: bool) {
        // Without it the room would be compared at its worst.
        let _ = stream.set_nodelay(true);
        let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (mut sink, mut messages) = socket.split();
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let own = self.with(|state| {
            state.next += 1;
            state.members.insert(state.next, queue);
            state.next
        });
        tokio::spawn(async move {
            while let Some(first) = waiting.recv().await {
                let mut next = Some(first);
                while let Some(message) = next.take() {
                    if sink.feed(Message::Binary(message)).await.is_err() {
                        return;
                    }
                    next = waiting.try_recv().ok();
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        });
        while let Some(Ok(message)) = messages.next().await {
            let Message::Binary(payload) = message else { continue };
            self.with(
                |state| if at_once { state.relay(own, &payload) } else { drop(state.latest.insert(own, payload)) },
            );
        }
        self.with(|state| state.members.remove(&own));
    }

    async fn run(self: Arc<Self>, tick: Duration) {
        let mut ticks = tokio::time::interval(tick);
        loop {
            ticks.tick().await;
            self.with(State::tick);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn relay(&mut self, own: u64, payload: &[u8]) {
        let mut message = BytesMut::with_capacity(payload.len() + 2);
        put_entry(payload, &mut message);
        let message = message.freeze();
        for (member, queue) in &self.members {
            if *member != own {
                // A full queue is a slow member's loss.
                let _ = queue.try_send(message.clone());
            }
        }
    }

    fn tick(&mut self) {
        let mut message = BytesMut::new();
        for payload in std::mem::take(&mut self.latest).values() {
            put_entry(payload, &mut message);
        }
        if message.is_empty() {
            return;
        }
        let message = message.freeze();
        for queue in self.members.values() {
            let _ = queue.try_send(message.clone());
        }
    }
}

fn put_entry(payload: &[u8], message: &mut BytesMut) {
    message.put_u16(payload.len() as u16);
    message.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_others_are_counted() {
        let mut message = BytesMut::new();
        for sender in [1_u32, 2, 3] {
            put_entry(&[&sender.to_be_bytes()[..], &[0; 96]].concat(), &mut message);
        }
        assert_eq!(entries_of_others(&message, 2), 2);
        assert_eq!(entries_of_others(&message, 9), 3);
        assert_eq!(entries_of_others(&[], 9), 0);
    }
}
