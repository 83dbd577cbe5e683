//! What every native connection is served with, and the end of all of them.

use super::carrier::Carrier;
use super::connection::Connection;
use super::counters::{Counters, NativeStatus};
use super::ending::Ending;
use super::gate::Gate;
use super::resumptions::Resumptions;
use super::streams::{Datagrams, Streams};
use super::upload_budget::{UPLOAD_BUDGET, UploadBudget};
use crate::config::AllowedOrigins;
use atoll_core::limit::{AmongEquals, Crowd, Spot};
use atoll_core::region::Region;
use atoll_proto::close::CloseCode;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How the native doors behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long after the loss of its connection a session can be resumed.
    pub resume_window: Duration,
    /// Most connections that have not logged in, in all. For one more, another goes that came from the most crowded place.
    pub pre_auth: usize,
    /// Most connections that have not logged in, from one IPv4 address or IPv6 network of 64 bits.
    pub pre_auth_per_ip: usize,
    /// Which web pages may open sessions.
    pub allowed_origins: AllowedOrigins,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resume_window: Duration::from_secs(60),
            pre_auth: 1024,
            pre_auth_per_ip: 256,
            allowed_origins: AllowedOrigins::Any,
        }
    }
}

/// What all native doors share. Clones share it, too.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    region: Region,
    settings: Settings,
    counters: Arc<Counters>,
    resumptions: Arc<Resumptions>,
    uploads: Arc<UploadBudget>,
    waiting: Arc<Crowd>,
    phase: watch::Sender<Phase>,
    gate: Gate,
}

/// How far the end of the edge has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not begun.
    Open,
    /// Announced: sessions end then.
    Draining(Instant),
    /// Now.
    Ending,
}

impl Door {
    /// The doors' common part, for sessions of `region`.
    pub fn new(region: Region, settings: Settings) -> Self {
        // An honest login takes well under a second; who keeps silent waits for its end.
        let waiting = Crowd::new(settings.pre_auth, Some(settings.pre_auth_per_ip), AmongEquals::OldestLeaves);
        Self(Arc::new(Inner {
            region,
            counters: Arc::default(),
            resumptions: Arc::default(),
            uploads: Arc::new(UploadBudget::new(UPLOAD_BUDGET)),
            waiting: Arc::new(waiting),
            phase: watch::Sender::new(Phase::Open),
            gate: Gate::default(),
            settings,
        }))
    }

    /// What the doors hold and have done.
    pub fn status(&self) -> NativeStatus {
        self.0.counters.status(self.0.waiting.evictions())
    }

    /// How the doors behave.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Announces the end to every session, and returns when all have gone or `grace` is over.
    pub async fn drain(&self, grace: Duration) {
        self.0.phase.send_replace(Phase::Draining(Instant::now() + grace));
        let _ = tokio::time::timeout(grace, self.0.gate.all_gone()).await;
    }

    /// Ends every session (4000), and returns when their clients know or are unlikely to hear.
    pub async fn close(&self) {
        self.0.phase.send_replace(Phase::Ending);
        self.0.gate.all_gone().await;
    }

    /// A connection that came in by one of the doors.
    pub(crate) fn connection(&self, carrier: Carrier, streams: Streams, datagrams: Datagrams) -> Connection {
        Connection::new(&self.0.counters, self.0.gate.enter(), carrier, streams, datagrams)
    }

    /// Lets a connection in that has not logged in, unless its place has as many as it may. It has to go when its spot is
    /// evicted.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Spot> {
        let spot = self.0.waiting.enter(from);
        if spot.is_none() {
            self.0.counters.pre_auth_refused.add(1);
        }
        spot
    }

    /// Who has a connection and no session yet.
    pub(crate) fn waiting(&self) -> &Arc<Crowd> {
        &self.0.waiting
    }

    /// Whether newcomers from there must show that the address is theirs.
    pub(crate) fn is_crowded(&self, from: IpAddr) -> bool {
        self.0.waiting.is_crowded(from)
    }

    /// Why a page of this origin may not open a session, if it may not.
    pub(crate) fn refuses_origin(&self, origin: Option<&str>) -> Option<Ending> {
        let refused = !self.0.settings.allowed_origins.allows(origin);
        refused.then(|| Ending::new(CloseCode::Unauthorized, "pages of this origin may not open sessions here"))
    }

    /// Waits until sessions are to end.
    pub(crate) async fn ending(&self) {
        // The sender is part of this, so there is no error.
        let _ = self.phase().wait_for(|phase| *phase == Phase::Ending).await;
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    pub(super) fn region(&self) -> &Region {
        &self.0.region
    }

    pub(super) fn resumptions(&self) -> &Arc<Resumptions> {
        &self.0.resumptions
    }

    pub(super) fn uploads(&self) -> &Arc<UploadBudget> {
        &self.0.uploads
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }
}
