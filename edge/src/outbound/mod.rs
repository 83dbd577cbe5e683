//! What the edge asks of others over HTTP: small JSON questions, each on a connection of its own.

mod catalyst;
mod ethereum;
mod scenes;
mod service_url;
mod webhook;

pub use catalyst::CatalystUrls;
pub(crate) use catalyst::{Catalyst, Service};
pub use ethereum::Ethereum;
pub(crate) use scenes::{Scene, Scenes};
pub use service_url::{BaseUrl, ServiceUrl, ServiceUrlError};
pub(crate) use webhook::Webhook;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Position;

/// What is said and heard.
const JSON: &str = "application/json";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens there, or the certificate is not believed.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// There was none in time.
    #[error("no answer in time")]
    Silence,
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

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Bytes,
}

/// Posts a question to a service and gives its answer, of at most `most` bytes, if that has the status 200. The caller bounds
/// the time.
pub(crate) async fn post(url: &ServiceUrl, question: &Value, most: usize) -> Result<Value, AskError> {
    let question = question.to_string().into();
    let answer = ask(Method::POST, url, &[(CONTENT_TYPE, JSON)], question, most).await?;
    if answer.status != StatusCode::OK {
        return Err(AskError::Status(answer.status.as_u16()));
    }
    answer.json()
}

/// Gets a page of a service, of at most `most` bytes and whatever status. The caller bounds the time.
pub(crate) async fn get(url: &ServiceUrl, most: usize) -> Result<Answer, AskError> {
    ask(Method::GET, url, &[(CONTENT_TYPE, JSON)], Bytes::new(), most).await
}

async fn ask(
    method: Method,
    url: &ServiceUrl,
    headers: &[(HeaderName, &str)],
    body: Bytes,
    most: usize,
) -> Result<Answer, AskError> {
    let url = url.as_url();
    let host = url.host_str().unwrap_or_default();
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
    let mut request = Request::builder().method(method).header(ACCEPT, JSON);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .body(Full::new(body))
        .map_err(|error| AskError::Http(error.into()))?;
    let stream = TcpStream::connect(address).await?;
    if url.scheme() == "http" {
        return converse(stream, request, most).await;
    }
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|error| AskError::Setup(error.to_string()))?;
    let tls = TlsConnector::from(tls().map_err(AskError::Setup)?);
    converse(tls.connect(name, stream).await?, request, most).await
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>, most: usize) -> Result<Answer, AskError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| AskError::Http(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = Driver(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), most).collect().await.map_err(AskError::Http)?;
    drop(driver);
    Ok(Answer { status, body: body.to_bytes() })
}

impl Answer {
    /// Its body.
    pub(crate) fn json(&self) -> Result<Value, AskError> {
        Ok(serde_json::from_slice(&self.body)?)
    }
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
