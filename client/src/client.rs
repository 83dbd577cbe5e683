//! A logged-in client.

use crate::closed::Closed;
use crate::dialer::{Dialed, Dialer};
use crate::doors::Doors;
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, LoginError};
use crate::event::{Event, Lane, Subscription, TopicScope};
use crate::limits::Limits;
use crate::login::Credentials;
use crate::options::Options;
use crate::raw::{Connection, DatagramSendError, Transport};
use crate::serve::{Route, serve};
use crate::session::{NotTaken, Session};
use crate::shared::{Link, Shared, State};
use crate::stats::Stats;
use crate::target::Way;
use crate::wallet::Wallet;
use atoll_proto::Address;
use atoll_proto::archipelago::Position;
use atoll_proto::atoll::Welcome;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{Kind, Sequence, UP_HEADER, Up};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A session at an edge, over one connection after the other. Dropping it ends the session.
///
/// Events wait in a bounded queue: take them with [`Client::next_event`] all the time.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    address: Address,
}

/// Why a packet or message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The client sits in no room: the edge has not put it into an island yet.
    #[error("no seat in a room yet")]
    NotSeated,
    /// The payload is above the limit of the edge or of the path.
    #[error("a payload of {length} bytes; at most {limit} are allowed")]
    TooLarge {
        /// The length of the payload, in bytes.
        length: usize,
        /// The limit now, in bytes.
        limit: usize,
    },
    /// As much waits for the edge's acknowledgement as is kept: 256 KiB of ordered messages, 4 MiB of large ones; or as
    /// much waits for the control stream as may: 256 messages or 512 KiB of topics. Try again later.
    #[error("too much waits to be sent or acknowledged")]
    Full,
    /// There is no connection at the moment. Packets and topic messages are not kept; ordered and large messages are.
    #[error("no connection at the moment")]
    Disconnected,
    /// The edge takes no datagrams.
    #[error("the edge takes no datagrams")]
    Unsupported,
    /// The session is over; [`Client::next_event`] tells why.
    #[error("the session is over")]
    Closed,
}

impl Client {
    /// Connects and logs in as `wallet`, on a socket of its own.
    ///
    /// Given a [`Discovery`](crate::Discovery), QUIC and WebSocket race: QUIC starts, the WebSocket follows after
    /// [`Options::head_start`], and the first that is ready is logged in on. Given a
    /// [`Target`](crate::Target), only that way is used, also after a loss.
    ///
    /// With [`Options::reconnect`] the client comes back after a loss and takes its session up, as its events tell;
    /// and it moves from WebSocket to QUIC when QUIC is there again. The first attempt is never repeated.
    ///
    /// # Errors
    /// A [`ConnectError`]: that of QUIC, where several ways failed.
    pub async fn connect(doors: impl Into<Doors>, wallet: &Wallet, options: &Options) -> Result<Self, ConnectError> {
        Self::enter(Dialer::Doors { doors: doors.into(), options: options.clone() }, wallet).await
    }

    pub(crate) async fn enter(dialer: Dialer, wallet: &Wallet) -> Result<Self, ConnectError> {
        let mut credentials = Credentials::new(wallet, dialer.options());
        let (dialed, welcome) = dialer.enter(&mut credentials, None).await?;
        let options = dialer.options().clone();
        let route = options.reconnect.then_some(Route { dialer, credentials });
        Self::serve(dialed, wallet.address(), &welcome, &options, route)
    }

    /// Makes a client of a connection whose login just succeeded; for logins done by hand on a [`Connection`]. It does
    /// not connect again after a loss.
    ///
    /// # Errors
    /// [`ConnectError::Login`] when the welcome is not for `address`.
    pub fn start(
        connection: Connection,
        address: Address,
        welcome: Welcome,
        options: &Options,
    ) -> Result<Self, ConnectError> {
        let link = Link { transport: connection.transport.clone(), socket: None };
        Self::serve(Dialed { connection, link }, address, &welcome, options, None)
    }

    fn serve(
        dialed: Dialed,
        address: Address,
        welcome: &Welcome,
        options: &Options,
        route: Option<Route>,
    ) -> Result<Self, ConnectError> {
        check_welcome(welcome, address)?;
        let Dialed { connection, link } = dialed;
        // Only spreads attempts over time: a poor seed is good enough.
        let seed = getrandom::u64().unwrap_or_default();
        let session = Session::new(options.packet_queue, welcome, seed, Duration::ZERO);
        let shared = Arc::new(Shared::new(session, Limits::of(welcome), link, Instant::now()));
        tokio::spawn(serve(shared.clone(), route, connection));
        Ok(Self { shared, address })
    }

    /// Who this client is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What the edge accepts, by its last welcome.
    pub fn limits(&self) -> Limits {
        self.shared.state().limits
    }

    /// The way in that is in use; `None` while there is no connection.
    pub fn way(&self) -> Option<Way> {
        self.shared.state().link.as_ref().map(|link| link.transport.way())
    }

