//! Which participant a datagram is for.

use super::stun;
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
}

#[derive(Debug, Default)]
struct Table {
    names: HashMap<String, Route>,
    addresses: HashMap<(Protocol, SocketAddr), Route>,
}

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
        Inbox { routes: Arc::clone(self), owner, inbox, datagrams, names: VecDeque::new() }
    }

    /// Whether a datagram found its participant. Nothing is kept of one that did not, nor of one whose participant has more
    /// waiting than it may.
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
        let Some(Route { side, owner, inbox }) = route else { return false };
        if at != Some((owner, side)) && !self.learn(protocol, source, Route { side, owner, inbox: inbox.clone() }) {
            return false;
        }
        let datagram = Datagram { side, protocol, source, destination, bytes: Bytes::copy_from_slice(bytes) };
        inbox.try_send(datagram).is_ok()
    }

    fn learn(&self, protocol: Protocol, source: SocketAddr, route: Route) -> bool {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let known = table.addresses.values().filter(|known| known.owner == route.owner).count();
        if known >= ADDRESSES {
            return false;
        }
        table.addresses.insert((protocol, source), route);
        true
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
        table.names.retain(|_, route| route.owner != self.owner);
        table.addresses.retain(|_, route| route.owner != self.owner);
    }
}
