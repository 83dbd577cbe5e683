//! Programs that are told of what happens in rooms.

use super::{ServiceUrl, ask};
use atoll_compat::livekit::WebhookReceiver;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};

/// What LiveKit's events are sent as.
const EVENT: &str = "application/webhook+json";

/// Largest answer read, in bytes; nothing in it matters.
const MAX_ANSWER: usize = 16 * 1024;

/// One of `livekit.webhook_urls`.
#[derive(Debug, Clone)]
pub(crate) struct Webhook(pub(crate) ServiceUrl);

impl WebhookReceiver for Webhook {
    fn post(&self, authorization: String, body: Bytes) -> BoxFuture<'_, Result<u16, String>> {
        async move {
            let headers = [(CONTENT_TYPE, EVENT), (AUTHORIZATION, authorization.as_str())];
            let answer = ask(Method::POST, &self.0, &headers, body, MAX_ANSWER).await;
            answer.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string())
        }
        .boxed()
    }
}
