//! The door of LiveKit's clients, as this edge opens it, and where kernels are sent that go by LiveKit.

use crate::config::{IceServer, Livekit, LivekitDoor};
use crate::outbound::Webhook;
use atoll_compat::Doorway;
use atoll_compat::livekit::{self, IcePorts, OpenError, Routes, Settings, WebhookReceiver};
use atoll_core::auth::LivekitKeys;
use atoll_core::region::LivekitRooms;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Why LiveKit's clients cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LivekitError {
    /// The port of media and data could not be had.
    #[error("cannot listen on {address} for LiveKit's clients (livekit.listen, or livekit.enabled = false): {error}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The door did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The port, taken before anything else is done.
pub(crate) struct LivekitPorts {
    ports: IcePorts,
    ice_servers: Vec<IceServer>,
    webhooks: Vec<Webhook>,
}

impl LivekitPorts {
    /// Takes the port, if LiveKit's clients are served here.
    pub(crate) fn bind(door: Option<LivekitDoor>) -> Result<Option<Self>, LivekitError> {
        let Some(LivekitDoor { listen: address, tcp, ice_servers, public_ips, webhooks }) = door else {
            return Ok(None);
        };
        let bound = IcePorts::bind(address, tcp, public_ips);
        let ports = bound.map_err(|error| LivekitError::Listen { address, error })?;
        Ok(Some(Self { ports, ice_servers, webhooks: webhooks.into_iter().map(Webhook).collect() }))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.ports.address()
    }

    /// The door's routes.
    pub(crate) fn open(self, doorway: Doorway, keys: &LivekitKeys) -> Result<Routes, LivekitError> {
        let Self { ports, ice_servers, webhooks } = self;
        let server = |IceServer { urls, username, credential }| livekit::IceServer {
            urls,
            username: username.unwrap_or_default(),
            credential: credential.unwrap_or_default(),
        };
        let ice_servers = ice_servers.into_iter().map(server).collect();
        let receiver = |webhook| Arc::new(webhook) as Arc<dyn WebhookReceiver>;
        let webhooks = webhooks.into_iter().map(receiver).collect();
        Ok(livekit::routes(doorway, Settings { keys: keys.clone(), ports, ice_servers, webhooks })?)
    }
}

/// Where kernels are sent that go by LiveKit: elsewhere if there is such a place, else to this edge at `origin`, if it is one.
pub(crate) fn rooms(livekit: &Livekit, is_edge: bool, origin: String, keys: LivekitKeys) -> Option<LivekitRooms> {
    if let Some(url) = &livekit.url {
        return Some(LivekitRooms { url: url.as_str().to_owned(), is_outside: true, keys });
    }
    let is_here = is_edge && livekit.is_served();
    is_here.then(|| LivekitRooms { url: origin, is_outside: false, keys })
}
