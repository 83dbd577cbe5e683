//! One light client.

use super::sample::{Ages, Counts};
use super::{Plan, tls};
use anyhow::{Context, bail};
use atoll_client::Wallet;
use atoll_client::walkers::Clock;
use atoll_proto::archipelago::{ChallengeRequestMessage, Heartbeat, Position, SignedChallengeMessage};
use atoll_proto::atoll::client_message::Message as ToEdge;
use atoll_proto::atoll::server_message::Message as FromEdge;
use atoll_proto::atoll::{ClientMessage, JoinRoom, Login, ServerMessage};
use atoll_proto::datagram::{Alias, Kind, Sequence, Tag, Up, decode_chunk};
use atoll_proto::ethereum::keccak256;
use atoll_proto::framing::{MAX_MESSAGE, put_frame, take_frame};
use atoll_proto::rfc4;
use bytes::{Buf, BufMut, BytesMut};
use prost::Message;
use quinn::{Connection, Endpoint};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use web_transport_quinn::{RecvStream, SendStream, Session};

/// How often a client says where it stands.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a reason for a failed login is waited for.
const REASON: Duration = Duration::from_millis(500);

/// How long a wallet delegates to its ephemeral key.
const DELEGATION: Duration = Duration::from_secs(3600);

/// Groups stand on a grid of this many metres, far beyond the distance at which islands merge.
const GRID: usize = 500;

/// Groups in a row of the grid.
const ROW: usize = 1000;

/// A way into the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// WebTransport over HTTP/3.
    WebTransport,
    /// ALPN `atoll/1`.
    Quic,
}

/// A connection before its login.
#[derive(Debug)]
pub struct Connected {
    connection: Connection,
    session: Session,
    /// What stands before each datagram.
    prefix: &'static [u8],
}

/// Both halves of a control stream.
#[derive(Debug)]
pub struct Control {
    send: SendStream,
    receive: RecvStream,
    buffer: BytesMut,
}

/// Makes a connection; for WebTransport up to the answer to CONNECT.
///
/// # Errors
/// When the edge does not take it.
pub async fn connect(socket: &Endpoint, edge: SocketAddr, way: Way) -> anyhow::Result<Connected> {
    match way {
        Way::WebTransport => {
            let config = tls::client_config(b"h3")?;
            let connection = socket.connect_with(config, edge, "localhost")?.await?;
            let url: url::Url = format!("https://{edge}/atoll").parse()?;
            let request = web_transport_quinn::proto::ConnectRequest::new(url).with_protocol("atoll.1");
            let session = Session::connect(connection.clone(), request).await?;
            Ok(Connected { connection, session, prefix: &[0] })
        }
        Way::Quic => {
            let config = tls::client_config(b"atoll/1")?;
            let connection = socket.connect_with(config, edge, "localhost")?.await?;
            Ok(Connected { session: Session::raw(connection.clone()), connection, prefix: &[] })
        }
    }
}

/// Logs in by a signed challenge, as the wallet of this number.
///
/// # Errors
/// When the edge does not welcome it.
pub async fn login(connected: &Connected, index: usize) -> anyhow::Result<Control> {
    match try_login(connected, index).await {
        Ok(control) => Ok(control),
        // Only the end of the session tells why.
        Err(error) => match timeout(REASON, connected.session.closed()).await {
            Ok(why) => Err(error.context(format!("the session was closed: {why}"))),
            Err(_) => Err(error),
        },
    }
}

async fn try_login(connected: &Connected, index: usize) -> anyhow::Result<Control> {
    let key = |part: &str| keccak256(format!("atoll bench {index} {part}").as_bytes());
    let wallet = Wallet::from_keys(key("owner"), key("ephemeral"))?;
    let (send, receive) = connected.session.open_bi().await?;
    let mut control = Control { send, receive, buffer: BytesMut::new() };
    let address = wallet.address().to_string();
    control.send(ToEdge::ChallengeRequest(ChallengeRequestMessage { address })).await?;
    let FromEdge::ChallengeResponse(challenge) = control.receive().await? else { bail!("a challenge is due") };
    let auth_chain_json = wallet.sign(&challenge.challenge_to_sign, SystemTime::now() + DELEGATION);
    let signed_challenge = Some(SignedChallengeMessage { auth_chain_json });
    control.send(ToEdge::Login(Login { signed_challenge, ..Login::default() })).await?;
    let FromEdge::Welcome(_) = control.receive().await? else { bail!("a welcome is due") };
    Ok(control)
}

