//! What the edge asks of others over HTTP: small JSON questions, each on a connection of its own.

mod ethereum;

pub use ethereum::Ethereum;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

/// Largest answer read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Where a service answers: an `http` or `https` URL with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

/// A text that is no [`ServiceUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http or https URL")]
pub struct ServiceUrlError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens there, or the certificate is not believed.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The system has no root certificates.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// The conversation broke off, or the answer was too large.
    #[error("the conversation broke off: {0}")]
    Http(Box<dyn std::error::Error + Send + Sync>),
    /// The answer has another status than 200.
    #[error("status {0}")]
    Status(u16),
    /// The answer is not JSON.
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl FromStr for ServiceUrl {
    type Err = ServiceUrlError;

    fn from_str(text: &str) -> Result<Self, ServiceUrlError> {
        let url = Url::parse(text).map_err(|_| ServiceUrlError)?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        is_http.then_some(Self(url)).ok_or(ServiceUrlError)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Posts a question to a service. The caller bounds the time.
pub(crate) async fn post(url: &ServiceUrl, question: &Value) -> Result<Value, AskError> {
    let body = Bytes::from(question.to_string());
    let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/json");
    let ServiceUrl(url) = url;
    let host = url.host_str().unwrap_or_default();
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
    let request = request
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .body(Full::new(body))
        .map_err(|error| AskError::Http(error.into()))?;
    let stream = TcpStream::connect(address).await?;
    if url.scheme() == "http" {
        return converse(stream, request).await;
    }
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|error| AskError::Setup(error.to_string()))?;
    let tls = TlsConnector::from(tls().map_err(AskError::Setup)?);
    converse(tls.connect(name, stream).await?, request).await
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Value, AskError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| AskError::Http(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = Driver(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(AskError::Http)?;
    drop(driver);
    if status != 200 {
        return Err(AskError::Status(status.as_u16()));
    }
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

/// Ends a connection's task with the question it was for.
struct Driver(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// TLS that believes what the operating system does. Read once.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static TLS: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let set_up = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    };
    TLS.get_or_init(set_up).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_http_urls() {
        for text in ["http://127.0.0.1:8545", "https://rpc.example.org/mainnet?project=atoll", "http://[::1]:8545/"] {
            assert!(text.parse::<ServiceUrl>().is_ok(), "{text}");
        }
        for text in ["", "rpc.example.org", "ws://rpc.example.org", "http://", "file:///etc/passwd"] {
            assert_eq!(text.parse::<ServiceUrl>(), Err(ServiceUrlError), "{text}");
        }
    }
}
