//! The receiving side of both lanes, told any numbers: it knows what a list of everything it was told says.
#![no_main]

use atoll_fuzz::Input;
use atoll_proto::lanes::{LARGE_AHEAD, MAX_BEYOND, NumberError, Ordered, Unordered, Verdict};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

/// Everything that was taken, as it came.
#[derive(Default)]
struct Told {
    spans: Vec<(u64, u64)>,
    arrived: BTreeSet<u64>,
}

impl Told {
    fn knows(&self, number: u64) -> bool {
        self.spans.iter().any(|&(first, last)| (first..=last).contains(&number))
    }

    /// The numbers up to which nothing is missing.
    fn received(&self) -> u64 {
        let mut received = 0;
        while let Some(&(_, last)) =
            self.spans.iter().find(|&&(first, last)| last > received && first <= received.saturating_add(1))
        {
            received = last;
        }
        received
    }

    /// `missing` is the part of `first..=last` that is not known. What is known changes at the ends of spans only.
    fn check_missing(&self, first: u64, last: u64, missing: &[(u64, u64)]) {
        assert!(missing.iter().all(|&(from, to)| first <= from && from <= to && to <= last));
        assert!(missing.windows(2).all(|pair| pair[0].1 < pair[1].0));
        let all = self.spans.iter().chain(missing).copied().chain([(first, last)]);
        for end in
            all.flat_map(|(from, to)| [from, to]).flat_map(|end| [end.saturating_sub(1), end, end.saturating_add(1)])
        {
            if (first..=last).contains(&end) {
                let is_missing = missing.iter().any(|&(from, to)| (from..=to).contains(&end));
                assert_eq!(is_missing, !self.knows(end), "{end} of {first}..={last}: {missing:?}");
            }
        }
    }

    /// The error that a message or gap must get.
    fn error(&self, first: u64, last: u64, ahead: u64) -> Option<NumberError> {
        let highest = self.received().saturating_add(ahead);
        match (first, last) {
            (0, _) => Some(NumberError::Zero),
            (first, last) if last < first => Some(NumberError::Reversed { first, last }),
            (first, _) if first > highest => Some(NumberError::Skips { number: first, highest }),
            _ => None,
        }
    }
}

enum Item {
    Message(u64),
    Gap(u64, u64),
}

fn next(input: &mut Input<'_>, received: u64) -> Item {
    let is_gap = input.byte().is_multiple_of(4);
    let first = input.number(received);
    if is_gap { Item::Gap(first, input.number(first)) } else { Item::Message(first) }
}

fn ordered(mut input: Input<'_>) {
    let mut lane = Ordered::default();
    let mut told = Told::default();
    while !input.is_empty() {
        let (first, last, answer) = match next(&mut input, lane.received()) {
            Item::Message(number) => {
                let answer = lane.accept(number).map(|verdict| (verdict == Verdict::New).then_some((number, number)));
                (number, number, answer)
            }
            Item::Gap(first, last) => (first, last, lane.gap(first, last)),
        };
        match answer {
            Ok(missing) => {
                assert_eq!(told.error(first, last, 1), None);
                told.check_missing(first, last, missing.as_slice());
                told.spans.push((first, last));
            }
            Err(error) => assert_eq!(told.error(first, last, 1), Some(error)),
        }
        assert_eq!(lane.received(), told.received());
    }
}

fn unordered(mut input: Input<'_>) {
    let mut lane = Unordered::default();
    let mut told = Told::default();
    while !input.is_empty() {
        let (first, last, answer) = match next(&mut input, lane.received()) {
            Item::Message(number) => {
                let answer = lane.accept(number).map(|verdict| match verdict {
                    Verdict::New => {
                        told.arrived.insert(number);
                        vec![(number, number)]
                    }
                    Verdict::Duplicate => Vec::new(),
                });
                (number, number, answer)
            }
            Item::Gap(first, last) => (first, last, lane.gap(first, last)),
        };
        match answer {
            Ok(missing) => {
                assert_eq!(told.error(first, last, LARGE_AHEAD), None);
                assert!(missing.len() as u64 <= LARGE_AHEAD);
                told.check_missing(first, last, &missing);
                told.spans.push((first, last));
            }
            Err(error) => assert_eq!(told.error(first, last, LARGE_AHEAD), Some(error)),
        }
        assert_eq!(lane.received(), told.received());
        let beyond: Vec<u64> = lane.beyond().collect();
        assert!(beyond.len() < MAX_BEYOND);
        assert!(beyond.iter().eq(told.arrived.iter().filter(|number| **number > lane.received())));
    }
}

fuzz_target!(|data: &[u8]| {
    // The lists are as long as the input, and are looked through for each number.
    let data = &data[..data.len().min(1024)];
    ordered(Input::new(data));
    unordered(Input::new(data));
});
