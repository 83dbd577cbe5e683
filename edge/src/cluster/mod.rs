//! The bus of a process: its own, or one that it shares with others on a NATS cluster.

mod discovery;
mod others;

pub(crate) use discovery::{Archipelago, Discovery};
use others::{Others, Who};

use crate::config::Roles;
use atoll_compat::nats::{NatsBus, NatsError, NatsOptions, NatsStatus};
use atoll_core::Host;
use atoll_core::bus::{Bus, LocalBus};
use atoll_core::region::Region;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Why the bus cannot be shared.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no way to the cluster.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// Another edge serves seats there.
    #[error(
        "another edge, {0:?}, serves seats on this NATS cluster: members of one island on both would not hear each other; \
         stop it, or set region.allow_split = true"
    )]
    Split(String),
    /// Another process groups the same peers.
    #[error(
        "another process, {0:?}, runs archipelago on this NATS cluster: two would pull every peer to and fro; stop it, or \
         leave `archipelago` out of `roles` here"
    )]
    TwoArchipelagos(String),
}

/// What a process is on a cluster.
#[derive(Debug, Clone)]
pub struct Membership {
    /// How the cluster is reached; a bus within the process when `None`.
    pub nats: Option<NatsOptions>,
    /// What the process does. Not all of it only with a cluster.
    pub roles: Roles,
    /// Whether it may be one of several edges.
    pub allow_split: bool,
}

/// The bus, and who else is on it. Dropping it leaves the cluster.
pub(crate) struct Cluster {
    bus: Arc<dyn Bus>,
    nats: Option<Arc<NatsBus>>,
    others: Option<Others>,
    roles: Roles,
    discovery: Arc<Discovery>,
    tasks: Vec<AbortHandle>,
    /// Answers others who come.
    answering: Option<AbortHandle>,
}

impl Cluster {
    /// Joins the cluster, if there is one, and looks whether this process may be there. Takes a second, and up to 4 when no
    /// server answers; then nobody can be asked, and the process starts all the same.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub(crate) async fn join(membership: Membership, name: String, host: &Arc<dyn Host>) -> Result<Self, ClusterError> {
        let Membership { nats, roles, allow_split } = membership;
        let Some(options) = nats else { return Ok(Self::alone(roles)) };
        let nats = Arc::new(NatsBus::open(options).await?);
        let bus: Arc<dyn Bus> = Arc::<NatsBus>::clone(&nats);
        let mut others = Others::new(Arc::clone(&bus), Who::new(name, roles, &**host), nats.connected());
        if let Some(other) = others.look(allow_split).await {
            let split = roles.edge && other.edge && !allow_split;
            return Err(if split {
                ClusterError::Split(other.name)
            } else {
                ClusterError::TwoArchipelagos(other.name)
            });
        }
        let (discovery, listening) = Discovery::listen(Arc::clone(&bus), Arc::clone(host), roles.archipelago);
        Ok(Self {
            bus,
            nats: Some(nats),
            others: Some(others),
            roles,
            discovery,
            tasks: vec![listening],
            answering: None,
        })
    }

    fn alone(roles: Roles) -> Self {
        Self {
            bus: Arc::new(LocalBus::default()),
            nats: None,
            others: None,
            roles,
            discovery: Arc::default(),
            tasks: Vec::new(),
            answering: None,
        }
    }

    /// The bus.
    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// Answers others who come, and lets `region` catch up, now and when a lost cluster is back.
    pub(crate) fn serve(&mut self, region: Region) {
        let Some(nats) = &self.nats else { return };
        let mut connected = nats.connected();
        region.catch_up();
        let catching_up = tokio::spawn(async move {
            loop {
                // What was said in between is not said again.
                if connected.wait_for(|connected| !connected).await.is_err() {
                    return;
                }
                if connected.wait_for(|connected| *connected).await.is_err() {
                    return;
                }
                region.catch_up();
            }
        });
        self.tasks.push(catching_up.abort_handle());
        self.answering = self.others.take().map(|others| tokio::spawn(others.answer()).abort_handle());
    }

    /// Leaves its place to a successor: nobody is told any more that this process is here.
    pub(crate) fn stand_down(&self) {
        self.answering.iter().for_each(AbortHandle::abort);
    }

    /// What can be asked about it.
    pub(crate) fn view(&self) -> ClusterView {
        ClusterView { nats: self.nats.clone(), roles: self.roles, discovery: Arc::clone(&self.discovery) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stand_down();
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// How the bus is, for those who ask.
#[derive(Clone)]
pub(crate) struct ClusterView {
    nats: Option<Arc<NatsBus>>,
    roles: Roles,
    discovery: Arc<Discovery>,
}

impl ClusterView {
    /// The cluster's counts, if there is one.
    pub(crate) fn nats(&self) -> Option<NatsStatus> {
        self.nats.as_ref().map(|nats| nats.status())
    }

    /// Whether there is a cluster and no server of it answers.
    pub(crate) fn is_lost(&self) -> bool {
        self.nats().is_some_and(|nats| !nats.connected)
    }

    /// What this process does.
    pub(crate) fn roles(&self) -> Roles {
        self.roles
    }

    /// The archipelago service of another process, if it was heard of lately.
    pub(crate) fn archipelago(&self) -> Option<Archipelago> {
        self.discovery.archipelago()
    }
}
