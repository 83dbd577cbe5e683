//! `nats.*`.

use super::Secret;
use atoll_compat::Coordinates;
use atoll_compat::nats::{Credentials, NatsOptions, NatsUrl, Spellings};
use std::path::PathBuf;

/// How a NATS cluster is reached, if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Nats {
    /// Servers of the cluster; the embedded bus when there is none.
    pub url: Vec<NatsUrl>,
    /// Set when `password` is.
    pub user: Option<String>,
    /// Set when `user` is.
    pub password: Option<Secret>,
    /// A token.
    pub token: Option<Secret>,
    /// The seed of an nkey.
    pub nkey: Option<Secret>,
    /// A file with a JWT and a seed.
    pub credentials: Option<PathBuf>,
    /// Roots to believe besides the system's, in PEM.
    pub roots: Option<PathBuf>,
    /// A certificate to show, in PEM. Set when `key` is.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM. Set when `certificate` is.
    pub key: Option<PathBuf>,
    /// Which spellings of subjects are published beside the `client-proto` family's own.
    pub spellings: Spellings,
    /// How coordinates are written in the `client-proto` family.
    pub client_proto: Coordinates,
    /// How coordinates are written in the `engine` family.
    pub engine: Coordinates,
}

impl Nats {
    /// How to join the cluster, as `name`; `None` for the embedded bus.
    pub fn options(&self, name: String) -> Option<NatsOptions> {
        if self.url.is_empty() {
            return None;
        }
        Some(NatsOptions {
            servers: self.url.clone(),
            credentials: self.who(),
            roots: self.roots.clone(),
            certificate: self.certificate.clone().zip(self.key.clone()),
            name,
            spellings: self.spellings,
            client_proto: self.client_proto,
            engine: self.engine,
        })
    }

    fn who(&self) -> Credentials {
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            return Credentials::User(user.clone(), password.0.clone());
        }
        if let Some(token) = &self.token {
            return Credentials::Token(token.0.clone());
        }
        if let Some(seed) = &self.nkey {
            return Credentials::Nkey(seed.0.clone());
        }
        self.credentials.clone().map_or(Credentials::None, Credentials::File)
    }
}

impl Default for Nats {
    /// No cluster. On one: both families, and the documents' spellings but for heartbeats.
    fn default() -> Self {
        Self {
            url: Vec::new(),
            user: None,
            password: None,
            token: None,
            nkey: None,
            credentials: None,
            roots: None,
            certificate: None,
            key: None,
            spellings: Spellings { engine: true, documented: true, documented_heartbeats: false },
            client_proto: Coordinates::Double,
            engine: Coordinates::Float,
        }
    }
}
