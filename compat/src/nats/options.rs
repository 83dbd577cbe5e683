//! How a NATS cluster is reached, and how this process writes there.

use super::NatsError;
use super::subjects::Spellings;
use crate::Coordinates;
use async_nats::{ConnectOptions, ServerAddr};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long one server has to answer.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How often the server is asked whether it is there.
const PING: Duration = Duration::from_secs(10);

/// Messages that may wait within the library, between the queue and the socket.
const CLIENT_CAPACITY: usize = 1024;

/// Messages of one subscription that may wait to be taken: several seconds of the heartbeats of ten thousand peers.
pub(super) const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// Largest file of credentials or certificates, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How a NATS cluster is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct NatsOptions {
    /// Servers of the cluster; others are learnt from them. At least one.
    pub servers: Vec<NatsUrl>,
    /// Who this process is there.
    pub credentials: Credentials,
    /// Roots to believe besides those of the system, in PEM.
    pub roots: Option<PathBuf>,
    /// Certificate and key to show, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Names the connection, for those who look at the server.
    pub name: String,
    /// In which spellings subjects are published.
    pub spellings: Spellings,
    /// How coordinates are written in the `client-proto` family.
    pub client_proto: Coordinates,
    /// How coordinates are written in the `engine` family.
    pub engine: Coordinates,
}

/// Who this process is for the cluster.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody, or whom the URL names.
    None,
    /// A user and its password.
    User(String, String),
    /// A token.
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
    /// A file with a JWT and a seed, as `nsc` writes it.
    File(PathBuf),
}

impl fmt::Debug for Credentials {
    /// Tells the sort and no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User(..) => "User",
            Self::Token(_) => "Token",
            Self::Nkey(_) => "Nkey",
            Self::File(_) => "File",
        })
    }
}

/// `nats://host:port` or `tls://host:port`, perhaps with user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsUrl(ServerAddr);

/// A text is no NATS URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not nats://host:port or tls://host:port")]
pub struct NatsUrlError;

impl FromStr for NatsUrl {
    type Err = NatsUrlError;

    fn from_str(text: &str) -> Result<Self, NatsUrlError> {
        let known = ["nats://", "tls://"].iter().any(|scheme| text.starts_with(scheme));
        let url = known.then(|| text.parse::<ServerAddr>().ok()).flatten();
        url.filter(|url| !url.host().is_empty()).map(Self).ok_or(NatsUrlError)
    }
}

impl fmt::Display for NatsUrl {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.0.tls_required() { "tls" } else { "nats" };
        write!(f, "{scheme}://{}:{}", self.0.host(), self.0.port())
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl NatsUrl {
    fn user_and_password(&self) -> Option<(String, String)> {
        Some((self.0.username()?.to_owned(), self.0.password()?.to_owned()))
    }
}

impl NatsOptions {
    pub(super) fn servers(&self) -> Vec<ServerAddr> {
        self.servers.iter().map(|url| url.0.clone()).collect()
    }

    /// What the library is told. Everything that it would read later is read once before, so that what is wrong is found now.
    pub(super) fn connect_options(&self) -> Result<ConnectOptions, NatsError> {
        let mut options = ConnectOptions::new()
            .name(&self.name)
            // What this process publishes it hears by itself, whether there is a server or not.
            .no_echo()
            .retry_on_initial_connect()
            .connection_timeout(CONNECT_TIME)
            .ping_interval(PING)
            .client_capacity(CLIENT_CAPACITY)
            .subscription_capacity(SUBSCRIPTION_CAPACITY);
        options = match &self.credentials {
            // The library reads them and makes no use of them.
            Credentials::None => match self.servers.iter().find_map(NatsUrl::user_and_password) {
                Some((user, password)) => options.user_and_password(user, password),
                None => options,
            },
            Credentials::User(user, password) => options.user_and_password(user.clone(), password.clone()),
            Credentials::Token(token) => options.token(token.clone()),
            Credentials::Nkey(seed) => {
                nkeys::KeyPair::from_seed(seed).map_err(NatsError::Nkey)?;
                options.nkey(seed.clone())
            }
            Credentials::File(path) => {
                let refused = |error| NatsError::File { path: path.clone(), error };
                options.credentials(&pem(path)?).map_err(refused)?
            }
        };
        if let Some(roots) = &self.roots {
            pem(roots)?;
            options = options.add_root_certificates(roots.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            pem(certificate)?;
            pem(key)?;
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }
}

/// A file's text, with something in PEM in it. What is no file, or absurdly large, is not read: it might never end.
fn pem(path: &Path) -> Result<String, NatsError> {
    let read = || {
        let about = std::fs::metadata(path)?;
        if !about.is_file() || about.len() > MAX_FILE {
            return Err(io::Error::other(format!("not a file of at most {MAX_FILE} bytes")));
        }
        let text = std::fs::read_to_string(path)?;
        if text.contains("-----BEGIN ") { Ok(text) } else { Err(io::Error::other("nothing in PEM")) }
    };
    read().map_err(|error| NatsError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_shown_without_its_secret() {
        let url: NatsUrl = "nats://me:secret@127.0.0.1:4222".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "nats://127.0.0.1:4222 nats://127.0.0.1:4222");
        assert_eq!("tls://nats.example".parse::<NatsUrl>().unwrap().to_string(), "tls://nats.example:4222");
        for text in ["", "127.0.0.1:4222", "http://a", "nats://", "nats:///x"] {
            assert_eq!(text.parse::<NatsUrl>(), Err(NatsUrlError), "{text}");
        }
        assert_eq!(format!("{:?}", Credentials::User("me".into(), "secret".into())), "User");
    }

    #[test]
    fn what_is_no_file_of_pem_is_not_read_to_its_end() {
        for path in ["/dev/zero", "/", "/nowhere", "/proc/version"] {
            assert!(matches!(pem(Path::new(path)), Err(NatsError::File { .. })), "{path}");
        }
    }
}
