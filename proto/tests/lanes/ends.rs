//! Two ends of one lane, and a connection between them that can be cut.

use crate::oracle::{Oracle, Source};
use crate::random::Random;
use atoll_proto::lanes::{self, Bounds, Item, LARGE_AHEAD, MAX_BEYOND, NumberError, Outgoing, Verdict};
use std::collections::VecDeque;
use std::ops::AddAssign;
use std::time::Duration;

/// What is different between the two lanes.
pub(crate) trait Lane: Default {
    const AHEAD: u64;
    /// Whether items arrive in another order than they were sent.
    const OVERTAKES: bool;
    fn accept(&mut self, number: u64) -> Result<Verdict, NumberError>;
    /// The parts that were not known.
    fn gap(&mut self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, NumberError>;
    fn received(&self) -> (u64, Vec<u64>);
}

#[derive(Default)]
pub(crate) struct Ordered(lanes::Ordered);

impl Lane for Ordered {
    const AHEAD: u64 = u64::MAX;
    const OVERTAKES: bool = false;

    fn accept(&mut self, number: u64) -> Result<Verdict, NumberError> {
        self.0.accept(number)
    }

    fn gap(&mut self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, NumberError> {
        Ok(self.0.gap(first, last)?.into_iter().collect())
    }

    fn received(&self) -> (u64, Vec<u64>) {
        (self.0.received(), Vec::new())
    }
}

#[derive(Default)]
pub(crate) struct Large(lanes::Unordered);

impl Lane for Large {
    const AHEAD: u64 = LARGE_AHEAD;
    const OVERTAKES: bool = true;

    fn accept(&mut self, number: u64) -> Result<Verdict, NumberError> {
        self.0.accept(number)
    }

    fn gap(&mut self, first: u64, last: u64) -> Result<Vec<(u64, u64)>, NumberError> {
        self.0.gap(first, last)
    }

    fn received(&self) -> (u64, Vec<u64>) {
        (self.0.received(), self.0.beyond().collect())
    }
}

/// How often the things happened that the test is about.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) cuts: u64,
    pub(crate) duplicates: u64,
    /// Gaps behind a message that is kept, because it is not of the source that had most.
    pub(crate) spared: u64,
    pub(crate) overtakings: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.delivered += more.delivered;
        self.lost += more.lost;
        self.cuts += more.cuts;
        self.duplicates += more.duplicates;
        self.spared += more.spared;
        self.overtakings += more.overtakings;
    }
}

/// What the receiving application was told of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unknown,
    Delivered,
    Lost,
}

pub(crate) struct World<L> {
    random: Random,
    now: Duration,
    bounds: Bounds,
    sender: Outgoing<u64, Source>,
    oracle: Oracle,
    receiver: L,
    /// By number; the number 0 does not exist.
    fates: Vec<Fate>,
    connected: bool,
    items: VecDeque<Item<u64>>,
    acknowledgements: VecDeque<(u64, Vec<u64>)>,
    totals: Totals,
}

