//! What a participant says reliably, on its way into the room at the pace that is allowed.

use crate::counters::RoomCounters;
use atoll_core::limit::Pace;
use atoll_core::region::Seat;
use atoll_core::room::Outgoing;
use atoll_proto::datagram::Alias;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes that may wait: data channels cannot be asked to wait, so this is how much a client may be ahead.
const WAITING: usize = 2 << 20;

/// Messages that may wait.
const MESSAGES: usize = 4096;

/// The way into the room. What it holds still goes in when it is dropped, and then the seat is given up.
pub(super) struct Talk {
    seat: Arc<Seat>,
    counters: Arc<RoomCounters>,
    pace: Pace,
    waiting: Arc<AtomicUsize>,
    task: Option<(mpsc::Sender<Outgoing>, JoinHandle<()>)>,
}

impl Talk {
    pub(super) fn new(seat: Seat, pace: Pace, counters: Arc<RoomCounters>) -> Self {
        Self { seat: Arc::new(seat), counters, pace, waiting: Arc::default(), task: None }
    }

    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Says something after all that was said before. False when too much of it waits already.
    pub(super) fn say(&mut self, packet: Outgoing) -> bool {
        let bytes = size(&packet);
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING {
            return false;
        }
        let (sender, _) = self.task.get_or_insert_with(|| {
            let (sender, said) = mpsc::channel(MESSAGES);
            let speaking = speak(
                said,
                Arc::clone(&self.seat),
                self.pace.clone(),
                Arc::clone(&self.waiting),
                Arc::clone(&self.counters),
            );
            (sender, tokio::spawn(speaking))
        });
        sender.try_send(packet).is_ok()
    }
}

async fn speak(
    mut said: mpsc::Receiver<Outgoing>,
    seat: Arc<Seat>,
    pace: Pace,
    waiting: Arc<AtomicUsize>,
    counters: Arc<RoomCounters>,
) {
    while let Some(packet) = said.recv().await {
        let bytes = size(&packet);
        pace.wait_for_message(bytes).await;
        if seat.send_ordered(packet).await.is_err() {
            counters.refused.add(1);
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes of memory that a packet takes, or nearly.
fn size(packet: &Outgoing) -> usize {
    let addressees = packet.to.as_ref().map_or(0, |to| size_of_val::<[Alias]>(to));
    packet.payload.len() + addressees + packet.topic.as_ref().map_or(0, |topic| topic.len())
}
