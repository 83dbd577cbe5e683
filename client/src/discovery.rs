//! Finding an edge's doors from its one HTTP address.

use crate::options::{Options, Proof};
use crate::target::{Target, TargetError};
use crate::tls::client_tls;
use crate::trust::{CertificateDigest, DigestError, Trust};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

/// Largest `/about` read, in bytes.
const MAX_ABOUT: usize = 256 * 1024;

/// How long asking may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an edge's native doors are, by its own word.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// `https://<host>:<port>/atoll`.
    pub webtransport: String,
    /// `<host>:<port>`.
    pub quic: String,
    /// `ws://<host>:<port>/atoll/ws` or `wss:`; edges before that way have none.
    pub websocket: Option<String>,
    /// The edge's name, which signed logins carry.
    pub server: Option<String>,
    /// The digest of its development certificate. An edge with a certificate of an authority tells none.
    pub certificate: Option<CertificateDigest>,
    /// What the program said to believe.
    trust: Option<Trust>,
}

/// Why the doors were not found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The text is no `http` or `https` URL.
    #[error("not an http or https URL: {0}")]
    Url(String),
    /// Nobody listens there.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// The system has no roots, or those given cannot be used.
    #[error("cannot set TLS up: {0}")]
    Setup(String),
    /// The certificate shown is not believed, or nobody speaks TLS there.
    #[error("no TLS connection: {0}")]
    Tls(io::Error),
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
    /// The digest in the answer is none.
    #[error("certificateSha256: {0}")]
    Digest(#[from] DigestError),
}

impl Discovery {
    /// Asks `<url>/about`. `url` is `http://<host>:<port>` or `https://<host>:<port>`, any path is ignored. With `https`
    /// the certificate must be one that the operating system believes.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn of(url: &str) -> Result<Self, DiscoveryError> {
        Self::ask(url, None).await
    }

    /// Asks as [`Discovery::of`] does, and believes what `trust` says and nothing else, whatever the edge tells: when
    /// asking with `https`, and at the doors.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn trusting(url: &str, trust: Trust) -> Result<Self, DiscoveryError> {
        Self::ask(url, Some(trust)).await
    }

    /// The defaults for an edge that was asked: login by signed fetch, reconnecting, and believing what the program said;
    /// else the certificate that the edge told, if it did, and those that the operating system believes.
    pub fn options(&self) -> Options {
        let told = || self.certificate.map_or(Trust::System, Trust::CertificateSha256OrSystem);
        let mut options = Options::new(self.trust.clone().unwrap_or_else(told));
        options.reconnect = true;
        if let Some(server) = &self.server {
            options.proof = Proof::SignedFetch { server: server.clone() };
        }
        options
    }

    async fn ask(url: &str, trust: Option<Trust>) -> Result<Self, DiscoveryError> {
        let about = tokio::time::timeout(PATIENCE, about(url, trust.as_ref().unwrap_or(&Trust::System))).await;
        read(&about.map_err(|_| DiscoveryError::Timeout)??, trust)
    }
}

/// `/about` of the edge at this URL.
async fn about(text: &str, trust: &Trust) -> Result<Value, DiscoveryError> {
    let wrong = || DiscoveryError::Url(text.to_owned());
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)?;
    let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or_else(wrong)?;
    let tls = match url.scheme() {
        "https" => Some(client_tls(trust, b"http/1.1").map_err(DiscoveryError::Setup)?),
        _ => None,
    };
    let stream = TcpStream::connect(format!("{host}:{port}")).await?;
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let Some(tls) = tls else { return get_about(stream, authority).await };
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| wrong())?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(DiscoveryError::Tls)?;
    get_about(stream, authority).await
}

async fn get_about<S>(stream: S, authority: &str) -> Result<Value, DiscoveryError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request =
        hyper::Request::get("/about").header(hyper::header::HOST, authority).body(Empty::<bytes::Bytes>::new());
    let request = request.map_err(|_| DiscoveryError::Url(authority.to_owned()))?;
    let answer = sender.send_request(request).await?;
    let body = Limited::new(answer.into_body(), MAX_ABOUT).collect().await;
    driver.abort();
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => DiscoveryError::TooLarge,
        Err(other) => other.downcast::<hyper::Error>().map_or(DiscoveryError::TooLarge, |e| DiscoveryError::Http(*e)),
    })?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

fn read(about: &Value, trust: Option<Trust>) -> Result<Discovery, DiscoveryError> {
    let atoll = &about["comms"]["atoll"];
    let text = |name: &str| atoll[name].as_str().map(str::to_owned).ok_or(DiscoveryError::NoAtoll);
    let (webtransport, quic) = (text("webtransport")?, text("quic")?);
    let websocket = atoll["websocket"].as_str().map(str::to_owned);
    Target::webtransport(&webtransport)?;
    Target::quic(&quic)?;
    websocket.as_deref().map(Target::websocket).transpose()?;
    let server = about["configurations"]["realmName"].as_str().map(str::to_owned);
    let certificate = atoll["certificateSha256"].as_str().map(str::parse).transpose()?;
    Ok(Discovery { webtransport, quic, websocket, server, certificate, trust })
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
        let found = read(&about, None).unwrap();
        assert_eq!(found.quic, "127.0.0.1:7443");
        assert_eq!(found.certificate, Some(CertificateDigest([0xab; 32])));
        assert_eq!(found.options().proof, Proof::SignedFetch { server: "main".to_owned() });
        let doors = Doors::from(&found);
        assert_eq!(doors.websocket.unwrap().url.as_str(), "ws://127.0.0.1:7480/atoll/ws");
        about["comms"]["atoll"]["websocket"] = json!("ftp://127.0.0.1");
        assert!(matches!(read(&about, None), Err(DiscoveryError::Door(TargetError::Scheme(_)))));
        about["comms"]["atoll"]["websocket"] = Value::Null;
        assert_eq!(read(&about, None).unwrap().websocket, None);
    }

    #[test]
    fn other_realms_are_told_apart() {
        let realm = json!({"healthy": true, "comms": {"protocol": "v3"}});
        assert!(matches!(read(&realm, None), Err(DiscoveryError::NoAtoll)));
        let broken = json!({"comms": {"atoll": {"webtransport": "a", "quic": "a", "certificateSha256": "x"}}});
        assert!(matches!(read(&broken, None), Err(DiscoveryError::Digest(_))));
    }

    #[test]
    fn what_is_believed_is_said_by_the_program_or_told_by_the_edge() {
        let (said, told) = (CertificateDigest([1; 32]), CertificateDigest([0xab; 32]));
        let mut about = json!({"comms": {"atoll": {
            "webtransport": "https://a/atoll", "quic": "a:1", "certificateSha256": told.to_string(),
        }}});
        let trust = |about: &Value, trust| read(about, trust).unwrap().options().trust;
        assert!(matches!(trust(&about, None), Trust::CertificateSha256OrSystem(pin) if pin == told));
        let pinned = || Some(Trust::CertificateSha256(said));
        assert!(matches!(trust(&about, pinned()), Trust::CertificateSha256(pin) if pin == said));
        about["comms"]["atoll"]["certificateSha256"] = Value::Null;
        assert!(matches!(trust(&about, None), Trust::System));
        assert!(matches!(trust(&about, pinned()), Trust::CertificateSha256(pin) if pin == said));
    }

    #[tokio::test]
    async fn only_http_urls_are_asked() {
        for text in ["ftp://127.0.0.1:1", "127.0.0.1:1", "http://", "https://"] {
            assert!(matches!(Discovery::of(text).await, Err(DiscoveryError::Url(_))), "{text}");
        }
    }
}
