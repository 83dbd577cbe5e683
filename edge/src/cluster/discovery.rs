//! Which archipelago service there is, as it says itself.

use atoll_core::Host;
use atoll_core::bus::{Bus, Message, Pattern};
use atoll_core::limit::Seldom;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a service that is not heard of counts as there. They tell every 10 s; the original BFF forgets after as long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Messages that may wait.
const CAPACITY: usize = 64;

/// Longest commit hash that is passed on.
const MAX_HASH: usize = 64;

/// An archipelago service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Archipelago {
    /// What it was built from.
    pub(crate) commit_hash: Option<String>,
    /// How many peers it has; originals before 2023 do not tell.
    pub(crate) users: Option<u64>,
}

/// What was heard last.
#[derive(Default)]
pub(crate) struct Discovery {
    host: Option<Arc<dyn Host>>,
    heard: Mutex<Option<(Duration, Archipelago)>>,
}

/// What `service.discovery` says, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    server_name: String,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    commit_hash: Option<String>,
    user_count: Option<u64>,
}

impl Discovery {
    /// Listens to other processes, until the handle is aborted. Where this process `is_one` itself, another is one too many.
    pub(super) fn listen(bus: Arc<dyn Bus>, host: Arc<dyn Host>, is_one: bool) -> (Arc<Self>, AbortHandle) {
        let discovery = Arc::new(Self { host: Some(Arc::clone(&host)), heard: Mutex::default() });
        let patterns: Vec<Pattern> = Pattern::new("service.discovery").into_iter().collect();
        let mut messages = bus.subscribe(&patterns, CAPACITY);
        let listening = Arc::clone(&discovery);
        let task = tokio::spawn(async move {
            let mut warnings = Seldom::default();
            while let Some(message) = messages.next().await {
                let Some(told) = read(&message) else { continue };
                let now = host.monotonic();
                if is_one && warnings.is_due((), now).is_some() {
                    tracing::warn!(
                        "another archipelago service is on this NATS cluster; leave `archipelago` out of `roles`"
                    );
                }
                *listening.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, told));
            }
        });
        (discovery, task.abort_handle())
    }

    /// The service that was heard of lately.
    pub(super) fn archipelago(&self) -> Option<Archipelago> {
        let now = self.host.as_ref()?.monotonic();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.as_ref().filter(|(at, _)| now <= *at + TIMEOUT).map(|(_, told)| told.clone())
    }
}

fn read(message: &Message) -> Option<Archipelago> {
    let told: Told = serde_json::from_slice(&message.payload).ok()?;
    let is_one = message.is_from_elsewhere && told.server_name == "archipelago";
    let commit_hash = told.status.commit_hash.filter(|hash| hash.len() <= MAX_HASH);
    is_one.then_some(Archipelago { commit_hash, users: told.status.user_count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_core::bus::Subject;

    fn told(json: &'static str) -> Option<Archipelago> {
        let mut message = Message::new(Subject::new("service.discovery").unwrap(), json);
        message.is_from_elsewhere = true;
        read(&message)
    }

    #[test]
    fn an_archipelago_is_known_by_what_originals_of_any_year_tell() {
        let first = told(r#"{"serverName":"archipelago","status":{"currentTime":1,"commitHash":"deadbeef"}}"#);
        assert_eq!(first, Some(Archipelago { commit_hash: Some("deadbeef".to_owned()), users: None }));
        let last = told(r#"{"serverName":"archipelago","status":{"currentTime":1,"userCount":7}}"#);
        assert_eq!(last, Some(Archipelago { commit_hash: None, users: Some(7) }));
        for other in [r#"{"serverName":"bff","status":{}}"#, r#"{"serverName":"archipelago"}"#, "[]", "\u{0}"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
