//! How the realm's servers of content and lambdas are, asked again and again.

use super::{AskError, BaseUrl, get};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// Time between two questions how they are.
const INTERVAL: Duration = Duration::from_secs(10);

/// Time between two questions for their versions.
const VERSION_INTERVAL: Duration = Duration::from_secs(300);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Longest version or commit that is passed on, in bytes.
const MAX_TEXT: usize = 128;

/// What a healthy part says of itself.
const HEALTHY: &str = "Healthy";

/// `catalyst.*`: where the realm's servers are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalystUrls {
    /// `catalyst.content_url`: the content server.
    pub content: Option<BaseUrl>,
    /// `catalyst.lambdas_url`: the lambdas.
    pub lambdas: Option<BaseUrl>,
}

/// What is known of one server, as `/about` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    healthy: bool,
    #[serde(flatten)]
    version: Version,
    public_url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_hash: Option<String>,
}

/// What is known of those that there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services {
    pub(crate) content: Option<Service>,
    pub(crate) lambdas: Option<Service>,
}

/// Watches the servers for as long as it is there.
#[derive(Debug)]
pub(crate) struct Catalyst {
    services: watch::Receiver<Services>,
    watching: Option<AbortHandle>,
}

impl Catalyst {
    /// Starts to ask, on the current tokio runtime. Until the first answers nobody is healthy.
    pub(crate) fn watch(urls: CatalystUrls) -> Self {
        let unknown =
            |url: &BaseUrl| Service { healthy: false, version: Version::default(), public_url: url.to_string() };
        let services =
            Services { content: urls.content.as_ref().map(unknown), lambdas: urls.lambdas.as_ref().map(unknown) };
        let is_there = services.content.is_some() || services.lambdas.is_some();
        let (told, services) = watch::channel(services);
        let watching = is_there.then(|| tokio::spawn(watch(urls, told)).abort_handle());
        Self { services, watching }
    }

    /// What is known now.
    pub(crate) fn services(&self) -> Services {
        self.services.borrow().clone()
    }
}

impl Drop for Catalyst {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

impl Services {
    /// Whether all that there are are healthy.
    pub(crate) fn are_healthy(&self) -> bool {
        [&self.content, &self.lambdas].into_iter().flatten().all(|service| service.healthy)
    }
}

async fn watch(urls: CatalystUrls, told: watch::Sender<Services>) {
    let mut beat = tokio::time::interval(INTERVAL);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut versions_at = None;
    loop {
        beat.tick().await;
        let (content, lambdas) = health(&urls).await;
        told.send_modify(|services| {
            services.content.iter_mut().for_each(|service| service.set_healthy(content));
            services.lambdas.iter_mut().for_each(|service| service.set_healthy(lambdas));
        });
        // After a failure, too, they are not asked again before their time.
        if versions_at.is_none_or(|at: Instant| at.elapsed() >= VERSION_INTERVAL) {
            versions_at = Some(Instant::now());
            let (content, lambdas) = tokio::join!(version(urls.content.as_ref()), version(urls.lambdas.as_ref()));
            told.send_modify(|services| {
                services.content.iter_mut().zip(content).for_each(|(service, version)| service.version = version);
                services.lambdas.iter_mut().zip(lambdas).for_each(|(service, version)| service.version = version);
            });
        }
    }
}

impl Service {
    fn set_healthy(&mut self, healthy: bool) {
        if self.healthy != healthy {
            let how = if healthy { "healthy" } else { "not healthy any more" };
            tracing::info!("{} is {how}", self.public_url);
        }
        self.healthy = healthy;
    }
}

/// Whether content and lambdas are healthy. The lambdas answer for both; a content server that stands alone has no such page,
/// as a rule, and is healthy when it tells its status.
async fn health(urls: &CatalystUrls) -> (bool, bool) {
    let is_healthy = |page: &Value, part: &str| page[part] == HEALTHY;
    if let Some(lambdas) = &urls.lambdas {
        let page = page(lambdas, "health").await.map_or(Value::Null, |(page, _)| page);
        return (is_healthy(&page, "content"), is_healthy(&page, "lambda"));
    }
    let Some(content) = &urls.content else { return (false, false) };
    match page(content, "health").await {
        Ok((page, _)) if page["content"].is_string() => (is_healthy(&page, "content"), false),
        _ => (page(content, "status").await.is_ok_and(|(_, is_ok)| is_ok), false),
    }
}

/// What a server says of its version, if it answers.
async fn version(url: Option<&BaseUrl>) -> Option<Version> {
    let (page, _) = page(url?, "status").await.ok()?;
    let text = |name: &str| page[name].as_str().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned);
    Some(Version { version: text("catalystVersion").or_else(|| text("version")), commit_hash: text("commitHash") })
}

/// A page, and whether its status is 200.
async fn page(base: &BaseUrl, name: &str) -> Result<(Value, bool), AskError> {
    let url = base.below(name);
    let answer = tokio::time::timeout(PATIENCE, get(&url, MAX_ANSWER)).await;
    let answer = answer.unwrap_or_else(|_| Err(AskError::Silence));
    let page = answer.and_then(|answer| Ok((answer.json()?, answer.status == StatusCode::OK)));
    page.inspect_err(|error| tracing::debug!("{url} cannot be read: {error}"))
}