impl Connected {
    /// Closes it by code 0, as a client that leaves does.
    pub fn close(&self) {
        self.session.close(0, b"");
    }
}

impl Control {
    async fn send(&mut self, message: ToEdge) -> anyhow::Result<()> {
        let mut frame = BytesMut::new();
        put_frame(&ClientMessage { message: Some(message) }, &mut frame);
        Ok(self.send.write_all(&frame).await?)
    }

    async fn receive(&mut self) -> anyhow::Result<FromEdge> {
        receive(&mut self.receive, &mut self.buffer).await
    }
}

async fn receive(stream: &mut RecvStream, buffer: &mut BytesMut) -> anyhow::Result<FromEdge> {
    loop {
        while let Some(frame) = take_frame(buffer, MAX_MESSAGE)? {
            let message: ServerMessage = atoll_proto::decode(&frame)?;
            if let Some(message) = message.message {
                return Ok(message);
            }
        }
        let chunk = stream.read_chunk(MAX_MESSAGE, true).await?.context("the control stream ended")?;
        buffer.extend_from_slice(&chunk.bytes);
    }
}

/// A seated client.
#[derive(Debug)]
pub(super) struct Peer {
    connected: Arc<Connected>,
    hearing: Arc<Hearing>,
}

/// What a client knows and counts.
#[derive(Debug, Default)]
struct Hearing {
    tag: AtomicU32,
    alias: AtomicU32,
    members: AtomicUsize,
    sent: AtomicU64,
    offered: AtomicU64,
    delivered: AtomicU64,
    ages: Mutex<Ages>,
}

impl Peer {
    pub(super) async fn start(
        socket: &Endpoint,
        edge: SocketAddr,
        index: usize,
        plan: &Plan,
        clock: Clock,
        speaking: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let connected = Arc::new(connect(socket, edge, plan.way).await?);
        let mut control = login(&connected, index).await?;
        if let Some(room) = plan.room {
            let connection_string = format!("quic:{room}");
            control.send(ToEdge::JoinRoom(JoinRoom { connection_string })).await?;
        }
        let Control { send, receive, buffer } = control;
        let hearing = Arc::new(Hearing::default());
        tokio::spawn(follow(receive, buffer, hearing.clone()));
        tokio::spawn(hear(connected.clone(), hearing.clone(), clock));
        tokio::spawn(beat(send, place(index, plan.together)));
        if plan.rate > 0.0 {
            tokio::spawn(speak(connected.clone(), hearing.clone(), clock, plan.clone(), index, speaking));
        }
        Ok(Self { connected, hearing })
    }

    pub(super) fn members(&self) -> usize {
        self.hearing.members.load(Relaxed)
    }

    pub(super) fn counts(&self) -> Counts {
        let Hearing { sent, offered, delivered, .. } = &*self.hearing;
        Counts { sent: sent.load(Relaxed), offered: offered.load(Relaxed), delivered: delivered.load(Relaxed) }
    }

