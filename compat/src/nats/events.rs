//! What the library says of its connection: counted, logged with measure, and taken into account before the next attempt.

use super::counters::Counters;
use async_nats::{Event, ServerError};
use atoll_core::limit::Seldom;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A connection that lasted so long was one. What ends sooner has failed, however far it came.
const STEADY: Duration = Duration::from_secs(10);

/// Follows the events of a connection.
pub(super) struct Events {
    counters: Arc<Counters>,
    connected: watch::Sender<bool>,
    /// The servers, for the log.
    servers: String,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    /// Attempts in a row that led to no steady connection.
    failures: u32,
    logged: Seldom<Discriminant<Event>>,
}

impl Events {
    pub(super) fn new(servers: String, counters: Arc<Counters>, connected: watch::Sender<bool>) -> Self {
        Self { counters, connected, servers, begun: Instant::now(), state: Mutex::default() }
    }

    pub(super) fn note(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.counters.connections.add(1);
                self.lock().since = Some(Instant::now());
                self.connected.send_replace(true);
                // A loss is told at this level, so its end is.
                match self.counters.connections.value() {
                    1 => tracing::info!("NATS ({}): connected", self.servers),
                    _ => self.warn(event, "connected again"),
                }
            }
            Event::Disconnected | Event::Closed => {
                if self.connected.send_replace(false) {
                    self.warn(event, "the connection is lost");
                }
            }
            Event::SlowConsumer(_) => {
                self.counters.slow.add(1);
                self.warn(event, "messages were lost: this process is too slow");
            }
            Event::ServerError(ServerError::Other(what)) => {
                self.counters.refused.add(1);
                self.warn(event, what);
            }
            other => self.warn(event, &other.to_string()),
        }
    }

    /// Time before the next attempt: at once, then doubling to 4 s.
    pub(super) fn pause(&self) -> Duration {
        let mut state = self.lock();
        if state.since.take().is_some_and(|since| since.elapsed() >= STEADY) {
            state.failures = 0;
        }
        state.failures = state.failures.saturating_add(1);
        pause(state.failures)
    }

    fn warn(&self, event: &Event, what: &str) {
        match self.lock().logged.is_due(discriminant(event), self.begun.elapsed()) {
            None => {}
            Some(0) => tracing::warn!("NATS ({}): {what}", self.servers),
            Some(others) => tracing::warn!("NATS ({}): {what} ({others} more like this before)", self.servers),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(125 << more.min(7)).min(Duration::from_secs(4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        Events::new("nats://a:4222".to_owned(), Arc::default(), watch::channel(false).0)
    }

    #[test]
    fn attempts_come_soon_and_then_seldom() {
        let events = events();
        let pauses: Vec<_> = (0..7).map(|_| events.pause().as_millis()).collect();
        assert_eq!(pauses, [0, 500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_lets_in_and_throws_out_is_not_asked_more_often() {
        let events = events();
        let mut pauses = Vec::new();
        for lasts in [1, 1, 1, 20, 1] {
            events.note(&Event::Connected);
            tokio::time::sleep(Duration::from_secs(lasts)).await;
            events.note(&Event::Disconnected);
            pauses.push(events.pause().as_millis());
        }
        assert_eq!(pauses, [0, 500, 1000, 0, 500]);
        assert_eq!(events.counters.connections.value(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_permitted_is_counted_each_time() {
        let events = events();
        let refused = Event::ServerError(ServerError::Other("Permissions Violation for Publish".to_owned()));
        for _ in 0..100 {
            events.note(&refused);
        }
        assert_eq!(events.counters.refused.value(), 100);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let kept_back = events.lock().logged.is_due(discriminant(&refused), events.begun.elapsed());
        assert_eq!(kept_back, Some(99), "of a hundred one was logged");
    }
}
