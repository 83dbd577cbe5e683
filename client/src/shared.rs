//! What a client and the task that serves it share.

use crate::closed::Closed;
use crate::event::{Event, Lane};
use crate::limits::Limits;
use crate::raw::Transport;
use crate::session::{Login, Session};
use crate::socket::Socket;
use crate::target::Way;
use atoll_proto::atoll::{LargeHeader, OrderedMessage, Welcome, client_message};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// A session with what wakes those who wait for something of it.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    started: Instant,
    /// Told once for each change that may be an event.
    added: Notify,
    /// Told when events were taken, so that ordered and large messages may be read again.
    taken: Notify,
    /// Told when there may be something for the control, ordered or large streams.
    control: Notify,
    ordered: Notify,
    large: Notify,
    stopped: watch::Sender<bool>,
}

/// Held for moments only, never while waiting.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) limits: Limits,
    /// The connection, while there is one.
    pub(crate) link: Option<Link>,
}

/// A connection in use.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) transport: Transport,
    /// Its socket, when nobody else uses it.
    pub(crate) socket: Option<Arc<Socket>>,
}

impl Shared {
    /// `started` is the origin of the session's times.
    pub(crate) fn new(session: Session, limits: Limits, link: Link, started: Instant) -> Self {
        Self {
            state: Mutex::new(State { session, limits, link: Some(link) }),
            started,
            added: Notify::new(),
            taken: Notify::new(),
            control: Notify::new(),
            ordered: Notify::new(),
            large: Notify::new(),
            stopped: watch::Sender::new(false),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's time.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Changes the session by what was heard.
    pub(crate) fn hear<T>(&self, change: impl FnOnce(&mut Session, Duration) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state.session, self.now());
        let (acknowledge, more_large) = (state.session.control_at().is_some(), state.session.has_large());
        drop(state);
        self.added.notify_one();
        if acknowledge {
            self.control.notify_one();
        }
        if more_large {
            self.large.notify_one();
        }
        result
    }

    /// Tells the streams that there may be something to send.
    pub(crate) fn send_more(&self) {
        self.control.notify_one();
        self.ordered.notify_one();
        self.large.notify_one();
    }

    /// The oldest event, once there is one.
    pub(crate) async fn next_event(&self) -> Event {
        loop {
            let added = self.added.notified();
            if let Some(event) = self.state().session.next_event() {
                if matches!(event, Event::Ordered(_) | Event::Large(_)) {
                    self.taken.notify_waiters();
                }
                return event;
            }
            added.await;
        }
    }

    /// Waits until further ordered and large messages may be read.
    pub(crate) async fn room(&self) {
        loop {
            let mut taken = std::pin::pin!(self.taken.notified());
            taken.as_mut().enable();
            if self.state().session.has_room() {
                return;
            }
            taken.await;
        }
    }

    /// What the control stream carries next, once there is something. Cancelling loses none.
    pub(crate) async fn next_control(&self) -> client_message::Message {
        self.next(&self.control, Session::next_control, Session::control_at).await
    }

    /// What the ordered stream carries next, once there is something. Cancelling loses none.
    pub(crate) async fn next_ordered(&self) -> OrderedMessage {
        self.next(&self.ordered, Session::next_ordered, |session| session.lane_at(Lane::Ordered)).await
    }

    /// What the next large stream carries, once there is something. Cancelling loses none.
    pub(crate) async fn next_large(&self) -> (LargeHeader, Bytes) {
        self.next(&self.large, Session::next_large, |session| session.lane_at(Lane::Large)).await
    }

    async fn next<T>(
        &self,
        told: &Notify,
        take: impl Fn(&mut Session, Duration) -> Option<T>,
        at: impl Fn(&Session) -> Option<Duration>,
    ) -> T {
        loop {
            let told = told.notified();
            let at = {
                let mut state = self.state();
                if let Some(item) = take(&mut state.session, self.now()) {
                    return item;
                }
                at(&state.session)
            };
            // A duration that Tokio's clock cannot hold is as good as none.
            match at.and_then(|at| self.started.checked_add(at)) {
                None => told.await,
                Some(at) => tokio::select! {
                    () = told => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// Notes the loss of the connection or of an attempt; how long to wait for the next one, if there should be one.
    pub(crate) fn lost(&self, why: &Closed) -> Option<Duration> {
        let mut state = self.state();
        state.link = None;
        let pause = state.session.lost(self.now(), why);
        drop(state);
        self.added.notify_one();
        pause
    }

    /// Goes on over `link`, as its welcome says; `from` is the way that still stood. The peer is the same: the edge
    /// was shown its token or its signature.
    pub(crate) fn go_on(&self, welcome: &Welcome, link: Link, from: Option<Way>) -> Result<Login, Closed> {
        let mut state = self.state();
        let login = state.session.welcomed(self.now(), welcome)?;
        state.session.goes_on(login, from, link.transport.way());
        state.limits = Limits::of(welcome);
        state.link = Some(link);
        drop(state);
        self.added.notify_one();
        self.send_more();
        Ok(login)
    }

    /// Ends the session: whoever asks for events learns why, and nothing more is sent.
    pub(crate) fn end(&self, why: Closed) {
        let mut state = self.state();
        state.link = None;
        state.session.end(why);
        drop(state);
        self.added.notify_one();
    }

    /// Ends the task that serves this client.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Waits until the client is gone.
    pub(crate) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // The sender lives as long as `self`.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}
