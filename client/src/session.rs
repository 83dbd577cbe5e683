//! What a logged-in client and its tasks share, and the tasks: one listens, one sends heartbeats.

use crate::closed::Closed;
use crate::event::{Event, Stats};
use crate::queue::EventQueue;
use crate::raw::{ControlReader, ControlWriter, Transport, reason};
use crate::seat::{Changes, Seat};
use atoll_proto::archipelago::{Heartbeat, Position};
use atoll_proto::atoll::{ClientMessage, Error, ServerMessage, client_message, server_message};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::Sequence;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// What the client and its tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) transport: Transport,
    state: Mutex<State>,
    /// Told once for each addition to the queue.
    added: Notify,
}

/// Held for moments only, never while waiting. One lock for all, so that an island change is in the queue before
/// any packet of its room is.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) seat: Option<Seat>,
    pub(crate) stats: Stats,
    /// The last sequence sent. It never starts again, whatever room the client sits in.
    pub(crate) sequence: Sequence,
    queue: EventQueue,
    kicked: bool,
}

impl Shared {
    pub(crate) fn new(transport: Transport, packet_queue: usize) -> Self {
        let state = State {
            seat: None,
            stats: Stats::default(),
            sequence: Sequence::default(),
            queue: EventQueue::new(packet_queue),
            kicked: false,
        };
        Self { transport, state: Mutex::new(state), added: Notify::new() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest event, once there is one.
    pub(crate) async fn next_event(&self) -> Event {
        loop {
            let added = self.added.notified();
            if let Some(event) = self.state().queue.pop() {
                return event;
            }
            added.await;
        }
    }

    /// Why the session is over, if it is.
    pub(crate) fn closed(&self) -> Option<Closed> {
        self.state().queue.closed().cloned()
    }

    fn datagram(&self, datagram: Bytes) {
        let mut state = self.state();
        let State { seat, stats, queue, .. } = &mut *state;
        let Some(seat) = seat else {
            stats.unknown_tag += 1;
            return;
        };
        let mut dropped = 0;
        seat.receive(datagram, stats, |packet| dropped += u64::from(queue.push_packet(packet)));
        stats.queue_dropped += dropped;
        drop(state);
        self.added.notify_one();
    }

    fn control(&self, frame: &[u8]) -> Result<(), Closed> {
        let message: ServerMessage = atoll_proto::decode(frame).map_err(|error| Closed::Lost(error.to_string()))?;
        if let Some(message) = message.message {
            self.state().apply(message)?;
            self.added.notify_one();
        }
        Ok(())
    }

    /// Ends the session: whoever asks for events learns why, and nothing more is sent.
    fn end(&self, why: Closed) {
        let mut state = self.state();
        let why = match why {
            Closed::Edge { .. } => why,
            _ if state.kicked => Closed::from_code(CloseCode::Kicked, "kicked"),
            _ => why,
        };
        state.seat = None;
        state.queue.close(why);
        drop(state);
        self.added.notify_one();
    }
}

impl State {
    fn apply(&mut self, message: server_message::Message) -> Result<(), Closed> {
        use server_message::Message;
        let event = match message {
            Message::IslandChanged(changed) => {
                let (seat, island) = Seat::new(changed).map_err(|error| Closed::Lost(error.to_string()))?;
                self.seat = Some(seat);
                self.stats.islands += 1;
                Event::IslandChanged(island)
            }
            Message::MembersChanged(changed) => {
                let Some(seat) = &mut self.seat else {
                    return Ok(());
                };
                let news = seat.members_changed(changed).map_err(|error| Closed::Lost(error.to_string()))?;
                let Some(Changes { joined, left }) = news else {
                    return Ok(());
                };
                Event::MembersChanged { joined, left }
            }
            Message::Error(error) => refused(error),
            Message::Kicked(_) => {
                self.kicked = true;
                return Ok(());
            }
            // Answers to a login that is over, and what this client does not use. They change nothing.
            Message::ChallengeResponse(_) | Message::Welcome(_) | Message::Draining(_) | Message::Received(_) => {
                return Ok(());
            }
        };
        self.queue.push_control(event).map_err(|_| Closed::Lagged)
    }
}

fn refused(error: Error) -> Event {
    Event::Refused { code: error.code(), reason: error.reason, count: error.count }
}

/// Reads what the edge sends until the session is over.
pub(crate) async fn listen(shared: Arc<Shared>, mut reader: ControlReader) {
    let why = loop {
        let heard = tokio::select! {
            frame = reader.recv() => match frame {
                Ok(frame) => shared.control(&frame),
                Err(error) => Err(reason(&shared.transport, error).await.into()),
            },
            datagram = shared.transport.recv_datagram() => datagram.map(|datagram| shared.datagram(datagram)),
        };
        if let Err(why) = heard {
            break why;
        }
    };
    // What the edge said before it closed may lie unread; reading ends where that does.
    if matches!(why, Closed::Edge { .. }) {
        while let Ok(frame) = reader.recv().await {
            if shared.control(&frame).is_err() {
                break;
            }
        }
    }
    let code = if why == Closed::Lagged { CloseCode::TooSlow } else { CloseCode::Malformed };
    shared.transport.close(code, &why.to_string());
    shared.end(why);
}

/// Sends each new position, or only the newest when the stream is slower than they come, until the client is gone.
pub(crate) async fn send_heartbeats(mut writer: ControlWriter, mut positions: watch::Receiver<Option<Position>>) {
    while positions.changed().await.is_ok() {
        let position = *positions.borrow_and_update();
        let heartbeat = Heartbeat { position, desired_room: None };
        let message = ClientMessage { message: Some(client_message::Message::Heartbeat(heartbeat)) };
        if writer.send(&message).await.is_err() {
            return;
        }
    }
}
