//! Tasks that must not end in a panic, watched.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What went wrong in the tasks of a region: nothing, or the first thing.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    first: Arc<watch::Sender<Option<Arc<str>>>>,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self { first: Arc::new(watch::Sender::new(None)) }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.first.subscribe()
    }

    /// Starts a task. When it panics, that is told by the task's name.
    pub(super) fn spawn(&self, name: String, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let running = tokio::spawn(task);
        let handle = running.abort_handle();
        let failures = self.clone();
        tokio::spawn(async move {
            let Err(ended) = running.await else { return };
            // Otherwise it was ended with its region.
            if let Ok(panic) = ended.try_into_panic() {
                failures.tell(&name, panic.as_ref());
            }
        });
        handle
    }

    fn tell(&self, name: &str, panic: &(dyn Any + Send)) {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let failure: Arc<str> = format!("{name} panicked: {}", said.unwrap_or("without a message")).into();
        tracing::error!("{failure}");
        self.first.send_if_modified(|first| {
            let news = first.is_none();
            first.get_or_insert(failure);
            news
        });
    }
}
