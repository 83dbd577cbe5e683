//! One light client of a WebSocket room: RFC-5 by hand, which reads of an update no more than that it is one and its stamp.

use super::kernels::{place_of, wallet};
use super::peer::{standing_still, updates};
use super::plain::split_frame;
use super::room_plan::RoomPlan;
use super::sample::{Ages, Counts};
use super::tls;
use crate::process::Server;
use anyhow::{Context, bail, ensure};
use atoll_client::walkers::Clock;
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::rfc5::{WsIdentification, WsPacket, WsPeerUpdate, WsSignedChallenge};
use prost::Message as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

/// How long a wallet delegates to its ephemeral key.
const DELEGATION: Duration = Duration::from_secs(3600);

/// Bytes that are read at a time, if there are as many.
const BUFFER: usize = 64 * 1024;

/// What the messages begin with that a room sends: their field of the packet.
const UPDATE: u8 = 3 << 3 | 2;
const JOIN: u8 = 2 << 3 | 2;
const LEAVE: u8 = 6 << 3 | 2;

/// How an unreliable update ends: with the flag.
const UNRELIABLE: [u8; 2] = [3 << 3, 1];

/// Where the rooms of an edge are.
#[derive(Clone)]
pub(super) struct Door {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

/// A seated client, until this is dropped.
#[derive(Debug)]
pub(super) struct Rfc5 {
    hearing: Arc<Hearing>,
    tasks: Vec<AbortHandle>,
}

/// What a client knows and counts.
#[derive(Debug, Default)]
struct Hearing {
    others: AtomicUsize,
    sent: AtomicU64,
    offered: AtomicU64,
    delivered: AtomicU64,
    reads: AtomicU64,
    ages: Mutex<Ages>,
}

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Both = Box<dyn Stream>;

impl Door {
    /// That of a server, to enter with or without TLS.
    pub(super) fn of(server: &Server, with_tls: bool) -> anyhow::Result<Self> {
        let address = server.ready("http")?.trim_start_matches("http://").parse()?;
        let connector = || anyhow::Ok(TlsConnector::from(Arc::new(tls::unchecked(b"http/1.1")?)));
        Ok(Self { address, tls: with_tls.then(connector).transpose()? })
    }

    async fn open(&self, index: usize) -> anyhow::Result<Both> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((place_of(index), 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => Ok(Box::new(tls.connect("localhost".try_into()?, stream).await?)),
        }
    }
}

impl Rfc5 {
    /// Signs in; sends once `speaking` is true.
    pub(super) async fn start(
        door: &Door,
        room: &str,
        index: usize,
        plan: RoomPlan,
        clock: Clock,
        speaking: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let mut socket = Socket::upgrade(door.open(index).await?, room).await?;
        let wallet = wallet(index)?;
        let address = wallet.address().to_string();
        socket.send(Message::PeerIdentification(WsIdentification { address })).await?;
        let Message::ChallengeMessage(challenge) = socket.next().await? else { bail!("a challenge is due") };
        let auth_chain_json = wallet.sign(&challenge.challenge_to_sign, SystemTime::now() + DELEGATION);
        socket.send(Message::SignedChallengeForServer(WsSignedChallenge { auth_chain_json })).await?;
        let Message::WelcomeMessage(welcome) = socket.next().await? else { bail!("a welcome is due") };

        let hearing = Arc::new(Hearing::default());
        hearing.others.store(welcome.peer_identities.len(), Relaxed);
        let (read, write) = split(socket.stream);
        let hears = tokio::spawn(hear(read, socket.buffer, hearing.clone(), clock));
        let speaks = tokio::spawn(speak(write, hearing.clone(), clock, plan, index, speaking));
        Ok(Self { hearing, tasks: vec![hears.abort_handle(), speaks.abort_handle()] })
    }

    /// How many others are there.
    pub(super) fn others(&self) -> usize {
        self.hearing.others.load(Relaxed)
    }

    pub(super) fn counts(&self) -> Counts {
        let Hearing { sent, offered, delivered, .. } = &*self.hearing;
        Counts { sent: sent.load(Relaxed), offered: offered.load(Relaxed), delivered: delivered.load(Relaxed) }
    }

