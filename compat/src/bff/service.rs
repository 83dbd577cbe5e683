//! The BFF's ports: authentication first, then everything else.

use super::Client;
use super::authentication::{AllPorts, Authentication};
use super::comms::{Subscriptions, publish};
use super::director;
use super::modules::{AFTER_LOGIN, AUTHENTICATION};
use crate::counters::DoorCounters;
use crate::ended::Ended;
use crate::rpc::{Answer, Arguments, Call, CallError, Module, PortId, Service};
use atoll_core::region::{Region, Scope};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_all};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one connection of a kernel offers: the [`Service`] behind the WebSocket.
pub struct Ports {
    region: Region,
    client: Client,
    ports: BTreeMap<PortId, Port>,
    all: Arc<AllPorts>,
}

struct Port {
    authentication: Authentication,
    subscriptions: Subscriptions,
}

impl Ports {
    /// What a new connection of `client` offers.
    pub fn new(region: Region, client: Client) -> Self {
        Self::counted(region, client, Arc::default())
    }

    /// The same, whose logins count in `counters`.
    pub(super) fn counted(region: Region, client: Client, counters: Arc<DoorCounters>) -> Self {
        Self { region, client, ports: BTreeMap::new(), all: Arc::new(AllPorts::new(counters)) }
    }

    /// How often a session began or was given up.
    pub(super) fn changes(&self) -> u64 {
        self.all.changes.value()
    }

    /// Whether somebody has logged in on one of the ports.
    pub(super) fn has_session(&self) -> bool {
        self.ports.values().any(|port| port.authentication.peer().is_some())
    }

    /// Resolves when a session of one of the ports has come to its end, and the client has had its time to hear of it.
    pub(super) fn session_over(&self) -> BoxFuture<'static, Ended> {
        let peers = self.ports.values().filter_map(|port| port.authentication.peer());
        let ends: Vec<_> = peers.map(|peer| peer.over().boxed()).collect();
        if ends.is_empty() {
            return std::future::pending().boxed();
        }
        select_all(ends).map(|(ended, ..)| ended).boxed()
    }
}

impl Service for Ports {
    fn create_port(&mut self, port: PortId, _name: &str) -> Result<(), CallError> {
        let authentication = Authentication::new(self.region.clone(), self.client, Arc::clone(&self.all));
        self.ports.insert(port, Port { authentication, subscriptions: Subscriptions::default() });
        Ok(())
    }

    fn is_closed(&self, port: PortId) -> bool {
        self.ports.get(&port).is_some_and(|port| port.authentication.is_refused())
    }

    fn module(&mut self, port: PortId, name: &str) -> Option<&'static Module> {
        if name == AUTHENTICATION.name {
            return Some(&AUTHENTICATION);
        }
        self.ports.get(&port)?.authentication.peer()?;
        AFTER_LOGIN.iter().find(|module| module.name == name)
    }

    fn call(
        &mut self,
        port: PortId,
        module: &'static Module,
        procedure: &'static str,
        payload: Bytes,
        _arguments: Arguments,
    ) -> Call {
        let Some(Port { authentication, subscriptions }) = self.ports.get(&port) else {
            return now(Err(CallError("invalid portId".to_owned())));
        };
        match procedure {
            "GetChallenge" => return now(authentication.challenge(&payload)),
            "Authenticate" => return authentication.clone().authenticate(&payload),
            "GetDisconnectionMessage" => {
                return Call::Unary(authentication.clone().disconnection_message().boxed());
            }
            _ => {}
        }
        // Modules stay loaded when a session ends.
        let Some(peer) = authentication.peer() else {
            return now(Err(CallError("Authentication failed".to_owned())));
        };
        match (module.name, procedure) {
            (_, "PublishToTopic") => now(publish(&peer, &payload)),
            (_, "SubscribeToPeerMessages") => now(subscriptions.subscribe(&peer, Scope::Peer, &payload)),
            (_, "SubscribeToSystemMessages") => now(subscriptions.subscribe(&peer, Scope::System, &payload)),
            (_, "GetPeerMessages") => Call::Stream(subscriptions.read(Scope::Peer, &payload)),
            (_, "GetSystemMessages") => Call::Stream(subscriptions.read(Scope::System, &payload)),
            (_, "UnsubscribeToPeerMessages" | "UnsubscribeToSystemMessages") => {
                now(subscriptions.unsubscribe(&payload))
            }
            (_, "PeerSubscription") => Call::Stream(subscriptions.hear(peer, Scope::Peer, &payload)),
            (_, "SystemSubscription") => Call::Stream(subscriptions.hear(peer, Scope::System, &payload)),
            (_, "SendHeartbeat") => {
                peer.heartbeat(&payload);
                now(Ok(Bytes::new().into()))
            }
            (_, "GetCommsCommands") => Call::Stream(director::commands(&peer)),
            (module, other) => now(Err(CallError(format!("{module} has no procedure {other}")))),
        }
    }

    fn port_closed(&mut self, port: PortId) {
        if let Some(Port { authentication, subscriptions }) = self.ports.remove(&port) {
            subscriptions.clear();
            authentication.log_out();
        }
    }
}

fn now(result: Result<Answer, CallError>) -> Call {
    Call::Unary(std::future::ready(result).boxed())
}
