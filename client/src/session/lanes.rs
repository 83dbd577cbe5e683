//! A client's lanes: its own messages until they are acknowledged, and which of the edge's are new. No I/O.

use crate::event::Lane;
use atoll_proto::atoll::{Gap, Large, LargeHeader, Ordered, OrderedMessage, Received, large_header, ordered_message};
use atoll_proto::datagram::Tag;
use atoll_proto::lanes::{
    ACKNOWLEDGE_WITHIN, AcknowledgeError, Incoming, Item, LARGE_BOUNDS, NumberError, ORDERED_BOUNDS, Outgoing, Verdict,
};
use bytes::Bytes;
use std::time::Duration;

/// Both lanes, in both directions, of one session. Times are durations since any fixed start.
#[derive(Debug)]
pub(crate) struct Lanes {
    ordered: Own,
    large: Own,
    incoming: Incoming,
    /// When the acknowledgement of what came must be on its way.
    acknowledge_at: Option<Duration>,
}

/// What this client sent on one lane.
#[derive(Debug)]
struct Own {
    kept: Outgoing<(Tag, Bytes)>,
    /// Up to here the program has been told what may not have arrived.
    told: u64,
}

/// Own messages of which nobody knows whether they arrived; both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Undelivered {
    pub(crate) lane: Lane,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// What goes out next on a lane, and what the program must be told with it.
#[derive(Debug, PartialEq)]
pub(crate) struct Outbound<T> {
    pub(crate) item: T,
    pub(crate) undelivered: Option<Undelivered>,
}

impl Lanes {
    /// Those of a session that begins: every number is 1.
    pub(crate) fn new() -> Self {
        Self {
            ordered: Own { kept: Outgoing::new(ORDERED_BOUNDS), told: 0 },
            large: Own { kept: Outgoing::new(LARGE_BOUNDS), told: 0 },
            incoming: Incoming::default(),
            acknowledge_at: None,
        }
    }

    /// Adds an own message and returns its number; `None` when another one would have to be dropped for it.
    pub(crate) fn push(&mut self, now: Duration, lane: Lane, tag: Tag, payload: Bytes) -> Option<u64> {
        let kept = &mut self.own(lane).kept;
        let size = payload.len();
        (!kept.is_full(now, size)).then(|| kept.push(now, size, (tag, payload)))
    }

    /// What the ordered stream carries next.
    pub(crate) fn next_ordered(&mut self, now: Duration) -> Option<Outbound<OrderedMessage>> {
        let (message, undelivered) = match self.ordered.kept.next(now)? {
            Item::Message { number, message: (tag, payload) } => {
                let ordered = Ordered { tag: tag.0, number, sender: None, payload: payload.clone().into() };
                (ordered_message::Message::Ordered(ordered), None)
            }
            Item::Gap { first, last } => {
                (ordered_message::Message::Gap(Gap { first, last }), self.ordered.tell(Lane::Ordered, first, last))
            }
        };
        Some(Outbound { item: OrderedMessage { message: Some(message) }, undelivered })
    }

    /// What the next large stream carries.
    pub(crate) fn next_large(&mut self, now: Duration) -> Option<Outbound<(LargeHeader, Bytes)>> {
        let (message, payload, undelivered) = match self.large.kept.next(now)? {
            Item::Message { number, message: (tag, payload) } => {
                let large = Large { tag: tag.0, number, sender: None, length: payload.len() as u32 };
                (large_header::Message::Large(large), payload.clone(), None)
            }
            Item::Gap { first, last } => {
                let undelivered = self.large.tell(Lane::Large, first, last);
                (large_header::Message::Gap(Gap { first, last }), Bytes::new(), undelivered)
            }
        };
        Some(Outbound { item: (LargeHeader { message: Some(message) }, payload), undelivered })
    }

    /// When the oldest own message of a lane becomes too old, so that there is a gap to send.
    pub(crate) fn expires_at(&self, lane: Lane) -> Option<Duration> {
        match lane {
            Lane::Ordered => self.ordered.kept.expires_at(),
            Lane::Large => self.large.kept.expires_at(),
        }
    }

    /// Whether the edge's message with this number is new.
    pub(crate) fn accept(&mut self, now: Duration, lane: Lane, number: u64) -> Result<Verdict, NumberError> {
        let verdict = match lane {
            Lane::Ordered => self.incoming.ordered.accept(number),
            Lane::Large => self.incoming.large.accept(number),
        };
        self.schedule(now);
        verdict
    }

