//! Which participant a datagram is for.

use super::stun;
use crate::counters::IceCounters;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use str0m::net::Protocol;
use tokio::sync::mpsc;

/// Datagrams that may wait for a participant.
const WAITING: usize = 512;

/// Addresses that one participant may be heard from: two connections, some of whose candidate pairs are tried at once.
const ADDRESSES: usize = 32;

/// Names of one participant: of its two connections, before and after some restarts.
const NAMES: usize = 8;

/// Which of a participant's peer connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The client offers: its media and data come in. With a single connection, everything.
    Publisher,
    /// The server offers: media and data go out.
    Subscriber,
}

/// A datagram that came for a participant.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) side: Side,
    pub(super) protocol: Protocol,
    pub(super) source: SocketAddr,
    /// Where the client sent it, as far as the system knows.
    pub(super) destination: Option<std::net::IpAddr>,
    pub(super) bytes: Bytes,
}

/// Who is known by which name, and at which address.
#[derive(Debug, Default)]
pub(super) struct Routes {
    table: RwLock<Table>,
    counters: Arc<IceCounters>,
}

#[derive(Debug, Default)]
struct Table {
    names: HashMap<String, Route>,
    addresses: HashMap<At, Route>,
    /// The addresses of each participant that is here, in the order in which it was heard from them.
    known: HashMap<u64, VecDeque<At>>,
}

/// Where a client is heard from.
type At = (Protocol, SocketAddr);

#[derive(Debug, Clone)]
struct Route {
    side: Side,
    owner: u64,
    inbox: mpsc::Sender<Datagram>,
}

/// A participant's place in the routes; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Inbox {
    routes: Arc<Routes>,
    owner: u64,
    inbox: mpsc::Sender<Datagram>,
    datagrams: mpsc::Receiver<Datagram>,
    /// In the order in which they were given.
    names: VecDeque<String>,
}

impl Routes {
    /// Opens the inbox of the participant with this number.
    pub(super) fn open(self: &Arc<Self>, owner: u64) -> Inbox {
        let (inbox, datagrams) = mpsc::channel(WAITING);
        self.table.write().unwrap_or_else(PoisonError::into_inner).known.insert(owner, VecDeque::new());
        Inbox { routes: Arc::clone(self), owner, inbox, datagrams, names: VecDeque::new() }
    }

    /// What became of datagrams.
    pub(super) fn counters(&self) -> &Arc<IceCounters> {
        &self.counters
    }

    /// Whether a datagram is a request that names a participant who is here.
    pub(super) fn knows(&self, bytes: &[u8]) -> bool {
        let known = self.table.read().unwrap_or_else(PoisonError::into_inner);
        stun::addressee(bytes).is_some_and(|name| known.names.contains_key(name))
    }

    /// Nobody is at this address any more.
    pub(super) fn forget(&self, protocol: Protocol, source: SocketAddr) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.addresses.remove(&(protocol, source));
    }

    /// Whether there is a participant that a datagram is for. Nothing is kept of one for nobody, nor of one whose participant
    /// has more waiting than it may; both are counted.
    pub(super) fn deliver(
        &self,
        protocol: Protocol,
        source: SocketAddr,
        destination: Option<std::net::IpAddr>,
        bytes: &[u8],
    ) -> bool {
        let known = self.table.read().unwrap_or_else(PoisonError::into_inner);
        // Another client may have the address by now, so a request goes by the name it bears.
        let route = match stun::addressee(bytes) {
            Some(name) => known.names.get(name).cloned(),
            None => known.addresses.get(&(protocol, source)).cloned(),
        };
        let at = known.addresses.get(&(protocol, source)).map(|route| (route.owner, route.side));
        drop(known);
        let Some(Route { side, owner, inbox }) = route else {
            self.counters.unknown.add(1);
            return false;
        };
        if at != Some((owner, side)) {
            self.learn(protocol, source, Route { side, owner, inbox: inbox.clone() });
        }
        let datagram = Datagram { side, protocol, source, destination, bytes: Bytes::copy_from_slice(bytes) };
        if inbox.try_send(datagram).is_err() {
            self.counters.behind.add(1);
        }
        true
    }

    /// From now on, the participant is heard from this address, too. With too many the one that it was heard from first goes: its
    /// client has moved on.
    fn learn(&self, protocol: Protocol, source: SocketAddr, route: Route) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let owner = route.owner;
        let Table { addresses, known, .. } = &mut *table;
        // Its inbox may have gone meanwhile.
        let Some(own) = known.get_mut(&owner) else { return };
        own.retain(|at| *at != (protocol, source));
        if own.len() >= ADDRESSES
            && let Some(oldest) = own.pop_front()
            && addresses.get(&oldest).is_some_and(|route| route.owner == owner)
        {
            addresses.remove(&oldest);
        }
        own.push_back((protocol, source));
        addresses.insert((protocol, source), route);
    }
}

impl Inbox {
    /// From now on, requests with this name are for one of the participant's connections, too.
    pub(super) fn name(&mut self, side: Side, name: String) {
        let route = Route { side, owner: self.owner, inbox: self.inbox.clone() };
        let mut table = self.routes.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.names.insert(name.clone(), route).is_none() {
            self.names.push_back(name);
        }
        // Of a client that comes back again and again, the names before are of no use.
        if self.names.len() > NAMES
            && let Some(oldest) = self.names.pop_front()
        {
            table.names.remove(&oldest);
        }
    }

    /// Waits for datagrams and takes some of them. Cancel-safe.
    pub(super) async fn receive(&mut self, into: &mut Vec<Datagram>, most: usize) {
        self.datagrams.recv_many(into, most).await;
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut table = self.routes.table.write().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if table.names.get(name).is_some_and(|route| route.owner == self.owner) {
                table.names.remove(name);
            }
        }
        for at in table.known.remove(&self.owner).into_iter().flatten() {
            if table.addresses.get(&at).is_some_and(|route| route.owner == self.owner) {
                table.addresses.remove(&at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_that_reach_nobody_are_counted() {
        let routes = Arc::<Routes>::default();
        let deliver = |source: SocketAddr, bytes: &[u8]| routes.deliver(Protocol::Udp, source, None, bytes);
        let counted = || (routes.counters().unknown.value(), routes.counters().behind.value());
        let request = stun::request(&[(6, b"name:theirs")]);
        let first: SocketAddr = "192.0.2.1:1".parse().unwrap();
        assert!(!deliver(first, &request) && !deliver(first, b"data"));
        assert_eq!(counted(), (2, 0));

        let mut inbox = routes.open(1);
        inbox.name(Side::Publisher, "name".to_owned());
        assert!(deliver(first, &request) && deliver(first, b"data"));
        for _ in 2..WAITING + 5 {
            assert!(deliver(first, b"data"));
        }
        assert_eq!(counted(), (2, 5));
        for port in 1..=ADDRESSES as u16 {
            let source = SocketAddr::new(first.ip(), port);
            assert!(deliver(source, &request));
        }
        assert_eq!(counted().0, 2);
        let last = SocketAddr::new(first.ip(), 999);
        assert!(deliver(last, &request) && deliver(last, b"data"));
        assert!(!deliver(first, b"data"), "the oldest address has gone");
        assert!(deliver(SocketAddr::new(first.ip(), 2), b"data"));
        drop(inbox);
        assert!(!deliver(last, b"data"));
        assert_eq!(counted().0, 4);
        let table = routes.table.read().unwrap();
        assert!(table.names.is_empty() && table.addresses.is_empty() && table.known.is_empty());
    }
}