    pub(super) fn take_ages(&self) -> Ages {
        std::mem::take(&mut *self.hearing.ages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.connected.connection.close(0_u32.into(), b"");
    }
}

fn place(index: usize, together: usize) -> Position {
    let (group, member) = (index / together, index % together);
    let (east, north) = ((group % ROW) * GRID, (group / ROW) * GRID);
    Position { x: east as f32 + member as f32 * 0.05, y: 0.0, z: north as f32 }
}

/// Keeps the seat and the number of members in mind.
async fn follow(mut stream: RecvStream, mut buffer: BytesMut, hearing: Arc<Hearing>) {
    while let Ok(message) = receive(&mut stream, &mut buffer).await {
        match message {
            FromEdge::IslandChanged(changed) => {
                hearing.tag.store(changed.tag, Relaxed);
                hearing.alias.store(changed.alias, Relaxed);
                hearing.members.store(changed.members.len(), Relaxed);
            }
            FromEdge::MembersChanged(changed) if changed.tag == hearing.tag.load(Relaxed) => {
                hearing.members.fetch_add(changed.joined.len(), Relaxed);
                hearing.members.fetch_sub(changed.left.len(), Relaxed);
            }
            _ => {}
        }
    }
}

async fn hear(connected: Arc<Connected>, hearing: Arc<Hearing>, clock: Clock) {
    while let Ok(mut datagram) = connected.connection.read_datagram().await {
        datagram.advance(connected.prefix.len().min(datagram.len()));
        let Ok((tag, entries)) = decode_chunk(datagram) else { continue };
        if tag.0 != hearing.tag.load(Relaxed) {
            continue;
        }
        let own = Alias(hearing.alias.load(Relaxed));
        let mut delivered = 0;
        let mut ages = hearing.ages.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.flatten().filter(|entry| entry.alias != own) {
            delivered += 1;
            if let Some(age) = clock.age(&entry.payload) {
                ages.record(age);
            }
        }
        hearing.delivered.fetch_add(delivered, Relaxed);
    }
}

async fn beat(mut stream: SendStream, position: Position) {
    let mut frame = BytesMut::new();
    let heartbeat = Heartbeat { position: Some(position), desired_room: None };
    put_frame(&ClientMessage { message: Some(ToEdge::Heartbeat(heartbeat)) }, &mut frame);
    let mut beats = tokio::time::interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// When a client sends its updates, so many a second.
pub(super) fn updates(index: usize, rate: f64) -> Interval {
    let period = Duration::from_secs_f64(1.0 / rate);
    // The golden ratio spreads any number of phases evenly.
    let phase = period.mul_f64((index as f64 * 0.618_034).fract());
    let mut updates = interval_at(Instant::now() + phase, period);
    updates.set_missed_tick_behavior(MissedTickBehavior::Burst);
    updates
}

/// An update that says where a client stands, without a stamp.
pub(super) fn standing_still(index: usize, together: usize) -> Vec<u8> {
    let place = place(index, together);
    let position = rfc4::Position { position_x: place.x, position_z: place.z, rotation_w: 1.0, ..Default::default() };
    rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) }.encode_to_vec()
}

/// Sends updates for ever, in a phase of its own, so that a group's updates are spread over the time between two of one
/// client.
async fn speak(
    connected: Arc<Connected>,
    hearing: Arc<Hearing>,
    clock: Clock,
    plan: Plan,
    index: usize,
    mut speaking: watch::Receiver<bool>,
) {
    if speaking.wait_for(|speaking| *speaking).await.is_err() {
        return;
    }
    let mut updates = updates(index, plan.rate);
    let plain = standing_still(index, plan.together);
    let mut sequence = Sequence::default();
    loop {
        updates.tick().await;
        let members = hearing.members.load(Relaxed);
        if members == 0 {
            continue;
        }
        let mut payload = plain.clone();
        clock.stamp(&mut payload, plan.payload);
        sequence = sequence.next();
        let tag = Tag(hearing.tag.load(Relaxed));
        let up = Up { kind: Kind::Update, tag, sequence, payload: payload.into() };
        let mut datagram = BytesMut::with_capacity(plan.payload + 8);
        datagram.put_slice(connected.prefix);
        up.encode(&mut datagram);
        if connected.connection.send_datagram(datagram.freeze()).is_err() {
            return;
        }
        hearing.sent.fetch_add(1, Relaxed);
        hearing.offered.fetch_add(members as u64 - 1, Relaxed);
    }
}
