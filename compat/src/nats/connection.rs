//! The connection to a cluster: what is sent there, and what is taken from there.

use super::counters::Counters;
use super::events::Events;
use super::heard::Heard;
use super::incoming::Incoming;
use super::options::NatsOptions;
use super::payloads::Payload;
use super::subjects::{self, Kind};
use super::{MIRROR_HEADER, NatsError};
use async_nats::client::PublishErrorKind;
use async_nats::{Client, HeaderMap};
use atoll_core::bus::{Bus, LocalBus, Message, Subject};
use atoll_core::limit::Seldom;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Headers of a message that are passed on, and their longest value.
const MAX_HEADERS: usize = 16;
const MAX_HEADER: usize = 1024;

/// Bytes that the library is given before they have to be on their way.
const UNFLUSHED: u64 = 256 * 1024;

type Opened = (Vec<AbortHandle>, watch::Receiver<bool>);

/// Begins to connect, and to send and take from then on.
pub(super) async fn open(
    options: NatsOptions,
    local: Arc<LocalBus>,
    pending: mpsc::Receiver<Message>,
    heard: Arc<Heard>,
    counters: Arc<Counters>,
) -> Result<Opened, NatsError> {
    let (tell, connected) = watch::channel(false);
    let servers: Vec<String> = options.servers.iter().map(ToString::to_string).collect();
    let events = Arc::new(Events::new(servers.join(", "), Arc::clone(&counters), tell));
    let pace = Arc::clone(&events);
    let connect =
        options.connect_options()?.reconnect_delay_callback(move |_| pace.pause()).event_callback(move |event| {
            events.note(&event);
            std::future::ready(())
        });
    let setup = |error: &dyn std::fmt::Display| NatsError::Setup(error.to_string());
    let client = connect.connect(options.servers()).await.map_err(|error| setup(&error))?;
    let incoming = Incoming::subscribe(&client).await.map_err(|error| setup(&error))?;
    let taking = tokio::spawn(take(incoming, local, heard, Arc::clone(&counters)));
    let sending = tokio::spawn(send(client, pending, connected.clone(), options, counters));
    Ok((vec![taking.abort_handle(), sending.abort_handle()], connected))
}

/// Sends what this process publishes, each message in its spellings.
///
/// The library would take a thousand of any size while there is no server, or one that does not read. So it gets them only
/// while there is one, and few bytes at a time.
async fn send(
    client: Client,
    mut pending: mpsc::Receiver<Message>,
    mut connected: watch::Receiver<bool>,
    options: NatsOptions,
    counters: Arc<Counters>,
) {
    let mut unflushed = 0;
    let (begun, mut logged) = (Instant::now(), Seldom::default());
    while let Some(message) = pending.recv().await {
        let size = message.payload.len() as u64;
        if connected.wait_for(|connected| *connected).await.is_err() {
            return;
        }
        for (subject, headers, payload) in written(message, &options) {
            let sent = match headers {
                Some(headers) => client.publish_with_headers(subject, headers, payload).await,
                None => client.publish(subject, payload).await,
            };
            match sent {
                Ok(()) => counters.sent.add(1),
                Err(error) => {
                    let is_too_large = error.kind() == PublishErrorKind::MaxPayloadExceeded;
                    let counter = if is_too_large { &counters.too_large } else { &counters.dropped };
                    counter.add(1);
                    if logged.is_due(is_too_large, begun.elapsed()).is_some() {
                        tracing::warn!(%error, bytes = size, "a message is not published on NATS");
                    }
                }
            }
        }
        unflushed += size;
        if unflushed > UNFLUSHED {
            // It ends with a connection that is lost, and what was on its way is lost with that.
            let _ = client.flush().await;
            unflushed = 0;
        }
        counters.pending_bytes.subtract(size);
    }
}

type Written = (String, Option<HeaderMap>, bytes::Bytes);

fn written(message: Message, options: &NatsOptions) -> Vec<Written> {
    let subject = message.subject.as_str();
    let (kind, copies) = subjects::copies(subject, options.spellings);
    let payload = Payload::read_own(kind, message.payload.clone()).unwrap_or(Payload::Other(message.payload));
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        headers.insert(name.as_str(), value.as_str());
    }
    let own = match kind {
        Kind::Discovery => payload.write_own(),
        _ => payload.write(options.client_proto),
    };
    let mut written = vec![(subject.to_owned(), (!headers.is_empty()).then(|| headers.clone()), own)];
    headers.insert(MIRROR_HEADER, "1");
    for copy in copies {
        let coordinates = if copy.is_engine { options.engine } else { options.client_proto };
        written.push((copy.subject, Some(headers.clone()), payload.write(coordinates)));
    }
    written
}

/// Takes what others publish.
async fn take(mut messages: Incoming, local: Arc<LocalBus>, heard: Arc<Heard>, counters: Arc<Counters>) {
    let mut taking = Taking { counters, heard, begun: Instant::now(), logged: Seldom::default() };
    while let Some(message) = messages.next().await {
        if let Some(message) = taking.take(message) {
            // It always takes it.
            let _ = local.publish(message);
        }
    }
}

struct Taking {
    counters: Arc<Counters>,
    heard: Arc<Heard>,
    begun: Instant,
    logged: Seldom<Kind>,
}

impl Taking {
    /// The message by its own name; `None` for one that says nothing, or nothing new.
    fn take(&mut self, message: async_nats::Message) -> Option<Message> {
        let headers = message.headers.unwrap_or_default();
        if headers.get(MIRROR_HEADER).is_some() {
            return None;
        }
        let (name, kind) = subjects::own(&message.subject);
        let subject = Subject::new(&name).ok();
        let payload = Payload::read(kind, message.payload).ok();
        let (Some(subject), Some(payload)) = (subject, payload) else {
            self.trouble(kind, &message.subject);
            return None;
        };
        let payload = payload.write_own();
        if kind == Kind::IslandChanged && self.heard.again(&name, &payload) {
            self.counters.repeated.add(1);
            return None;
        }
        self.heard.forget_on_login(&name);
        self.counters.received.add(1);
        let mut taken = Message::new(subject, payload);
        taken.is_from_elsewhere = true;
        let pairs = headers.iter().filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())));
        taken.headers = pairs.filter(|(_, value)| value.len() <= MAX_HEADER).take(MAX_HEADERS).collect();
        Some(taken)
    }

    fn trouble(&mut self, kind: Kind, subject: &str) {
        self.counters.malformed.add(1);
        if self.logged.is_due(kind, self.begun.elapsed()).is_some() {
            tracing::warn!(subject, "a message on NATS is not what its subject says");
        }
    }
}
