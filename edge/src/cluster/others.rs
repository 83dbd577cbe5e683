//! Whether another process on the same cluster does what only one may do.
//!
//! Seats live on one edge: an island with members on two would have halves that do not hear each other. And two archipelago
//! services would put every peer into islands of both.

use crate::config::Roles;
use atoll_core::Host;
use atoll_core::bus::{Bus, Message, Pattern, Subject, Subscription};
use atoll_core::limit::{Bucket, Seldom};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// Asked by a process that starts, and by one whose cluster is back.
const HELLO: &str = "atoll.process.hello";

/// Answered by one that was there before.
const HERE: &str = "atoll.process.here";

/// How long the cluster has to let a starting process in before it starts without having looked.
const JOIN: Duration = Duration::from_secs(3);

/// How long others have to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Answers in a second: many more than honest starts.
const ANSWERS: u32 = 20;

/// Messages that may wait.
const CAPACITY: usize = 256;

/// A process on the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    /// The server's name.
    pub(super) name: String,
    /// Tells starts apart.
    id: String,
    /// Whether it serves seats.
    pub(super) edge: bool,
    /// Whether it groups peers.
    archipelago: bool,
}

impl Who {
    pub(super) fn new(name: String, roles: Roles, host: &dyn Host) -> Self {
        let mut random = [0; 16];
        host.random(&mut random);
        let id = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name, id, edge: roles.edge, archipelago: roles.archipelago }
    }

    /// What both do, for the log.
    fn shared(&self, other: &Self) -> &'static str {
        match (self.edge && other.edge, self.archipelago && other.archipelago) {
            (true, true) => "edge and archipelago",
            (true, false) => "edge",
            (false, _) => "archipelago",
        }
    }

    /// Whether both do what only one may do.
    fn collides(&self, other: &Self, allow_split: bool) -> bool {
        (self.archipelago && other.archipelago) || (self.edge && other.edge && !allow_split)
    }
}

/// The others.
pub(super) struct Others {
    bus: Arc<dyn Bus>,
    own: Who,
    heard: Subscription,
    connected: watch::Receiver<bool>,
}

impl Others {
    pub(super) fn new(bus: Arc<dyn Bus>, own: Who, connected: watch::Receiver<bool>) -> Self {
        let patterns: Vec<Pattern> = [HELLO, HERE].iter().filter_map(|text| Pattern::new(text).ok()).collect();
        let heard = bus.subscribe(&patterns, CAPACITY);
        Self { bus, own, heard, connected }
    }

    /// Looks for one that this process must not be beside. `None` when there is none, or no cluster to ask.
    ///
    /// Of two that start at once, the one with the lower id goes first.
    pub(super) async fn look(&mut self, allow_split: bool) -> Option<Who> {
        if timeout(JOIN, self.connected.wait_for(|connected| *connected)).await.is_err() {
            tracing::warn!("no NATS server answers: whether there is another edge is not known");
            return None;
        }
        self.say(HELLO);
        let end = Instant::now() + ANSWER;
        while let Ok(Some(message)) = timeout_at(end, self.heard.next()).await {
            let Some(other) = self.read(&message).filter(|other| self.own.collides(other, allow_split)) else {
                continue;
            };
            if message.subject.as_str() == HERE || other.id < self.own.id {
                return Some(other);
            }
            self.say(HERE);
        }
        None
    }

