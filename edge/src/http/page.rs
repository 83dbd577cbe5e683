//! The map page, built from `web/page` and embedded, so that running an edge needs no npm.

use axum::Router;
use axum::response::Html;
use axum::routing::get;

const PAGE: &str = include_str!("../../../web/dist/index.html");

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(Html(PAGE)))
}