    /// Tells the edge where the avatar stands, in metres. Repeat it every [`Limits::heartbeat_interval`].
    ///
    /// It is sent as soon as the control stream takes it; of several that wait only the newest is. The last one is sent
    /// again on a new connection.
    pub fn heartbeat(&self, position: Position) {
        self.shared.state().session.heartbeat(position);
        self.shared.send_more();
    }

    /// Sends a packet of which only the latest counts: an rfc4 `position` or `movement`. Returns its sequence.
    ///
    /// # Errors
    /// A [`SendError`]; nothing was sent then.
    pub fn send_update(&self, payload: Bytes) -> Result<Sequence, SendError> {
        self.send_packet(Kind::Update, payload)
    }

    /// Sends a packet that is passed on whatever follows; datagrams may still be lost. Returns its sequence.
    ///
    /// # Errors
    /// A [`SendError`]; nothing was sent then.
    pub fn send_event(&self, payload: Bytes) -> Result<Sequence, SendError> {
        self.send_packet(Kind::Event, payload)
    }

    /// Sends a piece of speech, which is relayed at once or never. Returns its sequence.
    ///
    /// # Errors
    /// A [`SendError`]; nothing was sent then.
    pub fn send_voice(&self, payload: Bytes) -> Result<Sequence, SendError> {
        self.send_packet(Kind::Voice, payload)
    }

    /// Sends a message of at most [`Limits::ordered`] bytes to the members of the room, behind those sent before.
    /// Returns its number.
    ///
    /// It is kept until the edge has it, over losses of the connection too, for 60 s at most. What may not have arrived
    /// is told by [`Event::Undelivered`].
    ///
    /// # Errors
    /// A [`SendError`]; nothing will be sent then.
    pub fn send_ordered(&self, payload: Bytes) -> Result<u64, SendError> {
        self.send_message(Lane::Ordered, payload)
    }

    /// Sends a message of at most [`Limits::large`] bytes to the members of the room, beside the others: it may arrive
    /// behind those sent later. Otherwise as [`Client::send_ordered`].
    ///
    /// # Errors
    /// A [`SendError`]; nothing will be sent then.
    pub fn send_large(&self, payload: Bytes) -> Result<u64, SendError> {
        self.send_message(Lane::Large, payload)
    }

    /// Asks for a seat in a room that is no island, in place of that in the island: `quic:<room>` or
    /// `ws-room:<url>/rooms/<room>`, each perhaps with `?access_token=<token>`; over losses of the connection too.
    /// [`Event::RoomJoined`] tells that the client sits there; [`Event::Refused`] that it does not and sits where it sat, or
    /// (`RoomLost`) that somebody else has taken the seat since.
    ///
    /// # Errors
    /// [`SendError::Closed`]; [`SendError::TooLarge`] above 8 KiB.
    pub fn join_room(&self, connection_string: &str) -> Result<(), SendError> {
        let mut state = self.shared.state();
        if state.session.closed().is_some() {
            return Err(SendError::Closed);
        }
        let asked = state.session.join(connection_string);
        drop(state);
        self.shared.send_more();
        asked.map_err(|error| not_taken(error, connection_string.len()))
    }

    /// Goes back to the island, as [`Event::IslandChanged`] tells.
    ///
    /// # Errors
    /// [`SendError::Closed`].
    pub fn leave_room(&self) -> Result<(), SendError> {
        self.join_room("")
    }

    /// Says something on a topic, to all of the region who hear it: levels separated by dots, none empty. Topics that begin
    /// with `island`, `island_changed` or `heartbeat` belong to the region.
    ///
    /// It is sent once: what is lost with a connection is lost, and what the edge refuses is told by [`Event::Refused`].
    ///
    /// # Errors
    /// A [`SendError`]; nothing will be sent then.
    pub fn publish(&self, topic: &str, payload: &Bytes) -> Result<(), SendError> {
        let mut state = self.shared.state();
        let State { session, limits, link } = &mut *state;
        if session.closed().is_some() {
            return Err(SendError::Closed);
        }
        if link.is_none() {
            return Err(SendError::Disconnected);
        }
        let published =
            session.publish(topic, payload, limits.message).map_err(|error| not_taken(error, payload.len()));
        drop(state);
        self.shared.send_more();
        published
    }

    /// Hears a topic from now on, over losses of the connection too; `*` stands for one level, a last `>` for one or more.
    /// [`Event::Subscribed`] tells when it has begun, [`Event::SubscriptionRefused`] that it has not, and
    /// [`Event::Topic`] what is heard.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooLarge`], [`SendError::Closed`].
    pub fn subscribe(&self, scope: TopicScope, topic: &str) -> Result<Subscription, SendError> {
        let mut state = self.shared.state();
        let State { session, limits, .. } = &mut *state;
        if session.closed().is_some() {
            return Err(SendError::Closed);
        }
        let subscribed = session.subscribe(scope, topic, limits.message).map_err(|error| not_taken(error, topic.len()));
        drop(state);
        self.shared.send_more();
        subscribed
    }

