//! Where a request waits that came faster than its client may ask. The rest of the participant goes on meanwhile.

use crate::ended::Ended;
use crate::socket::{Frames, Socket};
use crate::ws_room::outgoing::Outgoing;
use atoll_core::limit::Pace;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;

/// A participant's WebSocket, if it has one, which nothing more is read from while a request of it waits.
pub(super) struct Gate {
    pace: Pace,
    state: State,
}

enum State {
    /// The client has lost its WebSocket.
    Without,
    Open(Box<Socket>),
    /// A request waits, and has the socket with it.
    Shut(BoxFuture<'static, (Box<Socket>, Result<Bytes, Ended>)>),
}

impl Gate {
    pub(super) fn new(socket: Socket, pace: Pace) -> Self {
        Self { pace, state: State::Open(Box::new(socket)) }
    }

    /// The client has come back by this socket. What waited of the former one is forgotten.
    pub(super) fn replace(&mut self, socket: Socket) {
        self.state = State::Open(Box::new(socket));
    }

    /// The socket is lost.
    pub(super) fn lose(&mut self) {
        self.state = State::Without;
    }

    /// The next request, at the pace that is allowed, while `outgoing` goes out. Without a socket there is none. Cancel-safe.
    pub(super) async fn receive(&mut self, outgoing: &Arc<Outgoing>) -> Result<Bytes, Ended> {
        loop {
            match &mut self.state {
                State::Without => return pending().await,
                State::Open(socket) => {
                    let request = socket.receive_sending(&**outgoing).await?;
                    if self.pace.wait_for_message(request.len()).now_or_never().is_some() {
                        return Ok(request);
                    }
                    let State::Open(socket) = std::mem::replace(&mut self.state, State::Without) else { continue };
                    self.state = State::Shut(hold(socket, request, self.pace.clone(), Arc::clone(outgoing)).boxed());
                }
                State::Shut(held) => {
                    let (socket, request) = held.await;
                    self.state = State::Open(socket);
                    return request;
                }
            }
        }
    }

    /// The socket, after whatever still goes out by the way.
    pub(super) async fn into_socket(self) -> Option<Box<Socket>> {
        match self.state {
            State::Without => None,
            State::Open(socket) => Some(socket),
            State::Shut(held) => Some(held.await.0),
        }
    }
}

/// Holds a request until its client may ask again, and sends what is to be sent.
async fn hold(
    mut socket: Box<Socket>,
    request: Bytes,
    pace: Pace,
    outgoing: Arc<Outgoing>,
) -> (Box<Socket>, Result<Bytes, Ended>) {
    let mut waiting = pin!(pace.wait_for_message(request.len()));
    loop {
        let frames = tokio::select! {
            biased;
            ended = poll_fn(|cx| outgoing.poll_cut(cx)) => return (socket, Err(ended)),
            frames = poll_fn(|cx| outgoing.poll_next(cx)) => frames,
            () = &mut waiting => return (socket, Ok(request)),
        };
        let sent = match frames {
            Ok(frames) => socket.send_frames(frames).await,
            Err(ended) => Err(ended),
        };
        if let Err(ended) = sent {
            return (socket, Err(ended));
        }
    }
}
