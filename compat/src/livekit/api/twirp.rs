//! Twirp: one request, one answer, as JSON or as protobuf; errors are always JSON.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/protobuf";

/// Why a call was refused, in Twirp's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Malformed,
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    BadRoute,
    FailedPrecondition,
    ResourceExhausted,
    Unimplemented,
    Internal,
    Unavailable,
}

/// An error, as the caller is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TwirpError {
    code: Code,
    message: String,
}

/// How a request is written, and so its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Protobuf,
}

impl Code {
    const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::BadRoute => "bad_route",
            Self::FailedPrecondition => "failed_precondition",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound | Self::BadRoute => StatusCode::NOT_FOUND,
            Self::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// An error of this kind.
    pub(super) fn error(self, message: impl Into<String>) -> TwirpError {
        TwirpError { code: self, message: message.into() }
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code.name(), "msg": self.message });
        (self.code.status(), Json(body)).into_response()
    }
}

impl Format {
    /// What a request says of itself.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match text.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            JSON => Some(Self::Json),
            PROTOBUF => Some(Self::Protobuf),
            _ => None,
        }
    }

    /// Reads a request.
    pub(super) fn read<M: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<M, TwirpError> {
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| Code::Malformed.error(error.to_string())),
            Self::Protobuf => M::decode(body).map_err(|error| Code::Malformed.error(error.to_string())),
        }
    }

    /// Writes an answer.
    pub(super) fn write<M: Message + Serialize>(self, answer: &M) -> Result<Response, TwirpError> {
        let (kind, body) = match self {
            Self::Json => {
                let body = serde_json::to_vec(answer).map_err(|error| Code::Internal.error(error.to_string()))?;
                (JSON, body)
            }
            Self::Protobuf => (PROTOBUF, answer.encode_to_vec()),
        };
        Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use livekit_protocol::data_packet::Kind;
    use livekit_protocol::{ListRoomsResponse, Room, SendDataRequest};

    #[test]
    fn the_content_type_tells_the_format() {
        for (text, format) in [
            ("application/json", Some(Format::Json)),
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("Application/Protobuf", Some(Format::Protobuf)),
            ("text/plain", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]);
            assert_eq!(Format::of(&headers), format, "{text}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), None);
    }

    #[test]
    fn json_is_that_of_protobuf() {
        for text in [
            r#"{"room":"r","data":"AAEC","kind":"LOSSY","destinationIdentities":["a"]}"#,
            r#"{"room":"r","data":"AAEC","kind":1,"destination_identities":["a"],"unheardOf":{}}"#,
        ] {
            let read: SendDataRequest = Format::Json.read(text.as_bytes()).unwrap();
            assert_eq!((read.room.as_str(), &read.data[..], read.kind()), ("r", &[0, 1, 2][..], Kind::Lossy), "{text}");
            assert_eq!(read.destination_identities, ["a"]);
        }
        let rooms = vec![Room { name: "r".to_owned(), creation_time: 1 << 40, num_participants: 2, ..Room::default() }];
        let json = serde_json::to_value(ListRoomsResponse { rooms }).unwrap();
        assert_eq!(json, json!({"rooms": [{"name": "r", "creationTime": "1099511627776", "numParticipants": 2}]}));
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for garbage in ["", "{", "[]", "null", r#"{"room":1}"#, r#"{"data":"%%"}"#, &"[".repeat(10_000)] {
            let error = Format::Json.read::<SendDataRequest>(garbage.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::Malformed, "{garbage}");
        }
        assert_eq!(Format::Protobuf.read::<SendDataRequest>(b"\x0a\xff").unwrap_err().code, Code::Malformed);
    }
}
