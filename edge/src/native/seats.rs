//! The places of one session: that in the room of its island, and for two seconds those it has left.

use super::link::Hush;
use atoll_core::region::Seat;
use atoll_proto::datagram::Tag;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How long a seat stays after its session was put elsewhere: what was on its way still arrives.
const KEPT: Duration = Duration::from_secs(2);

/// Seats kept at a time. Islands change every two seconds at most, unless a foreign archipelago does otherwise.
const MOST_KEPT: usize = 4;

/// A seat, and how to make its link tell no more than it must.
pub(super) struct Held {
    pub(super) seat: Seat,
    pub(super) hush: Hush,
}

/// The seats of one session.
#[derive(Default)]
pub(super) struct Seats {
    current: Option<Held>,
    left: VecDeque<(Held, Instant)>,
    ever_seated: bool,
}

/// A seat that a packet is for.
pub(super) enum Found<'a> {
    /// In the room of the session's island.
    Current(&'a Seat),
    /// In a room that the session has left a moment ago.
    Left(&'a Seat),
    /// None (any more).
    None,
}

impl Seats {
    /// From now on the link of the present seat tells nothing but ordered messages.
    pub(super) fn hush(&self) {
        if let Some(held) = &self.current {
            held.hush.set();
        }
    }

    /// Sits down; the former seat is kept for a while, unless it was the same.
    pub(super) fn take(&mut self, seat: Seat, hush: Hush) {
        let tag = seat.tag();
        // Back in a room that was left: its old link has been replaced.
        self.left.retain(|(held, _)| held.seat.tag() != tag);
        self.ever_seated = true;
        let former = self.current.replace(Held { seat, hush });
        self.leave(former.filter(|held| held.seat.tag() != tag));
    }

    /// Gives the present seat up, to be kept for a while.
    pub(super) fn stand_up(&mut self) {
        let former = self.current.take();
        self.leave(former);
    }

    fn leave(&mut self, former: Option<Held>) {
        let Some(held) = former else { return };
        held.hush.set();
        if self.left.len() == MOST_KEPT {
            self.left.pop_front();
        }
        self.left.push_back((held, Instant::now() + KEPT));
    }

    /// The seat in the room with this tag.
    pub(super) fn find(&self, tag: Tag) -> Found<'_> {
        if let Some(held) = self.current.as_ref().filter(|held| held.seat.tag() == tag) {
            return Found::Current(&held.seat);
        }
        match self.left.iter().find(|(held, _)| held.seat.tag() == tag) {
            Some((held, _)) => Found::Left(&held.seat),
            None => Found::None,
        }
    }

    /// Whether there has been a seat at all.
    pub(super) fn ever_seated(&self) -> bool {
        self.ever_seated
    }

    /// When [`Seats::expire`] is to be called.
    pub(super) fn expiry(&self) -> Option<Instant> {
        self.left.front().map(|(_, until)| *until)
    }

    /// Gives up what was kept long enough.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        while self.left.front().is_some_and(|(_, until)| *until <= now) {
            self.left.pop_front();
        }
    }
}