impl<L: Lane> World<L> {
    pub(crate) fn new(mut random: Random) -> Self {
        let bounds = Bounds {
            bytes: 1 + random.below(1000) as usize,
            entries: 1 + random.below(40) as usize,
            age: Duration::from_millis(50 + random.below(1000)),
            ahead: L::AHEAD,
        };
        Self {
            random,
            now: Duration::from_secs(1),
            bounds,
            sender: Outgoing::new(bounds),
            oracle: Oracle::new(bounds),
            receiver: L::default(),
            fates: vec![Fate::Lost],
            connected: true,
            items: VecDeque::new(),
            acknowledgements: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    pub(crate) fn run(mut self) -> Totals {
        for _ in 0..400 {
            self.now += Duration::from_millis(self.random.below(8));
            match self.random.below(16) {
                0..3 => self.push(),
                3..8 => self.send(),
                8..11 => self.deliver(),
                11..13 => self.acknowledge(),
                13..15 => self.deliver_acknowledgement(),
                _ if self.random.one_in(3) => self.cut(),
                _ => self.connect(),
            }
            self.sender.expire(self.now);
            self.oracle.expire(self.now);
            self.oracle.compare(&self.sender);
        }
        self.settle();
        self.totals
    }

    fn push(&mut self) {
        // Some say more than others.
        let source = self.random.below(4).min(self.random.below(4)) as Source;
        let size = self.random.below(40) as usize;
        assert_eq!(self.sender.is_full(self.now, size), self.oracle.is_full(self.now, size));
        let number = self.oracle.push(source, self.now, size);
        assert_eq!(self.sender.push_from(source, self.now, size, number), number);
        self.fates.push(Fate::Unknown);
    }

    fn send(&mut self) {
        if !self.connected {
            return;
        }
        let item = match self.sender.next(self.now) {
            Some(Item::Message { number, message }) => Item::Message { number, message: *message },
            Some(Item::Gap { first, last }) => Item::Gap { first, last },
            None => return,
        };
        self.oracle.expire(self.now);
        match item {
            Item::Message { number, message } => {
                assert_eq!(number, message);
                assert!(self.oracle.is_kept(number), "{number} was sent after it was dropped");
            }
            Item::Gap { first, last } => {
                assert!((first..=last).all(|number| self.oracle.was_dropped(number)));
                self.totals.spared += u64::from((1..first).any(|number| self.oracle.is_kept(number)));
            }
        }
        self.items.push_back(item);
    }

    /// One item arrives.
    fn deliver(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let index = if L::OVERTAKES { self.random.below(self.items.len() as u64) as usize } else { 0 };
        self.totals.overtakings += u64::from(index > 0);
        match self.items.remove(index).unwrap() {
            Item::Message { number, .. } => match self.receiver.accept(number).unwrap() {
                Verdict::New => self.settle_number(number, Fate::Delivered),
                Verdict::Duplicate => {
                    assert_ne!(self.fates[number as usize], Fate::Unknown, "{number} was taken for a duplicate");
                    self.totals.duplicates += 1;
                }
            },
            Item::Gap { first, last } => {
                for (first, last) in self.receiver.gap(first, last).unwrap() {
                    for number in first..=last {
                        assert!(self.oracle.was_dropped(number), "the gap at {number} is not real");
                        self.settle_number(number, Fate::Lost);
                    }
                }
                assert!((first..=last).all(|number| self.fates[number as usize] != Fate::Unknown));
            }
        }
        let (received, beyond) = self.receiver.received();
        assert!(beyond.len() <= MAX_BEYOND);
        let known = self.fates.iter().position(|fate| *fate == Fate::Unknown).unwrap_or(self.fates.len());
        assert_eq!(received + 1, known as u64);
        let beyond_known = (received as usize + 1..self.fates.len()).filter(|&n| self.fates[n] == Fate::Delivered);
        assert!(beyond_known.map(|number| number as u64).eq(beyond), "what arrived early is listed, in order");
    }

    fn settle_number(&mut self, number: u64, fate: Fate) {
        let index = number as usize;
        assert_eq!(self.fates[index], Fate::Unknown, "{number} came twice");
        assert!(L::OVERTAKES || self.fates[..index].iter().all(|fate| *fate != Fate::Unknown), "{number} came early");
        self.fates[index] = fate;
        match fate {
            Fate::Delivered => self.totals.delivered += 1,
            _ => self.totals.lost += 1,
        }
    }

    fn acknowledge(&mut self) {
        if self.connected {
            let (received, mut beyond) = self.receiver.received();
            if self.random.one_in(3) {
                beyond.reverse();
            }
            self.acknowledgements.push_back((received, beyond));
        }
    }

    /// One acknowledgement arrives, sometimes behind a later one.
    fn deliver_acknowledgement(&mut self) {
        let late = self.random.one_in(4) && self.acknowledgements.len() > 1;
        if let Some((received, beyond)) = self.acknowledgements.remove(usize::from(late)) {
            self.sender.acknowledge(received, &beyond).unwrap();
            self.oracle.acknowledge(received, &beyond);
        }
    }

    /// Nothing goes out any more, and time passes. The receiver may go on for a while with what is on its way.
    fn cut(&mut self) {
        self.totals.cuts += u64::from(self.connected);
        self.connected = false;
        self.acknowledgements.clear();
        if self.random.one_in(4) {
            self.now += self.bounds.age / 2;
        }
    }

    /// A new connection; the receiver says what it has, and the rest of what was on its way is lost. The sender may have
    /// been told before, on a connection that came to nothing, and the receiver may still find more of the former one.
    fn connect(&mut self) {
        if self.connected {
            return;
        }
        let (received, beyond) = self.receiver.received();
        for _ in 0..self.random.below(8) {
            self.deliver();
        }
        self.items.clear();
        self.sender.rewind(self.now, received, &beyond).unwrap();
        self.oracle.expire(self.now);
        self.oracle.acknowledge(received, &beyond);
        self.connected = !self.random.one_in(4);
    }

    /// On a connection that holds, everything comes to an end.
    fn settle(&mut self) {
        while !self.connected {
            self.connect();
        }
        for _ in 0..4 * self.fates.len() {
            self.send();
            self.deliver();
            self.acknowledge();
            self.deliver_acknowledgement();
        }
        assert!(self.fates.iter().all(|fate| *fate != Fate::Unknown), "{:?}", self.fates);
        while !self.acknowledgements.is_empty() {
            self.deliver_acknowledgement();
        }
        assert_eq!(self.receiver.received(), (self.oracle.pushed(), Vec::new()));
        assert_eq!((self.sender.unacknowledged(), self.sender.len(), self.sender.bytes()), (0, 0, 0));
    }
}
