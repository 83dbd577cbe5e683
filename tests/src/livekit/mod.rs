//! A light client of LiveKit's protocol with two connections, on another WebRTC than the edge's.
//!
//! [`Api`] asks the server API. [`Bot`] is a whole client. [`Line`] is its WebSocket alone, for who is to misbehave; [`token`] makes what lets them in.

mod api;
mod connection;
mod line;
mod listening;
mod sound;
mod token;

pub use api::Api;
pub use connection::{Ear, News, Side, Transport};
pub use line::{Line, path, path_back, status_of};
pub use listening::Heard;
pub use sound::{SILENCE, Sound};
pub use token::{API_KEY, API_SECRET, VARIABLES, claims, now, signed, token};

use crate::websocket::Closed;
use crate::{eventually, within};
use anyhow::{Context, bail};
use connection::{Connection, Ears};
use line::description;
use livekit_protocol::data_packet::Value;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{
    AddTrackRequest, DataPacket, JoinResponse, LeaveRequest, ParticipantInfo, TrackSource, TrackType, UserPacket,
};
use prost::Message as _;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// The two kinds of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// `_reliable`.
    Reliable,
    /// `_lossy`.
    Lossy,
}

impl Lane {
    /// The name of its channel.
    pub fn label(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
        }
    }
}

/// How a bot comes in.
#[derive(Clone)]
pub struct Entrance {
    /// By UDP, or by TCP.
    pub transport: Transport,
    /// Takes all messages of data channels, if any; nothing is kept of them then.
    pub ear: Option<Ear>,
    /// Whether it takes what comes by data channels at all.
    pub takes_data: bool,
}

impl Default for Entrance {
    fn default() -> Self {
        Self { transport: Transport::Udp, ear: None, takes_data: true }
    }
}

/// A client. Dropping it ends its connections without a word.
pub struct Bot {
    http: String,
    token: String,
    /// What it was told first.
    pub joined: JoinResponse,
    /// Everybody else, by identity.
    pub others: BTreeMap<String, ParticipantInfo>,
    requests: mpsc::UnboundedSender<Request>,
    line: AbortHandle,
    publisher: Arc<Connection>,
    subscriber: Arc<Connection>,
    ears: Ears,
    news: mpsc::UnboundedReceiver<News>,
    /// News that were passed over while others were waited for.
    passed: VecDeque<News>,
}