    /// Which of these messages of the edge, that it cannot send any more, are really missing: first and last numbers.
    pub(crate) fn gap(&mut self, now: Duration, lane: Lane, gap: &Gap) -> Result<Vec<(u64, u64)>, NumberError> {
        let missing = match lane {
            Lane::Ordered => self.incoming.ordered.gap(gap.first, gap.last)?.into_iter().collect(),
            Lane::Large => self.incoming.large.gap(gap.first, gap.last)?,
        };
        self.schedule(now);
        Ok(missing)
    }

    /// What this client has of the edge's messages.
    pub(crate) fn received(&self) -> Received {
        self.incoming.received()
    }

    /// When the next acknowledgement must be on its way.
    pub(crate) fn acknowledge_at(&self) -> Option<Duration> {
        self.acknowledge_at
    }

    /// The acknowledgement, if it is due by `now`.
    pub(crate) fn acknowledgement(&mut self, now: Duration) -> Option<Received> {
        self.acknowledge_at.filter(|at| *at <= now)?;
        self.acknowledge_at = None;
        self.incoming.acknowledge()
    }

    /// Notes what the edge has of the own messages.
    pub(crate) fn acknowledged(&mut self, received: &Received) -> Result<(), AcknowledgeError> {
        self.ordered.kept.acknowledge(received.ordered, &[])?;
        self.large.kept.acknowledge(received.large, &received.large_beyond)
    }

    /// Begins anew on a new connection of the same session, at whose other end is what `received` says.
    pub(crate) fn rewind(&mut self, now: Duration, received: &Received) -> Result<(), AcknowledgeError> {
        self.ordered.kept.rewind(now, received.ordered, &[])?;
        self.large.kept.rewind(now, received.large, &received.large_beyond)?;
        // The edge was just told what came.
        self.incoming.acknowledge();
        self.acknowledge_at = None;
        Ok(())
    }

    /// Own messages that are neither acknowledged nor told of, for the end of the session.
    pub(crate) fn undelivered(&self) -> impl Iterator<Item = Undelivered> {
        let of = |lane, own: &Own| {
            let (first, last) = (own.kept.acknowledged().max(own.told) + 1, own.kept.last());
            (first <= last).then_some(Undelivered { lane, first, last })
        };
        [of(Lane::Ordered, &self.ordered), of(Lane::Large, &self.large)].into_iter().flatten()
    }

    fn own(&mut self, lane: Lane) -> &mut Own {
        match lane {
            Lane::Ordered => &mut self.ordered,
            Lane::Large => &mut self.large,
        }
    }

    fn schedule(&mut self, now: Duration) {
        if self.incoming.is_due() {
            self.acknowledge_at = Some(now);
        } else if self.incoming.unacknowledged() > 0 {
            self.acknowledge_at.get_or_insert(now + ACKNOWLEDGE_WITHIN);
        }
    }
}

