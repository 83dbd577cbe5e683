//! The oracle's transports: a direct reading of each generation's choice.

use std::collections::HashSet;

use atoll_core::archipelago::{Rules, Transport};

pub(super) struct Transports {
    rules: Rules,
    known: Vec<Transport>,
    failing: HashSet<u32>,
}

impl Transports {
    pub(super) fn new(rules: Rules, max_peers: usize) -> Self {
        let known = match rules {
            Rules::Product | Rules::Final => vec![Transport { id: 0, available_seats: -1, max_peers }],
            Rules::V2023_02 => Vec::new(),
            Rules::V2022_09 => vec![Transport { id: 0, available_seats: 0, max_peers: 100 }],
        };
        Self { rules, known, failing: HashSet::new() }
    }

    pub(super) fn register(&mut self, transport: Transport) {
        match self.known.iter_mut().find(|known| known.id == transport.id) {
            Some(known) => *known = transport,
            None => self.known.push(transport),
        }
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.known.retain(|known| known.id != id);
    }

    pub(super) fn set_failing(&mut self, id: u32, failing: bool) {
        if failing {
            self.failing.insert(id);
        } else {
            self.failing.remove(&id);
        }
    }

    pub(super) fn works(&self, id: u32) -> bool {
        !self.failing.contains(&id) && self.known.iter().any(|known| known.id == id)
    }

    /// `reserved`: free places in the islands of a transport.
    pub(super) fn choose(&self, reserved: impl Fn(u32) -> i64) -> Option<Transport> {
        if self.rules != Rules::V2022_09 {
            let first = self.known.iter().find(|known| known.available_seats == -1 || known.available_seats > 0)?;
            return self.works(first.id).then_some(*first);
        }
        let built_in = *self.known.iter().find(|known| known.id == 0)?;
        let mut chosen = built_in;
        for candidate in self.known.iter().filter(|known| known.id != 0) {
            let reserve = if chosen.id == 0 { 0 } else { reserved(chosen.id) };
            if candidate.available_seats - reserve >= candidate.max_peers as i64 {
                chosen = *candidate;
            }
        }
        [chosen, built_in].into_iter().find(|transport| self.works(transport.id))
    }
}
