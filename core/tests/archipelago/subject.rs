//! What the engine and its oracle have in common, so that tests can drive either.

use atoll_core::archipelago::{Change, DesiredRoom, Engine, Position, Receipt, Settings, Transport};

use crate::oracle::{Oracle, Seen};

pub(crate) trait Subject {
    /// Whether a flush never stops half-way, whatever the rules.
    const GOES_ON_WITHOUT_TRANSPORT: bool;

    fn new(settings: Settings) -> Self;
    fn heartbeat(&mut self, peer: &str, position: Position, desired_room: DesiredRoom<'_>) -> Receipt;
    fn disconnect(&mut self, peer: &str) -> Receipt;
    fn refuse(&mut self, peers: &[&str]);
    fn transport(&mut self, transport: Transport);
    fn transport_gone(&mut self, id: u32);
    fn transport_fails(&mut self, id: u32, fails: bool);
    fn report(&mut self);
    /// `None`: the flush stopped half-way.
    fn flush(&mut self) -> Option<Vec<Change>>;
    fn seen(&self) -> Vec<Seen>;
}

impl Subject for Engine {
    const GOES_ON_WITHOUT_TRANSPORT: bool = true;

    fn new(settings: Settings) -> Self {
        Engine::new(settings)
    }

    fn heartbeat(&mut self, peer: &str, position: Position, desired_room: DesiredRoom<'_>) -> Receipt {
        self.heartbeat(peer, position, desired_room)
    }

    fn disconnect(&mut self, peer: &str) -> Receipt {
        self.disconnect(peer)
    }

    fn refuse(&mut self, peers: &[&str]) {
        self.refuse(peers.iter().copied());
    }

    fn transport(&mut self, transport: Transport) {
        self.transport(transport);
    }

    fn transport_gone(&mut self, id: u32) {
        self.transport_gone(id);
    }

    fn transport_fails(&mut self, id: u32, fails: bool) {
        self.transport_fails(id, fails);
    }

    fn report(&mut self) {
        self.report();
    }

    fn flush(&mut self) -> Option<Vec<Change>> {
        Some(self.flush())
    }

    fn seen(&self) -> Vec<Seen> {
        let islands = self.islands().map(|island| {
            let circle = island.circle();
            Seen {
                id: island.id().clone(),
                sequence: island.sequence(),
                transport: island.transport(),
                max_peers: island.max_peers(),
                centre: circle.centre,
                radius: circle.radius,
                members: island.members().map(|(peer, _)| peer.clone()).collect(),
            }
        });
        islands.collect()
    }
}

impl Subject for Oracle {
    const GOES_ON_WITHOUT_TRANSPORT: bool = false;

    fn new(settings: Settings) -> Self {
        Oracle::new(settings)
    }

    fn heartbeat(&mut self, peer: &str, position: Position, desired_room: DesiredRoom<'_>) -> Receipt {
        self.heartbeat(peer, position, desired_room)
    }

    fn disconnect(&mut self, peer: &str) -> Receipt {
        self.disconnect(peer)
    }

    fn refuse(&mut self, peers: &[&str]) {
        self.refuse(peers.iter().copied());
    }

    fn transport(&mut self, transport: Transport) {
        self.transport(transport);
    }

    fn transport_gone(&mut self, id: u32) {
        self.transport_gone(id);
    }

    fn transport_fails(&mut self, id: u32, fails: bool) {
        self.transport_fails(id, fails);
    }

    fn report(&mut self) {
        self.report();
    }

    fn flush(&mut self) -> Option<Vec<Change>> {
        self.flush().ok()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen()
    }
}
