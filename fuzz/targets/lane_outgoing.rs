//! The sending side of a lane, told any acknowledgements: it keeps to its bounds, hands out every number once on each
//! connection and in order, refuses what cannot be true, and announces as lost just what it dropped.
#![no_main]

use atoll_fuzz::Input;
use atoll_proto::lanes::{AcknowledgeError, Bounds, Item, LARGE_AHEAD, MAX_BEYOND, Outgoing};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::Duration;

#[path = "../../proto/tests/lanes/oracle.rs"]
mod oracle;

use self::oracle::{Oracle, Source};

struct World {
    bounds: Bounds,
    now: Duration,
    lane: Outgoing<u64, Source>,
    oracle: Oracle,
    /// Everything up to here was said to have arrived, and these numbers beyond it.
    received: u64,
    beyond: BTreeSet<u64>,
    /// What was said to have arrived on an earlier connection, but not on this one.
    forgotten: BTreeSet<u64>,
    /// The last number handed out on this connection, and on any.
    sent: u64,
    highest: u64,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let bounds = Bounds {
            bytes: usize::from(input.byte()),
            entries: usize::from(input.byte()) + 1,
            age: input.time() * 4,
            ahead: if input.byte().is_multiple_of(2) { LARGE_AHEAD } else { u64::MAX },
        };
        Self {
            bounds,
            now: Duration::ZERO,
            lane: Outgoing::new(bounds),
            oracle: Oracle::new(bounds),
            received: 0,
            beyond: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            sent: 0,
            highest: 0,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0..3 => {
                let size = usize::from(input.byte());
                assert_eq!(self.lane.is_full(self.now, size), self.oracle.is_full(self.now, size));
                let source = input.byte() % 4;
                let number = self.oracle.push(source, self.now, size);
                assert_eq!(self.lane.push_from(source, self.now, size, number), number);
            }
            3 | 4 => drop(self.next()),
            5 => self.acknowledge(input, false),
            6 => self.acknowledge(input, true),
            _ => self.now += input.time(),
        }
        self.lane.expire(self.now);
        self.oracle.expire(self.now);
        self.oracle.compare(&self.lane);
        assert_eq!(self.lane.acknowledged(), self.received);
        assert_eq!(self.lane.unacknowledged(), self.oracle.pushed() - self.received);
    }

    fn has_arrived(&self, number: u64) -> bool {
        number <= self.received || self.beyond.contains(&number)
    }

    /// What comes next, if it may: the first number that is neither handed out nor has arrived.
    fn next(&mut self) -> Option<()> {
        self.oracle.expire(self.now);
        let expected = (self.sent + 1..=self.oracle.pushed())
            .find(|number| !self.has_arrived(*number))
            .filter(|number| number - self.received <= self.bounds.ahead);
        let item = self.lane.next(self.now);
        let Some(item) = item else {
            assert_eq!(expected, None);
            return None;
        };
        let (first, last) = match item {
            Item::Message { number, message } => {
                assert_eq!(*message, number);
                assert!(self.oracle.is_kept(number));
                (number, number)
            }
            Item::Gap { first, last } => (first, last),
        };
        assert_eq!(Some(first), expected);
        if let Item::Gap { .. } = item {
            let lost = |number| self.oracle.was_dropped(number) || self.forgotten.contains(&number);
            assert!((first..=last).all(|number| lost(number) && !self.has_arrived(number)));
            let next = last + 1;
            let ends = next > self.oracle.pushed() || self.oracle.is_kept(next) || self.has_arrived(next);
            assert!(ends, "neighbouring gaps are one");
        }
        self.sent = last;
        self.highest = self.highest.max(last);
        Some(())
    }

    fn acknowledge(&mut self, input: &mut Input<'_>, rewind: bool) {
        let received = input.number(self.received);
        let beyond: Vec<u64> = (0..input.byte() % 20).map(|_| input.number(received)).collect();
        let answer = if rewind {
            self.lane.rewind(self.now, received, &beyond)
        } else {
            self.lane.acknowledge(received, &beyond)
        };
        let all = || [received].into_iter().chain(beyond.iter().copied());
        match answer {
            Err(AcknowledgeError::TooMany(count)) => {
                assert!(count == beyond.len() && count > MAX_BEYOND);
                return;
            }
            Err(AcknowledgeError::NeverSent { number, highest }) => {
                assert!(highest == self.highest && number > highest && all().any(|named| named == number));
                return;
            }
            Err(AcknowledgeError::TooFar(number)) => {
                assert!(number - received > self.bounds.ahead && beyond.contains(&number));
                return;
            }
            Ok(()) => {}
        }
        assert!(beyond.len() <= MAX_BEYOND && all().all(|number| number <= self.highest));
        assert!(all().all(|number| number.saturating_sub(received) <= self.bounds.ahead));
        self.oracle.expire(self.now);
        self.oracle.acknowledge(received, &beyond);
        if rewind {
            self.forgotten.extend(received + 1..=self.received);
            self.forgotten.append(&mut self.beyond);
            self.received = received;
            self.sent = received;
        }
        self.received = self.received.max(received);
        self.sent = self.sent.max(self.received);
        self.beyond.extend(beyond);
    }

    /// With a receiver that takes everything, all of it comes to an end.
    fn settle(&mut self) {
        while self.received < self.oracle.pushed() {
            while self.next().is_some() {}
            let before = self.received;
            let contiguous = |number: &u64| *number <= self.sent || self.beyond.contains(number);
            self.received = (before + 1..=self.oracle.pushed()).take_while(contiguous).last().unwrap_or(before);
            assert!(self.received > before, "stuck at {before}");
            self.lane.acknowledge(self.received.min(self.highest), &[]).expect("it was handed out");
            self.oracle.acknowledge(self.received, &[]);
        }
        assert_eq!((self.lane.len(), self.lane.bytes(), self.lane.unacknowledged()), (0, 0, 0));
    }
}

fuzz_target!(|data: &[u8]| {
    // What is expected is looked up number by number.
    let mut input = Input::new(&data[..data.len().min(2048)]);
    let mut world = World::new(&mut input);
    while !input.is_empty() {
        world.step(&mut input);
    }
    world.settle();
});
