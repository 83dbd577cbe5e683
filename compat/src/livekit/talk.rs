//! What a participant says reliably, on its way into the room at the pace that is allowed.

use super::mailbox::MAX_MESSAGE;
use super::notice::Notice;
use super::rooms::Room;
use crate::counters::RoomCounters;
use atoll_core::limit::Pace;
use atoll_core::region::Seat;
use atoll_core::room::Outgoing;
use atoll_proto::datagram::Alias;
use bytes::Bytes;
use futures_util::FutureExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes that may wait: data channels cannot be asked to wait, so this is how much a client may be ahead.
const WAITING: usize = 2 << 20;

/// Messages that may wait.
const MESSAGES: usize = 4096;

/// Something that a participant says reliably.
pub(super) enum Said {
    /// A packet for its room.
    Packet(Outgoing),
    /// A message that only clients of LiveKit understand.
    Other(Meant),
}

/// A message that only clients of LiveKit understand, and whom it is for.
pub(super) struct Meant {
    pub(super) message: Bytes,
    /// Their identities; none for all.
    pub(super) to: Vec<String>,
}

/// The way into the room. What it holds still goes in when it is dropped, and then the seat is given up.
pub(super) struct Talk {
    seat: Arc<Seat>,
    /// LiveKit's clients there.
    room: Arc<Room>,
    counters: Arc<RoomCounters>,
    pace: Pace,
    waiting: Arc<AtomicUsize>,
    task: Option<(mpsc::Sender<Said>, JoinHandle<()>)>,
}

impl Talk {
    pub(super) fn new(seat: Seat, room: Arc<Room>, pace: Pace, counters: Arc<RoomCounters>) -> Self {
        Self { seat: Arc::new(seat), room, counters, pace, waiting: Arc::default(), task: None }
    }

    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Says something after all that was said before. False when too much of it waits already.
    pub(super) fn say(&mut self, said: Said) -> bool {
        let bytes = said.size();
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING {
            return false;
        }
        let (sender, _) = self.task.get_or_insert_with(|| {
            let (sender, said) = mpsc::channel(MESSAGES);
            let speaker = Speaker {
                seat: Arc::clone(&self.seat),
                room: Arc::clone(&self.room),
                pace: self.pace.clone(),
                waiting: Arc::clone(&self.waiting),
                counters: Arc::clone(&self.counters),
            };
            (sender, tokio::spawn(speaker.speak(said)))
        });
        sender.try_send(said).is_ok()
    }

    /// Says nothing more of what waits.
    pub(super) fn stop(&mut self) {
        if let Some((_, speaking)) = self.task.take() {
            speaking.abort();
            self.waiting = Arc::default();
        }
    }

    /// Says at once what may be lost, and loses it, counted, when it is more than its client may say. The room has limits of its
    /// own for packets; these messages are for LiveKit's clients alone.
    pub(super) fn say_lossy(&self, meant: Meant) {
        if !meant.fits() || self.pace.wait_for_message(meant.size()).now_or_never().is_none() {
            return self.counters.refused.add(1);
        }
        meant.tell(&self.room, self.seat.alias(), false);
    }
}

/// The other end of it.
struct Speaker {
    seat: Arc<Seat>,
    room: Arc<Room>,
    pace: Pace,
    waiting: Arc<AtomicUsize>,
    counters: Arc<RoomCounters>,
}

impl Speaker {
    async fn speak(self, mut waiting: mpsc::Receiver<Said>) {
        while let Some(said) = waiting.recv().await {
            let bytes = said.size();
            self.pace.wait_for_message(bytes).await;
            let is_said = match said {
                Said::Packet(packet) => self.seat.send_ordered(packet).await.is_ok(),
                Said::Other(meant) => {
                    let fits = meant.fits();
                    if fits {
                        meant.tell(&self.room, self.seat.alias(), true);
                    }
                    fits
                }
            };
            if !is_said {
                self.counters.refused.add(1);
            }
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Said {
    /// Bytes of memory that it takes, or nearly.
    fn size(&self) -> usize {
        match self {
            Self::Packet(packet) => {
                let addressees = packet.to.as_ref().map_or(0, |to| size_of_val::<[Alias]>(to));
                packet.payload.len() + addressees + packet.topic.as_ref().map_or(0, |topic| topic.len())
            }
            Self::Other(meant) => meant.size(),
        }
    }
}

impl Meant {
    fn size(&self) -> usize {
        self.message.len() + self.to.iter().map(|identity| size_of::<String>() + identity.len()).sum::<usize>()
    }

    /// Whether clients take messages as large as this.
    fn fits(&self) -> bool {
        self.message.len() <= MAX_MESSAGE
    }

    fn tell(self, room: &Room, from: Alias, reliable: bool) {
        let to: HashSet<&str> = self.to.iter().map(String::as_str).collect();
        let notice = Notice::Data { reliable, message: self.message };
        room.tell(from, |identity| to.is_empty() || to.contains(identity), &notice);
    }
}