impl Own {
    /// The part of a gap that the program has not heard of. A gap is sent again on a new connection.
    fn tell(&mut self, lane: Lane, first: u64, last: u64) -> Option<Undelivered> {
        let first = first.max(self.told + 1);
        self.told = self.told.max(last);
        (first <= last).then_some(Undelivered { lane, first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::lanes::MAX_ORDERED;

    const TAG: Tag = Tag(7);
    const START: Duration = Duration::ZERO;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn push(lanes: &mut Lanes, now: Duration, lane: Lane, payload: &'static [u8]) -> u64 {
        lanes.push(now, lane, TAG, Bytes::from_static(payload)).unwrap()
    }

    fn ordered_number(outbound: Option<Outbound<OrderedMessage>>) -> u64 {
        match outbound.unwrap().item.message.unwrap() {
            ordered_message::Message::Ordered(ordered) => ordered.number,
            ordered_message::Message::Gap(gap) => panic!("{gap:?}"),
        }
    }

    #[test]
    fn messages_wait_for_the_acknowledgement_and_go_again_after_a_loss() {
        let mut lanes = Lanes::new();
        for (number, payload) in [(1, b"a"), (2, b"b"), (3, b"c")] {
            assert_eq!(push(&mut lanes, START, Lane::Ordered, payload), number);
            assert_eq!(ordered_number(lanes.next_ordered(START)), number);
        }
        assert_eq!(lanes.next_ordered(START), None);
        lanes.acknowledged(&Received { ordered: 1, ..Received::default() }).unwrap();
        lanes.rewind(seconds(20), &Received { ordered: 2, ..Received::default() }).unwrap();
        assert_eq!(ordered_number(lanes.next_ordered(seconds(20))), 3);
        assert!(lanes.acknowledged(&Received { ordered: 4, ..Received::default() }).is_err());
    }

    #[test]
    fn a_full_lane_refuses_and_loses_nothing() {
        let mut lanes = Lanes::new();
        let payload = Bytes::from(vec![0; MAX_ORDERED]);
        let taken = (0..5).map(|_| lanes.push(START, Lane::Ordered, TAG, payload.clone()));
        assert_eq!(taken.collect::<Vec<_>>(), [Some(1), Some(2), Some(3), Some(4), None]);
        let sent: Vec<_> = std::iter::from_fn(|| lanes.next_ordered(START)).map(|out| out.undelivered).collect();
        assert_eq!(sent, [None; 4]);
        lanes.acknowledged(&Received { ordered: 1, ..Received::default() }).unwrap();
        assert_eq!(lanes.push(START, Lane::Ordered, TAG, payload), Some(5));
    }

    #[test]
    fn what_became_too_old_is_a_gap_for_the_edge_and_told_once() {
        let mut lanes = Lanes::new();
        push(&mut lanes, START, Lane::Ordered, b"old");
        push(&mut lanes, START, Lane::Large, b"old");
        push(&mut lanes, seconds(50), Lane::Ordered, b"new");
        assert_eq!(lanes.expires_at(Lane::Ordered), Some(seconds(60)));
        for told in [Some(Undelivered { lane: Lane::Ordered, first: 1, last: 1 }), None] {
            let outbound = lanes.next_ordered(seconds(61)).unwrap();
            let gap = ordered_message::Message::Gap(Gap { first: 1, last: 1 });
            assert_eq!(outbound, Outbound { item: OrderedMessage { message: Some(gap) }, undelivered: told });
            assert_eq!(ordered_number(lanes.next_ordered(seconds(61))), 2);
            lanes.rewind(seconds(61), &Received::default()).unwrap();
        }
        let large = lanes.next_large(seconds(61)).unwrap();
        assert_eq!(large.undelivered, Some(Undelivered { lane: Lane::Large, first: 1, last: 1 }));
        let rest = Undelivered { lane: Lane::Ordered, first: 2, last: 2 };
        assert_eq!(lanes.undelivered().collect::<Vec<_>>(), [rest]);
    }

    #[test]
    fn acknowledgements_wait_a_little_but_not_for_many_messages() {
        let mut lanes = Lanes::new();
        assert_eq!(lanes.accept(seconds(1), Lane::Ordered, 1), Ok(Verdict::New));
        assert_eq!(lanes.accept(seconds(1), Lane::Large, 2), Ok(Verdict::New));
        assert_eq!(lanes.acknowledgement(seconds(1)), None);
        let due = lanes.acknowledge_at().unwrap();
        assert_eq!(due, Duration::from_millis(1250));
        let acknowledgement = lanes.acknowledgement(due);
        assert_eq!(acknowledgement, Some(Received { ordered: 1, large: 0, large_beyond: vec![2] }));
        assert_eq!((lanes.acknowledge_at(), lanes.acknowledgement(seconds(9))), (None, None));
        for number in 2..=33 {
            assert_eq!(lanes.acknowledgement(seconds(10)), None, "{number}");
            lanes.accept(seconds(10), Lane::Ordered, number).unwrap();
        }
        assert_eq!(lanes.acknowledgement(seconds(10)).map(|received| received.ordered), Some(33));
    }

    #[test]
    fn only_missing_messages_are_a_gap() {
        let mut lanes = Lanes::new();
        lanes.accept(START, Lane::Ordered, 1).unwrap();
        assert_eq!(lanes.gap(START, Lane::Ordered, &Gap { first: 1, last: 3 }), Ok(vec![(2, 3)]));
        assert_eq!(lanes.accept(START, Lane::Ordered, 3), Ok(Verdict::Duplicate));
        assert!(lanes.accept(START, Lane::Ordered, 5).is_err());
        lanes.accept(START, Lane::Large, 2).unwrap();
        assert_eq!(lanes.gap(START, Lane::Large, &Gap { first: 1, last: 3 }), Ok(vec![(1, 1), (3, 3)]));
    }
}