    /// Answers those who ask, and asks when a lost cluster is back, for as long as this process runs.
    pub(super) async fn answer(mut self) {
        let mut connected = self.connected.clone();
        connected.mark_unchanged();
        let (begun, mut answers) = (Instant::now(), Bucket::new(ANSWERS, ANSWERS));
        let mut warnings = Seldom::default();
        loop {
            tokio::select! {
                message = self.heard.next() => {
                    let Some(message) = message else { return };
                    let Some(other) = self.read(&message).filter(|other| self.own.collides(other, false)) else { continue };
                    let asks = message.subject.as_str() == HELLO;
                    let now = begun.elapsed();
                    if warnings.is_due(asks, now).is_some() {
                        let (name, id) = (&other.name, other.id.get(..8).unwrap_or_default());
                        let roles = self.own.shared(&other);
                        let what = if asks { "wants to be" } else { "is" };
                        tracing::warn!("process {name:?} (start {id}) {what} {roles} on this NATS cluster, as this one is");
                    }
                    if asks && answers.take(now, 1).is_ok() {
                        self.say(HERE);
                    }
                }
                changed = connected.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if *connected.borrow_and_update() {
                        self.say(HELLO);
                    }
                }
            }
        }
    }

    /// Who says so, unless it is this process.
    fn read(&self, message: &Message) -> Option<Who> {
        message.is_from_elsewhere.then(|| serde_json::from_slice(&message.payload).ok()).flatten()
    }

    fn say(&self, subject: &str) {
        if let (Ok(subject), Ok(payload)) = (Subject::new(subject), serde_json::to_vec(&self.own)) {
            // A bus that does not take it is one on which nobody can be asked.
            let _ = self.bus.publish(Message::new(subject, payload));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_core::bus::LocalBus;

    fn who(id: &str, edge: bool, archipelago: bool) -> Who {
        Who { name: "test".to_owned(), id: id.to_owned(), edge, archipelago }
    }

    fn others(bus: &Arc<dyn Bus>, own: Who) -> (Others, watch::Sender<bool>) {
        let (tell, connected) = watch::channel(true);
        (Others::new(Arc::clone(bus), own, connected), tell)
    }

    /// Says something as another process would.
    fn from_elsewhere(bus: &Arc<dyn Bus>, subject: &str, payload: Vec<u8>) {
        let mut message = Message::new(Subject::new(subject).unwrap(), payload);
        message.is_from_elsewhere = true;
        bus.publish(message).unwrap();
    }

    async fn finds(own: Who, allow_split: bool, subject: &'static str, payload: Vec<u8>) -> Option<Who> {
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let (mut others, _connected) = others(&bus, own);
        let looking = tokio::spawn(async move { others.look(allow_split).await });
        tokio::task::yield_now().await;
        from_elsewhere(&bus, subject, payload);
        looking.await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_serves_or_has_the_lower_id_goes_before() {
        let both = |id: &str| who(id, true, true);
        let said = |id: &str| serde_json::to_vec(&both(id)).unwrap();
        assert_eq!(finds(both("5"), false, HERE, said("9")).await, Some(both("9")));
        assert_eq!(finds(both("5"), false, HELLO, said("4")).await, Some(both("4")));
        assert_eq!(finds(both("5"), false, HELLO, said("9")).await, None);
        assert_eq!(finds(both("5"), false, HERE, b"{".to_vec()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_does_the_same_is_in_the_way() {
        let here = |other: &Who| serde_json::to_vec(other).unwrap();
        let (edge, archipelago) = (who("1", true, false), who("2", false, true));
        assert_eq!(finds(edge.clone(), false, HERE, here(&archipelago)).await, None);
        assert_eq!(finds(archipelago.clone(), false, HERE, here(&edge)).await, None);
        assert_eq!(finds(who("3", true, false), true, HERE, here(&edge)).await, None, "a split is allowed");
        // Two archipelagos are not, whatever is allowed.
        assert_eq!(finds(who("3", true, true), true, HERE, here(&archipelago)).await, Some(archipelago));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_start_at_once_the_later_one_is_told() {
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let (mut first, _connected) = others(&bus, who("1", true, true));
        let patterns: Vec<Pattern> = Pattern::new(HERE).into_iter().collect();
        let mut here = bus.subscribe(&patterns, 10);
        let looking = tokio::spawn(async move { first.look(false).await });
        tokio::task::yield_now().await;
        from_elsewhere(&bus, HELLO, serde_json::to_vec(&who("2", true, true)).unwrap());
        assert_eq!(looking.await.unwrap(), None);
        assert!(here.try_next().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_serves_answers_others_and_not_itself_and_asks_when_it_was_away() {
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let (others, connected) = others(&bus, who("1", true, true));
        let patterns: Vec<Pattern> = [HERE, HELLO].iter().filter_map(|text| Pattern::new(text).ok()).collect();
        others.say(HELLO);
        tokio::spawn(others.answer());
        let mut said = bus.subscribe(&patterns, 10);
        from_elsewhere(&bus, HELLO, serde_json::to_vec(&who("2", true, false)).unwrap());
        assert_eq!(said.next().await.unwrap().subject.as_str(), HELLO, "the other's");
        let answer = said.next().await.unwrap();
        assert_eq!(serde_json::from_slice::<Who>(&answer.payload).unwrap(), who("1", true, true));
        connected.send_replace(false);
        tokio::task::yield_now().await;
        connected.send_replace(true);
        let asked = said.next().await.unwrap();
        assert_eq!((asked.subject.as_str(), asked.is_from_elsewhere), (HELLO, false));
        assert!(said.try_next().is_none());
    }
}
