//! Pages of other origins may ask and read everything here: nothing depends on who asks, and no cookie is used.
//!
//! As the original services say it: any origin, no credentials, whatever headers a page wants to send, and an answer that holds
//! for ten hours. Errors say it, too, or a page could not read them.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// How long a browser may remember what it was told, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("36000");

/// What a page may ask with. Every path says itself what it takes.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST");

/// What a page may read of an answer's head beyond the usual.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after");

const ANY: HeaderValue = HeaderValue::from_static("*");

/// Answers what browsers ask before a request, for any path; to every other answer it adds who may read it.
pub(super) async fn open_to_pages(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return preflight(request.headers());
    }
    let mut response = next.run(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::VARY, HeaderValue::from_static("access-control-request-headers"));
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}
