//! Finding an edge's doors from its one HTTP address.

use crate::options::{Options, Proof};
use crate::target::{CertificateDigest, DigestError, Target, TargetError};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use url::Url;

/// Largest `/about` read, in bytes.
const MAX_ABOUT: usize = 256 * 1024;

/// How long asking may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an edge's native doors are, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// `https://<host>:<port>/atoll`.
    pub webtransport: String,
    /// `<host>:<port>`.
    pub quic: String,
    /// `ws://<host>:<port>/atoll/ws` or `wss:`; edges before that way have none.
    pub websocket: Option<String>,
    /// The edge's name, which signed logins carry.
    pub server: Option<String>,
    /// The digest of its development certificate.
    pub certificate: CertificateDigest,
}

/// Why the doors were not found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The text is no `http` URL.
    #[error("not an http URL: {0}")]
    Url(String),
    /// Nobody listens there.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The conversation broke off or was no HTTP.
    #[error("cannot ask for /about: {0}")]
    Http(#[from] hyper::Error),
    /// Nothing came for 5 seconds.
    #[error("no answer within 5 seconds")]
    Timeout,
    /// The answer is larger than a hundred of what an edge sends.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer is not JSON.
    #[error("/about is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The answer names no native doors: a Comms V3 realm without Atoll.
    #[error("/about has no comms.atoll: this is no Atoll edge")]
    NoAtoll,
    /// A door has an address that leads nowhere.
    #[error("comms.atoll: {0}")]
    Door(#[from] TargetError),
    /// The answer has no digest of a development certificate.
    #[error("/about has no certificateSha256; give the roots to believe instead of asking")]
    NoDigest,
    /// The digest in the answer is none.
    #[error("certificateSha256: {0}")]
    Digest(#[from] DigestError),
}

impl Discovery {
    /// Asks `<url>/about`. `url` is `http://<host>:<port>`, any path is ignored.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn of(url: &str) -> Result<Self, DiscoveryError> {
        tokio::time::timeout(PATIENCE, ask(url)).await.map_err(|_| DiscoveryError::Timeout)?
    }

    /// The defaults for an edge that was asked: believing the certificate found, login by signed fetch, reconnecting.
    pub fn options(&self) -> Options {
        let mut options = Options::pinned(self.certificate);
        options.reconnect = true;
        if let Some(server) = &self.server {
            options.proof = Proof::SignedFetch { server: server.clone() };
        }
        options
    }
}

async fn ask(text: &str) -> Result<Discovery, DiscoveryError> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http");
    let url = url.ok_or_else(|| DiscoveryError::Url(text.to_owned()))?;
    let host = url.host_str().ok_or_else(|| DiscoveryError::Url(text.to_owned()))?;
    let authority = format!("{host}:{}", url.port().unwrap_or(80));
    let stream = TcpStream::connect(&authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request =
        hyper::Request::get("/about").header(hyper::header::HOST, &authority).body(Empty::<bytes::Bytes>::new());
    let request = request.map_err(|_| DiscoveryError::Url(text.to_owned()))?;
    let answer = sender.send_request(request).await?;
    let body = Limited::new(answer.into_body(), MAX_ABOUT).collect().await;
    driver.abort();
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => DiscoveryError::TooLarge,
        Err(other) => other.downcast::<hyper::Error>().map_or(DiscoveryError::TooLarge, |e| DiscoveryError::Http(*e)),
    })?;
    read(&serde_json::from_slice(&body.to_bytes())?)
}

fn read(about: &Value) -> Result<Discovery, DiscoveryError> {
    let atoll = &about["comms"]["atoll"];
    let text = |name: &str| atoll[name].as_str().map(str::to_owned).ok_or(DiscoveryError::NoAtoll);
    let (webtransport, quic) = (text("webtransport")?, text("quic")?);
    let websocket = atoll["websocket"].as_str().map(str::to_owned);
    Target::webtransport(&webtransport)?;
    Target::quic(&quic)?;
    websocket.as_deref().map(Target::websocket).transpose()?;
    let server = about["configurations"]["realmName"].as_str().map(str::to_owned);
    let digest = atoll["certificateSha256"].as_str().ok_or(DiscoveryError::NoDigest)?;
    Ok(Discovery { webtransport, quic, websocket, server, certificate: digest.parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::Doors;
    use serde_json::json;

    #[test]
    fn the_doors_are_read_from_about() {
        let mut about = json!({"configurations": {"realmName": "main"}, "comms": {"atoll": {
            "webtransport": "https://127.0.0.1:7443/atoll", "quic": "127.0.0.1:7443",
            "websocket": "ws://127.0.0.1:7480/atoll/ws", "certificateSha256": "ab".repeat(32),
        }}});
        let found = read(&about).unwrap();
        assert_eq!(found.quic, "127.0.0.1:7443");
        assert_eq!(found.certificate, CertificateDigest([0xab; 32]));
        assert_eq!(found.options().proof, Proof::SignedFetch { server: "main".to_owned() });
        let doors = Doors::from(&found);
        assert_eq!(doors.websocket.unwrap().url.as_str(), "ws://127.0.0.1:7480/atoll/ws");
        about["comms"]["atoll"]["websocket"] = json!("ftp://127.0.0.1");
        assert!(matches!(read(&about), Err(DiscoveryError::Door(TargetError::Scheme(_)))));
        about["comms"]["atoll"]["websocket"] = Value::Null;
        assert_eq!(read(&about).unwrap().websocket, None);
    }

    #[test]
    fn other_realms_are_told_apart() {
        let realm = json!({"healthy": true, "comms": {"protocol": "v3"}});
        assert!(matches!(read(&realm), Err(DiscoveryError::NoAtoll)));
        let broken = json!({"comms": {"atoll": {"webtransport": "a", "quic": "a", "certificateSha256": "x"}}});
        assert!(matches!(read(&broken), Err(DiscoveryError::Digest(_))));
    }

    #[tokio::test]
    async fn only_http_urls_are_asked() {
        for text in ["https://127.0.0.1:1", "127.0.0.1:1", "http://"] {
            assert!(matches!(Discovery::of(text).await, Err(DiscoveryError::Url(_))), "{text}");
        }
    }
}
