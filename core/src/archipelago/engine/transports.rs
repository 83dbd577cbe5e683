//! Which transport a new island goes to, and whether one gives connection strings at all.

use std::collections::HashSet;

use crate::archipelago::settings::{Rules, Settings, Transport};

/// The transport of every island under the rules that know only one, and the built-in one of 2022-09.
const BUILT_IN: u32 = 0;

pub(super) struct Transports {
    rules: Rules,
    /// In the order of registration.
    known: Vec<Transport>,
    failing: HashSet<u32>,
}

impl Transports {
    pub(super) fn new(settings: &Settings) -> Self {
        let built_in = |max_peers| vec![Transport { id: BUILT_IN, available_seats: 0, max_peers }];
        let known = match settings.rules {
            Rules::Product | Rules::Final => built_in(settings.max_peers),
            Rules::V2023_02 => Vec::new(),
            Rules::V2022_09 => built_in(100),
        };
        Self { rules: settings.rules, known, failing: HashSet::new() }
    }

    /// A transport's heartbeat: a known one keeps its place in the order.
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

    /// Whether islands of this transport can take members.
    pub(super) fn works(&self, id: u32) -> bool {
        !self.failing.contains(&id) && self.known(id).is_some()
    }

    /// The transport for a new island; `reserved` counts the free places in a transport's islands. `None`: it cannot be made.
    pub(super) fn choose(&self, reserved: impl Fn(u32) -> i64) -> Option<Transport> {
        let chosen = match self.rules {
            Rules::Product | Rules::Final => self.known(BUILT_IN),
            Rules::V2023_02 => self.known.iter().find(|known| known.available_seats == -1 || known.available_seats > 0),
            Rules::V2022_09 => return self.choose_2022_09(reserved),
        }?;
        self.works(chosen.id).then_some(*chosen)
    }

    /// The last transport with seats to spare. The original looks up the reserve of the one chosen so far, not of the candidate.
    fn choose_2022_09(&self, reserved: impl Fn(u32) -> i64) -> Option<Transport> {
        let built_in = self.known(BUILT_IN)?;
        let mut chosen = built_in;
        for candidate in self.known.iter().filter(|known| known.id != BUILT_IN) {
            let reserve = if chosen.id == BUILT_IN { 0 } else { reserved(chosen.id) };
            if candidate.available_seats - reserve >= candidate.max_peers as i64 {
                chosen = candidate;
            }
        }
        [chosen, built_in].into_iter().find(|transport| self.works(transport.id)).copied()
    }

    fn known(&self, id: u32) -> Option<&Transport> {
        self.known.iter().find(|known| known.id == id)
    }
}
