//! A logged-in client.

use crate::closed::Closed;
use crate::error::{ConnectError, LoginError};
use crate::event::{Event, Stats};
use crate::raw::{Connection, DatagramSendError, Transport};
use crate::session::{Shared, State, listen, send_heartbeats};
use crate::socket::Socket;
use crate::target::Options;
use atoll_proto::Address;
use atoll_proto::archipelago::Position;
use atoll_proto::atoll::Welcome;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::{Kind, MAX_PAYLOAD, Sequence, UP_HEADER, Up};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A session at an edge. Dropping it closes the connection by code 0.
///
/// Events wait in a bounded queue: take them with [`Client::next_event`] all the time.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    address: Address,
    limits: Limits,
    heartbeat: watch::Sender<Option<Position>>,
    /// The socket, when nobody else uses it.
    socket: Option<Socket>,
}

/// What the edge accepts from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest payload of a packet, in bytes.
    pub payload: usize,
    /// How often a heartbeat is expected.
    pub heartbeat_interval: Duration,
}

/// Why a packet was not sent.
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
    /// The edge takes no datagrams.
    #[error("the edge takes no datagrams")]
    Unsupported,
    /// The session is over; [`Client::next_event`] tells why.
    #[error("the session is over")]
    Closed,
}

impl Client {
    /// Makes a client of a connection whose login just succeeded; for logins done by hand on a [`Connection`].
    ///
    /// # Errors
    /// [`ConnectError::Login`] when the welcome is not for `address`.
    pub fn start(
        connection: Connection,
        address: Address,
        welcome: Welcome,
        options: &Options,
    ) -> Result<Self, ConnectError> {
        check_welcome(&welcome, address)?;
        let Connection { transport, writer, reader } = connection;
        let shared = Arc::new(Shared::new(transport, options.packet_queue));
        let (heartbeat, positions) = watch::channel(None);
        tokio::spawn(listen(shared.clone(), reader));
        tokio::spawn(send_heartbeats(writer, positions));
        Ok(Self { shared, address, limits: Limits::of(&welcome), heartbeat, socket: None })
    }

    /// Who this client is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What the edge accepts.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Tells the edge where the avatar stands, in metres. Repeat it every [`Limits::heartbeat_interval`].
    ///
    /// It is sent as soon as the control stream takes it; of several that wait only the newest is.
    pub fn heartbeat(&self, position: Position) {
        self.heartbeat.send_replace(Some(position));
    }

    /// Sends a packet of which only the latest counts: an rfc4 `position` or `movement`. Returns its sequence.
    ///
    /// # Errors
    /// A [`SendError`]; nothing was sent then.
    pub fn send_update(&self, payload: Bytes) -> Result<Sequence, SendError> {
        let sequence = self.send(Kind::Update, payload)?;
        self.shared.state().stats.updates_sent += 1;
        Ok(sequence)
    }

    /// Sends a packet that is passed on whatever follows; datagrams may still be lost. Returns its sequence.
    ///
    /// # Errors
    /// A [`SendError`]; nothing was sent then.
    pub fn send_event(&self, payload: Bytes) -> Result<Sequence, SendError> {
        let sequence = self.send(Kind::Event, payload)?;
        self.shared.state().stats.events_sent += 1;
        Ok(sequence)
    }

    /// The next event, in the order in which they were learnt. One task should ask; cancelling loses none.
    pub async fn next_event(&self) -> Event {
        self.shared.next_event().await
    }

    /// Why the session is over, if it is; events may still wait.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.closed()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.state().stats
    }

    /// The connection, for its round-trip time, its way in and QUIC's own figures.
    pub fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    /// Closes the connection by code 0, and waits until the edge had a chance to hear it if the socket is this
    /// client's own.
    pub async fn close(mut self) {
        self.shared.transport.close(CloseCode::Closed, "");
        if let Some(socket) = self.socket.take() {
            socket.close().await;
        }
    }

    /// This client, which alone uses `socket` and closes it.
    pub(crate) fn with_own_socket(mut self, socket: Socket) -> Self {
        self.socket = Some(socket);
        self
    }

    fn send(&self, kind: Kind, payload: Bytes) -> Result<Sequence, SendError> {
        let length = payload.len();
        let path = self.shared.transport.max_datagram().unwrap_or(usize::MAX).saturating_sub(UP_HEADER);
        let limit = self.limits.payload.min(path);
        if length > limit {
            return Err(SendError::TooLarge { length, limit });
        }
        let mut state = self.shared.state();
        if self.shared.transport.quic().close_reason().is_some() {
            return Err(SendError::Closed);
        }
        let State { seat, sequence, .. } = &mut *state;
        let tag = seat.as_ref().ok_or(SendError::NotSeated)?.tag();
        let up = Up { kind, tag, sequence: sequence.next(), payload };
        let mut datagram = BytesMut::with_capacity(UP_HEADER + length);
        up.encode(&mut datagram);
        self.shared.transport.send_datagram(datagram.freeze()).map_err(|error| match error {
            DatagramSendError::TooLarge => SendError::TooLarge { length, limit },
            DatagramSendError::Unsupported => SendError::Unsupported,
            DatagramSendError::Closed => SendError::Closed,
        })?;
        *sequence = up.sequence;
        Ok(up.sequence)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.transport.close(CloseCode::Closed, "");
    }
}

impl Limits {
    /// What a welcome says; the protocol's own figures for what it does not say.
    fn of(welcome: &Welcome) -> Self {
        let limits = welcome.limits.unwrap_or_default();
        let said = |value: u32, otherwise: u32| if value == 0 { otherwise } else { value };
        Self {
            payload: said(limits.max_payload_bytes, MAX_PAYLOAD as u32) as usize,
            heartbeat_interval: Duration::from_millis(said(limits.heartbeat_interval_ms, 1000).into()),
        }
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
