//! Who wants which subjects: a tree over the levels of patterns, so that finding the subscribers of a message costs what
//! its levels and its subscribers cost, however many patterns there are.

use super::{Feed, Pattern, Subject};
use std::collections::HashMap;

/// Subscribers by pattern.
#[derive(Debug, Default)]
pub(super) struct Interest {
    root: Node,
    next: u64,
    /// Places in the tree: one for each pattern of each subscriber.
    places: usize,
    /// How many places make it worth looking for subscribers that have gone.
    sweep_at: usize,
}

#[derive(Debug, Default)]
struct Node {
    here: Vec<Subscriber>,
    /// Subscribers of everything below.
    tail: Vec<Subscriber>,
    star: Option<Box<Node>>,
    levels: HashMap<Box<str>, Node>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    /// Tells which patterns belong to one subscription, so that a message reaches it once. None for one with a single
    /// pattern: that is in one place only, and there may be very many of them.
    id: Option<u64>,
    feed: Feed,
}

/// Fewest places at which to look for subscribers that have gone.
const SWEEP: usize = 64;

impl Interest {
    /// Adds a subscriber to all of `patterns`.
    pub(super) fn add(&mut self, patterns: &[Pattern], feed: &Feed) {
        self.next += 1;
        if self.places >= self.sweep_at.max(SWEEP) {
            self.sweep();
        }
        let id = (patterns.len() > 1).then_some(self.next);
        for pattern in patterns {
            let subscriber = Subscriber { id, feed: feed.clone() };
            self.root.place(pattern).push(subscriber);
            self.places += 1;
        }
    }

    /// Calls `offer` once for each subscriber of `subject`, in no particular order.
    pub(super) fn each(&self, subject: &Subject, mut offer: impl FnMut(&Feed)) {
        let levels: Vec<&str> = subject.levels().collect();
        let mut served: Vec<u64> = Vec::new();
        self.root.visit(&levels, &mut |subscribers| {
            for subscriber in subscribers {
                if let Some(id) = subscriber.id {
                    if served.contains(&id) {
                        continue;
                    }
                    served.push(id);
                }
                offer(&subscriber.feed);
            }
        });
    }

    /// Forgets subscribers that have gone. Called when the tree has doubled since the last time, so that it costs each
    /// subscription a constant.
    fn sweep(&mut self) {
        self.places = self.root.sweep();
        self.sweep_at = self.places * 2;
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places
    }
}

impl Node {
    fn place(&mut self, pattern: &Pattern) -> &mut Vec<Subscriber> {
        let mut node = self;
        for level in pattern.levels() {
            node = match level {
                ">" => return &mut node.tail,
                "*" => node.star.get_or_insert_default(),
                level => node.levels.entry(level.into()).or_default(),
            };
        }
        &mut node.here
    }

    fn visit(&self, levels: &[&str], serve: &mut impl FnMut(&[Subscriber])) {
        let Some((level, rest)) = levels.split_first() else {
            return serve(&self.here);
        };
        serve(&self.tail);
        if let Some(node) = self.levels.get(*level) {
            node.visit(rest, serve);
        }
        if let Some(node) = &self.star {
            node.visit(rest, serve);
        }
    }

    /// Removes what has gone; the number of places left.
    fn sweep(&mut self) -> usize {
        self.here.retain(|subscriber| !subscriber.feed.is_closed());
        self.tail.retain(|subscriber| !subscriber.feed.is_closed());
        let mut places = self.here.len() + self.tail.len();
        self.levels.retain(|_, node| {
            let below = node.sweep();
            places += below;
            below > 0
        });
        let below = self.star.as_mut().map_or(0, |node| node.sweep());
        if below == 0 {
            self.star = None;
        }
        places + below
    }
}
