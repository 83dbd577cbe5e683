//! What is said once a minute, however often there is cause.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Time between two times that the same sort of thing is said.
const PAUSE: Duration = Duration::from_secs(60);

/// Keeps a log within bounds: of each sort of thing one is said a minute, and the others are counted. Sorts are few, and
/// known to the code; nobody from outside makes new ones. It has no clock: times are durations since any fixed moment.
#[derive(Debug)]
pub struct Seldom<K> {
    said: HashMap<K, Said>,
}

#[derive(Debug)]
struct Said {
    at: Duration,
    kept_back: u64,
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self { said: HashMap::new() }
    }
}

impl<K: Eq + Hash> Seldom<K> {
    /// Whether it is to be said at the time `now`; then, how many of its sort were kept back since one was said.
    pub fn is_due(&mut self, sort: K, now: Duration) -> Option<u64> {
        match self.said.get_mut(&sort) {
            Some(last) if now < last.at + PAUSE => {
                last.kept_back += 1;
                None
            }
            Some(last) => Some(std::mem::replace(last, Said { at: now, kept_back: 0 }).kept_back),
            None => {
                self.said.insert(sort, Said { at: now, kept_back: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_sort_is_said_a_minute_and_the_others_are_counted() {
        let mut seldom = Seldom::default();
        let at = Duration::from_secs;
        assert_eq!(seldom.is_due("a", at(0)), Some(0));
        assert_eq!(seldom.is_due("b", at(1)), Some(0));
        assert_eq!([1, 30, 59].map(|second| seldom.is_due("a", at(second))), [None; 3]);
        assert_eq!(seldom.is_due("a", at(60)), Some(3));
        assert_eq!(seldom.is_due("a", at(119)), None);
        assert_eq!(seldom.is_due("a", at(500)), Some(1));
    }
}