    /// How often something came.
    pub(super) fn reads(&self) -> u64 {
        self.hearing.reads.load(Relaxed)
    }

    pub(super) fn take_ages(&self) -> Ages {
        std::mem::take(&mut *self.hearing.ages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Rfc5 {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A socket until its client is welcomed.
struct Socket {
    stream: Both,
    buffer: Vec<u8>,
}

impl Socket {
    async fn upgrade(mut stream: Both, room: &str) -> anyhow::Result<Self> {
        let request = format!(
            "GET /rooms/{room} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-protocol: rfc5, rfc4\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 1024, "a short answer");
            head.push(stream.read_u8().await?);
        }
        ensure!(head.starts_with(b"HTTP/1.1 101"), "the upgrade is taken: {}", String::from_utf8_lossy(&head));
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    async fn send(&mut self, message: Message) -> anyhow::Result<()> {
        let frame = masked_frame(&WsPacket { message: Some(message) });
        self.stream.write_all(&frame).await?;
        Ok(self.stream.flush().await?)
    }

    async fn next(&mut self) -> anyhow::Result<Message> {
        loop {
            if let Some((message, rest)) = split_frame(&self.buffer) {
                let packet = WsPacket::decode(message)?;
                let taken = self.buffer.len() - rest.len();
                self.buffer.drain(..taken);
                return packet.message.context("a message");
            }
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the room closed the connection");
        }
    }
}

impl Hearing {
    /// Counts what is whole of `bytes`, for its length.
    fn take_in(&self, bytes: &[u8], clock: Clock) -> usize {
        let (mut rest, mut delivered) = (bytes, 0);
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((message, after)) = split_frame(rest) {
            match message.first() {
                Some(&UPDATE) => {
                    delivered += 1;
                    if let Some(age) = clock.age(message.strip_suffix(&UNRELIABLE).unwrap_or(message)) {
                        ages.record(age);
                    }
                }
                Some(&JOIN) => drop(self.others.fetch_add(1, Relaxed)),
                Some(&LEAVE) => drop(self.others.fetch_sub(1, Relaxed)),
                _ => {}
            }
            rest = after;
        }
        self.delivered.fetch_add(delivered, Relaxed);
        bytes.len() - rest.len()
    }
}

async fn hear(mut stream: ReadHalf<Both>, mut buffer: Vec<u8>, hearing: Arc<Hearing>, clock: Clock) {
    loop {
        let taken = hearing.take_in(&buffer, clock);
        buffer.drain(..taken);
        let Ok(1..) = stream.read_buf(&mut buffer).await else { return };
        hearing.reads.fetch_add(1, Relaxed);
    }
}

async fn speak(
    mut stream: WriteHalf<Both>,
    hearing: Arc<Hearing>,
    clock: Clock,
    plan: RoomPlan,
    index: usize,
    mut speaking: watch::Receiver<bool>,
) {
    if speaking.wait_for(|speaking| *speaking).await.is_err() {
        return;
    }
    let mut updates = updates(index, plan.rate);
    let plain = standing_still(index, plan.kernels + plan.native);
    loop {
        updates.tick().await;
        let mut body = plain.clone();
        clock.stamp(&mut body, plan.payload);
        let update = WsPeerUpdate { from_alias: 0, body, unreliable: true };
        let frame = masked_frame(&WsPacket { message: Some(Message::PeerUpdateMessage(update)) });
        // A TLS stream keeps what is written until it is flushed.
        if stream.write_all(&frame).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        hearing.sent.fetch_add(1, Relaxed);
        hearing.offered.fetch_add(hearing.others.load(Relaxed) as u64, Relaxed);
    }
}

/// A masked binary frame; the mask is zero, which costs the server the same. Messages are of less than 64 KiB.
fn masked_frame(packet: &WsPacket) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let length = packet.encoded_len();
    let mut frame = Vec::with_capacity(length + 8);
    frame.push(0x82);
    match length {
        0..126 => frame.push(MASKED | length as u8),
        _ => {
            frame.push(MASKED | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(packet.encode_to_vec());
    frame
}