impl Bot {
    /// Joins the room of `token` at `http`, an `http://` URL, and waits until data can flow both ways.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn join(http: &str, token: &str) -> Self {
        Self::join_by(http, token, Entrance::default()).await
    }

    /// Joins in another way.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn join_by(http: &str, token: &str, entrance: Entrance) -> Self {
        let mut bot = within("a welcome", Self::enter(http, token, entrance)).await.expect("a welcome");
        bot.connected().await;
        bot
    }

    /// Joins, and waits for nothing but the welcome.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn enter(
        http: &str,
        token: &str,
        Entrance { transport, ear, takes_data }: Entrance,
    ) -> anyhow::Result<Self> {
        let mut line = Line::open(http, &path(token)).await?;
        let joined = match line.read().await {
            Ok(Signal::Join(joined)) => joined,
            other => bail!("a welcome is due: {other:?}"),
        };
        let (sender, news) = mpsc::unbounded_channel();
        let ears = Ears { news: sender, data: ear, takes_data };
        let publisher = Arc::new(Connection::open(Side::Publisher, transport, ears.clone()).await?);
        let subscriber = Arc::new(Connection::open(Side::Subscriber, transport, ears.clone()).await?);
        publisher.open_channels(&ears).await?;
        let others = joined.other_participants.iter().map(|info| (info.identity.clone(), info.clone())).collect();
        let (requests, line) = serve(line, &publisher, &subscriber, &ears);
        let bot = Self {
            http: http.to_owned(),
            token: token.to_owned(),
            joined,
            others,
            requests,
            line,
            publisher,
            subscriber,
            ears,
            news,
            passed: VecDeque::new(),
        };
        bot.offer(false).await?;
        Ok(bot)
    }

    /// Waits until data can flow both ways.
    ///
    /// # Panics
    /// When it cannot in time.
    pub async fn connected(&mut self) {
        self.until("the subscriber's connection", |news| {
            matches!(news, News::Connected(Side::Subscriber)).then_some(())
        })
        .await;
        eventually("the publisher's channels", || async { self.publisher.is_open().then_some(()) }).await;
    }

    /// `PA_…`.
    pub fn sid(&self) -> &str {
        self.joined.participant.as_ref().map_or("", |info| &info.sid)
    }

    /// Its identity.
    pub fn identity(&self) -> &str {
        self.joined.participant.as_ref().map_or("", |info| &info.identity)
    }

    /// Sends a signal.
    pub fn request(&self, request: Request) {
        // What its socket has to say of its end is news.
        let _ = self.requests.send(request);
    }

    /// Sends a packet to everybody.
    ///
    /// # Errors
    /// When the channel has ended.
    pub async fn say(&self, lane: Lane, payload: &[u8]) -> anyhow::Result<()> {
        self.say_to(lane, payload, None, &[]).await
    }

    /// Sends a packet about something, to some.
    ///
    /// # Errors
    /// When the channel has ended.
    pub async fn say_to(&self, lane: Lane, payload: &[u8], topic: Option<&str>, to: &[&str]) -> anyhow::Result<()> {
        let topic = topic.map(str::to_owned);
        let user = UserPacket { payload: payload.to_vec(), topic, ..Default::default() };
        let destination_identities = to.iter().map(|identity| (*identity).to_owned()).collect();
        self.send(lane, &DataPacket { destination_identities, value: Some(Value::User(user)), ..Default::default() })
            .await
    }

    /// Sends any packet.
    ///
    /// # Errors
    /// When the channel has ended.
    pub async fn send(&self, lane: Lane, packet: &DataPacket) -> anyhow::Result<()> {
        self.send_raw(lane, &packet.encode_to_vec()).await
    }

    /// Sends anything by a data channel.
    ///
    /// # Errors
    /// When the channel has ended.
    pub async fn send_raw(&self, lane: Lane, message: &[u8]) -> anyhow::Result<()> {
        self.publisher.send(lane, message).await
    }

    /// Publishes a track of sound of this source; what it is called, and the track.
    ///
    /// # Errors
    /// When it may not, or the socket has ended.
    pub async fn publish(&mut self, cid: &str, source: TrackSource) -> anyhow::Result<(String, Sound)> {
        let request = AddTrackRequest {
            cid: cid.to_owned(),
            r#type: TrackType::Audio as i32,
            source: source as i32,
            ..Default::default()
        };
        self.request(Request::AddTrack(request));
        let answer = self
            .signal("an answer to AddTrack", |signal| match signal {
                Signal::TrackPublished(published) if published.cid == cid => Some(Ok(published.track.clone())),
                Signal::RequestResponse(response) => Some(Err(response.reason())),
                _ => None,
            })
            .await;
        let sid = match answer {
            Ok(track) => track.context("a track")?.sid,
            Err(reason) => bail!("{}", reason.as_str_name()),
        };
        let sound = self.publisher.add_sound(cid).await?;
        self.offer(false).await?;
        Ok((sid, sound))
    }

    /// Says that it goes.
    pub fn leave(&self) {
        self.request(Request::Leave(LeaveRequest::default()));
    }

    /// Ends the WebSocket and nothing else.
    pub fn cut(&self) {
        self.line.abort();
    }

    /// Comes back by another WebSocket, with the same connections.
    ///
    /// # Errors
    /// When it is not let in, or with other words than `ReconnectResponse`.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        let mut line = Line::open(&self.http, &path_back(&self.token, self.sid())).await?;
        match line.next().await {
            Ok(Signal::Reconnect(_)) => {}
            other => bail!("a ReconnectResponse is due: {other:?}"),
        }
        (self.requests, self.line) = serve(line, &self.publisher, &self.subscriber, &self.ears);
        self.offer(true).await
    }

    async fn offer(&self, restart: bool) -> anyhow::Result<()> {
        let sdp = self.publisher.offer(restart).await?;
        self.request(Request::Offer(description("offer", sdp, 0)));
        Ok(())
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.line.abort();
        let connections = [Arc::clone(&self.publisher), Arc::clone(&self.subscriber)];
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                for connection in connections {
                    connection.close().await;
                }
            });
        }
    }
}

/// Serves a WebSocket: answers what has to be answered, and passes everything on.
fn serve(
    mut line: Line,
    publisher: &Arc<Connection>,
    subscriber: &Arc<Connection>,
    ears: &Ears,
) -> (mpsc::UnboundedSender<Request>, AbortHandle) {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let (publisher, subscriber, news) = (Arc::clone(publisher), Arc::clone(subscriber), ears.news.clone());
    let task = tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    if line.send(request).await.is_err() {
                        return;
                    }
                    continue;
                }
                signal = line.read() => signal,
            };
            let signal = match signal {
                Ok(signal) => signal,
                Err(closed) => {
                    let _ = news.send(News::Closed(closed));
                    return;
                }
            };
            let done = match &signal {
                Signal::Offer(offer) => match subscriber.answer(offer.sdp.clone()).await {
                    Ok(sdp) => line.send(Request::Answer(description("answer", sdp, offer.id))).await,
                    Err(error) => Err(error.context(offer.sdp.clone())),
                },
                Signal::Answer(answer) => publisher.take_answer(answer.sdp.clone()).await,
                _ => Ok(()),
            };
            let is_farewell = matches!(signal, Signal::Leave(_));
            let is_over = news.send(News::Signal(Box::new(signal))).is_err();
            if let Err(error) = done {
                eprintln!("a bot cannot go on: {error:#}");
                let _ = news.send(News::Closed(Closed { code: None, reason: error.to_string() }));
                return;
            }
            if is_over {
                return;
            }
            if is_farewell {
                // As LiveKit's clients do. Who waits for room in a channel is told that there is none any more.
                publisher.close().await;
                subscriber.close().await;
            }
        }
    });
    (sender, task.abort_handle())
}
