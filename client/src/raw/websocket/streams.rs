//! The channels of a WebSocket as streams.

use super::WebSocket;
use crate::raw::StreamError;
use atoll_proto::channel::{Channel, LARGE_SLICE, join};
use atoll_proto::lanes::{LARGE_STREAM, ORDERED_STREAM};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_tungstenite::tungstenite::Message;

/// Bytes to send on one channel. Large ones take turns, each from its first byte to its end.
#[derive(Debug)]
pub(in crate::raw) struct SendStream {
    socket: WebSocket,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first byte will name the channel.
    Unnamed,
    Open {
        channel: Channel,
        _turn: Option<OwnedSemaphorePermit>,
    },
    Ended,
}

/// Bytes that arrive on one channel.
#[derive(Debug)]
pub(in crate::raw) struct RecvStream {
    rest: Bytes,
    pieces: mpsc::Receiver<Bytes>,
}

impl SendStream {
    pub(super) fn control(socket: WebSocket) -> Self {
        Self { socket, state: State::Open { channel: Channel::Control, _turn: None } }
    }

    pub(super) fn unnamed(socket: WebSocket) -> Self {
        Self { socket, state: State::Unnamed }
    }

    pub(in crate::raw) async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        if let (State::Unnamed, Some((&kind, rest))) = (&self.state, bytes.split_first()) {
            self.state = self.named(kind).await?;
            bytes = rest;
        }
        let channel = match self.state {
            State::Open { channel, .. } => channel,
            State::Unnamed => return Ok(()),
            State::Ended => return Err(StreamError::Ended),
        };
        let queue = match channel {
            Channel::Ordered => &self.socket.ordered,
            Channel::Large => &self.socket.large,
            Channel::Control | Channel::Datagram => &self.socket.control,
        };
        for slice in bytes.chunks(LARGE_SLICE) {
            let message = Message::Binary(join(channel, slice));
            queue.send(message).await.map_err(|_| StreamError::ConnectionLost)?;
        }
        Ok(())
    }

    pub(in crate::raw) fn finish(&mut self) -> Result<(), StreamError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Err(StreamError::Ended),
            _ => Ok(()),
        }
    }

    async fn named(&self, kind: u8) -> Result<State, StreamError> {
        match kind {
            ORDERED_STREAM => Ok(State::Open { channel: Channel::Ordered, _turn: None }),
            LARGE_STREAM => {
                let turn = Arc::clone(&self.socket.large_turn).acquire_owned().await;
                let turn = turn.map_err(|_| StreamError::ConnectionLost)?;
                Ok(State::Open { channel: Channel::Large, _turn: Some(turn) })
            }
            _ => Err(StreamError::UnknownType),
        }
    }
}

impl RecvStream {
    /// A stream that begins with `first`.
    pub(super) fn new(first: Bytes, pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { rest: first, pieces }
    }

    pub(in crate::raw) async fn read_chunk(&mut self, most: usize) -> Option<Bytes> {
        while self.rest.is_empty() {
            self.rest = self.pieces.recv().await?;
        }
        Some(self.rest.split_to(most.min(self.rest.len())))
    }

    /// What still comes is thrown away.
    pub(in crate::raw) fn stop(&mut self) {
        self.rest.clear();
        self.pieces.close();
    }
}
