//! The request that turns an HTTP/1.1 connection into a WebSocket (RFC 6455, section 4.2).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A request that may be answered with a WebSocket.
pub(crate) struct Handshake {
    /// The connection, once it was answered.
    pub(crate) upgrade: OnUpgrade,
    /// The first subprotocol that the client offered.
    pub(crate) protocol: Option<String>,
    accept: String,
}

/// Why a request is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("a WebSocket begins with GET")]
    Method,
    #[error("a WebSocket is spoken here: Connection: upgrade, Upgrade: websocket")]
    NoUpgrade,
    #[error("only version 13 is spoken here")]
    Version,
    #[error("no Sec-WebSocket-Key")]
    NoKey,
}

impl Handshake {
    /// Reads a request.
    pub(crate) fn read(mut request: Request) -> Result<Self, HandshakeError> {
        if request.method() != Method::GET {
            return Err(HandshakeError::Method);
        }
        let upgrade = request.extensions_mut().remove();
        let headers = request.headers();
        if !names(headers, header::CONNECTION, "upgrade") || !names(headers, header::UPGRADE, "websocket") {
            return Err(HandshakeError::NoUpgrade);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(HandshakeError::Version);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(HandshakeError::NoKey)?;
        let accept = derive_accept_key(key.as_bytes());
        let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
        let protocol = offered.and_then(|offered| offered.split(',').next()).map(|first| first.trim().to_owned());
        Ok(Self { upgrade: upgrade.ok_or(HandshakeError::NoUpgrade)?, protocol, accept })
    }

    /// The answer that makes it a WebSocket. The first subprotocol offered is taken, whatever it is, as the npm package
    /// `ws` does: browsers insist on an answer.
    pub(crate) fn answer(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let texts = [
            (header::SEC_WEBSOCKET_ACCEPT, Some(&self.accept)),
            (header::SEC_WEBSOCKET_PROTOCOL, self.protocol.as_ref()),
        ];
        for (name, text) in texts {
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Whether a header's list has `item`, in any case.
fn names(headers: &HeaderMap, name: HeaderName, item: &str) -> bool {
    let lists = headers.get_all(name).into_iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|named| named.trim().eq_ignore_ascii_case(item))
}

impl IntoResponse for HandshakeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade => StatusCode::UPGRADE_REQUIRED,
            Self::Version | Self::NoKey => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}