    /// Hears it no more; messages of it that wait are passed over. `false` when it was not heard.
    pub fn unsubscribe(&self, subscription: Subscription) -> bool {
        let was_heard = self.shared.state().session.unsubscribe(subscription);
        self.shared.send_more();
        was_heard
    }

    /// The next event, in the order in which they were learnt. One task should ask; cancelling loses none.
    pub async fn next_event(&self) -> Event {
        self.shared.next_event().await
    }

    /// Why the session is over, if it is; events may still wait.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.state().session.closed().cloned()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.state().session.stats
    }

    /// The connection in use, for its round-trip time and QUIC's own figures; `None` while there is none.
    pub fn transport(&self) -> Option<Transport> {
        self.shared.state().link.as_ref().map(|link| link.transport.clone())
    }

    /// Ends the session and closes the connection by code 0, and waits until the edge had a chance to hear it if the
    /// socket is this client's own.
    pub async fn close(self) {
        if let Some(socket) = self.leave() {
            socket.close().await;
        }
    }

    /// Closes the connection; its socket, if it is this client's own, is not waited for.
    fn leave(&self) -> Option<Arc<crate::socket::Socket>> {
        let link = self.shared.state().link.take();
        self.shared.stop();
        let link = link?;
        link.transport.close(CloseCode::Closed, "");
        link.socket
    }

    fn send_packet(&self, kind: Kind, payload: Bytes) -> Result<Sequence, SendError> {
        let mut state = self.shared.state();
        let State { session, limits, link } = &mut *state;
        if session.closed().is_some() {
            return Err(SendError::Closed);
        }
        let link = link.as_ref().ok_or(SendError::Disconnected)?;
        let path = link.transport.max_datagram().unwrap_or(usize::MAX).saturating_sub(UP_HEADER);
        let (length, limit) = (payload.len(), limits.payload.min(path));
        if length > limit {
            return Err(SendError::TooLarge { length, limit });
        }
        if link.transport.is_closed() {
            return Err(SendError::Disconnected);
        }
        let tag = session.tag().ok_or(SendError::NotSeated)?;
        let up = Up { kind, tag, sequence: session.next_sequence(), payload };
        let mut datagram = BytesMut::with_capacity(UP_HEADER + length);
        up.encode(&mut datagram);
        link.transport.send_datagram(datagram.freeze()).map_err(|error| match error {
            DatagramSendError::TooLarge => SendError::TooLarge { length, limit },
            DatagramSendError::Unsupported => SendError::Unsupported,
            DatagramSendError::Closed => SendError::Disconnected,
        })?;
        session.sent(up.sequence);
        *match kind {
            Kind::Update => &mut session.stats.updates_sent,
            Kind::Event => &mut session.stats.events_sent,
            Kind::Voice => &mut session.stats.voice_sent,
        } += 1;
        Ok(up.sequence)
    }

    fn send_message(&self, lane: Lane, payload: Bytes) -> Result<u64, SendError> {
        let mut state = self.shared.state();
        let State { session, limits, .. } = &mut *state;
        if session.closed().is_some() {
            return Err(SendError::Closed);
        }
        let limit = match lane {
            Lane::Ordered => limits.ordered,
            Lane::Large => limits.large,
        };
        if payload.len() > limit {
            return Err(SendError::TooLarge { length: payload.len(), limit });
        }
        let tag = session.tag().ok_or(SendError::NotSeated)?;
        let number = session.send(self.shared.now(), lane, tag, payload).ok_or(SendError::Full)?;
        drop(state);
        self.shared.send_more();
        Ok(number)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.leave();
    }
}

fn not_taken(error: NotTaken, length: usize) -> SendError {
    match error {
        NotTaken::Full => SendError::Full,
        NotTaken::TooLarge(surplus) => SendError::TooLarge { length, limit: length.saturating_sub(surplus) },
    }
}

/// Checks that the welcome is for `address`.
fn check_welcome(welcome: &Welcome, address: Address) -> Result<(), ConnectError> {
    let peer = welcome.welcome.as_ref().map(|welcome| welcome.peer_id.as_str()).unwrap_or_default();
    if peer == address.to_string() {
        return Ok(());
    }
    Err(ConnectError::Login(LoginError::WrongPeer(peer.to_owned())))
}

impl Endpoint {
    /// Connects and logs in as `wallet`. A client that reconnects does so from this socket, by this way.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect(&self, wallet: &Wallet) -> Result<Client, ConnectError> {
        Client::enter(Dialer::Endpoint(self.clone()), wallet).await
    }
}

impl Connection {
    /// Logs in as `wallet`, by [`Options::proof`]. There is no time limit here;
    /// [`Endpoint::connect`](crate::Endpoint::connect) has one, and tries the challenge when the edge refuses a signed
    /// fetch. The client does not connect again after a loss.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] when the edge refuses, [`ConnectError::Login`] when it does not follow the protocol.
    pub async fn login(mut self, wallet: &Wallet, options: &Options) -> Result<Client, ConnectError> {
        let welcome = self.enter(&Credentials::new(wallet, options), None).await?;
        Client::start(self, wallet.address(), welcome, options)
    }
}
