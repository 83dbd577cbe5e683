//! What a client asks for in the URL that it connects to.

use axum::http::{HeaderMap, Uri, header};
use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use flate2::read::GzDecoder;
use livekit_protocol::{AddTrackRequest, JoinRequest, SessionDescription, WrappedJoinRequest, client_info::Sdk};
use percent_encoding::percent_decode_str;
use prost::Message;
use std::borrow::Cow;
use std::io::Read;

/// Longest join request, in bytes, packed or not: it holds a session description.
const MAX_JOIN_REQUEST: usize = 256 * 1024;

/// What kind of client it is, which decides what it understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The number of its signalling protocol.
    protocol: u32,
    /// It has one connection for both directions, and makes all offers.
    is_single: bool,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) dialect: Dialect,
    pub(super) auto_subscribe: bool,
    /// It was here before, as this participant, and wants to go on.
    pub(super) resumes: Option<String>,
    /// Said with the request, to save a round trip.
    pub(super) offer: Option<SessionDescription>,
    pub(super) tracks: Vec<AddTrackRequest>,
    /// What it says of itself, for logs.
    pub(super) client: String,
}

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// `join_request` is not what it should be.
    #[error("join_request is no WrappedJoinRequest of at most {MAX_JOIN_REQUEST} bytes in base64url")]
    JoinRequest,
}

impl Dialect {
    /// Whether it understands `ReconnectResponse`: older ones throw on messages that they do not know.
    pub(super) fn knows_reconnect_response(self) -> bool {
        self.protocol >= 9
    }

    /// Whether it understands `RequestResponse`.
    pub(super) fn knows_request_response(self) -> bool {
        self.protocol >= 15
    }

    /// Whether it has one connection for both directions.
    pub(super) fn is_single(self) -> bool {
        self.is_single
    }
}

/// What stands in the query of a client with two connections.
pub(super) fn read_pair(uri: &Uri) -> Wish {
    let is_set = |name| parameter(uri, name).is_some_and(|value| value == "1" || value == "true");
    let protocol = parameter(uri, "protocol").and_then(|number| number.parse().ok()).unwrap_or(0);
    let said = |name| parameter(uri, name).unwrap_or_default().chars().take(32).collect::<String>();
    Wish {
        dialect: Dialect { protocol, is_single: false },
        auto_subscribe: parameter(uri, "auto_subscribe").is_none() || is_set("auto_subscribe"),
        resumes: if is_set("reconnect") { parameter(uri, "sid").or(Some(String::new())) } else { None },
        offer: None,
        tracks: Vec::new(),
        client: format!("{} {}", said("sdk"), said("version")),
    }
}

/// What stands in the query of a client with one connection.
///
/// # Errors
/// [`RequestError`].
pub(super) fn read_single(uri: &Uri) -> Result<Wish, RequestError> {
    let wrapped = parameter(uri, "join_request").ok_or(RequestError::JoinRequest)?;
    let request = unwrap(&wrapped).ok_or(RequestError::JoinRequest)?;
    let info = request.client_info.unwrap_or_default();
    let settings = request.connection_settings;
    let sdk = Sdk::try_from(info.sdk).map_or("unknown", |sdk| sdk.as_str_name());
    let version: String = info.version.chars().take(32).collect();
    Ok(Wish {
        dialect: Dialect { protocol: u32::try_from(info.protocol).unwrap_or(0), is_single: true },
        auto_subscribe: settings.is_none_or(|settings| settings.auto_subscribe),
        resumes: request.reconnect.then_some(request.participant_sid),
        offer: request.publisher_offer,
        tracks: request.add_track_requests,
        client: format!("{sdk} {version}"),
    })
}

/// The token of a request: in its query, or in a header.
pub(super) fn token(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = || headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned);
    parameter(uri, "access_token").or_else(header)
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned)
}

fn unwrap(text: &str) -> Option<JoinRequest> {
    if text.len() > MAX_JOIN_REQUEST {
        return None;
    }
    let bytes = BASE64URL.decode(text.as_bytes()).or_else(|_| BASE64URL_NOPAD.decode(text.as_bytes())).ok()?;
    let wrapped = WrappedJoinRequest::decode(&bytes[..]).ok()?;
    let request = match wrapped.compression {
        0 => wrapped.join_request,
        1 => unpack(&wrapped.join_request)?,
        _ => return None,
    };
    JoinRequest::decode(&request[..]).ok()
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    GzDecoder::new(packed).take(MAX_JOIN_REQUEST as u64 + 1).read_to_end(&mut unpacked).ok()?;
    (unpacked.len() <= MAX_JOIN_REQUEST).then_some(unpacked)
}
