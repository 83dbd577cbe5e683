//! ICE over TCP (RFC 6544): datagrams behind a length each (RFC 4571), on connections that clients open.

use super::routes::Routes;
use atoll_core::limit::{AmongEquals, Crowd, Spot};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use str0m::net::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a connection may take to say for whom it is: clients say so as soon as it stands, and what is lost on the way is sent
/// again within that.
const NAMING: Duration = Duration::from_secs(5);

/// How long a connection may say nothing after that: checks of consent come more often.
const SILENCE: Duration = Duration::from_secs(15);

/// Largest datagram that is read.
const DATAGRAM: usize = 2048;

/// Datagrams that may wait for one client.
const WAITING: usize = 256;

/// How many connections there may be at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Those of participants. They stay, so that a full house has no room for more.
    participants: usize,
    participants_per_place: usize,
    /// Those that have not said yet for whom they are. They take no room of the others', and with more of them the oldest of the
    /// most crowded place goes: who has something to say says it at once, while clients that found a better way leave several
    /// connections silent.
    strangers: usize,
    naming: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { participants: 1024, participants_per_place: 256, strangers: 256, naming: NAMING }
    }
}

/// The ways to clients with such a connection.
#[derive(Debug, Default)]
pub(super) struct Writers {
    by_address: Mutex<HashMap<SocketAddr, mpsc::Sender<Bytes>>>,
}

impl Writers {
    /// Sends one datagram, or drops it when too many wait.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let Ok(length) = u16::try_from(datagram.len()) else { return };
        let writers = self.lock();
        let Some(writer) = writers.get(&to) else { return };
        let mut framed = Vec::with_capacity(2 + datagram.len());
        framed.extend(length.to_be_bytes());
        framed.extend_from_slice(datagram);
        let _ = writer.try_send(framed.into());
    }

    /// Enters the way to a client until the answer is dropped.
    fn enter(self: &Arc<Self>, address: SocketAddr, writer: mpsc::Sender<Bytes>) -> Entered {
        self.lock().insert(address, writer);
        Entered { writers: Arc::clone(self), address }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, mpsc::Sender<Bytes>>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to a client; gone when this is dropped.
struct Entered {
    writers: Arc<Writers>,
    address: SocketAddr,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.writers.lock().remove(&self.address);
    }
}

/// What all connections share.
struct House {
    routes: Arc<Routes>,
    writers: Arc<Writers>,
    participants: Arc<Crowd>,
    strangers: Arc<Crowd>,
    naming: Duration,
}

/// Takes connections until it is dropped.
pub(super) async fn accept(listener: TcpListener, routes: Arc<Routes>, writers: Arc<Writers>, limits: Limits) {
    let crowd = |most, per_place, among_equals| Arc::new(Crowd::new(most, per_place, among_equals));
    let house = Arc::new(House {
        routes,
        writers,
        participants: crowd(limits.participants, Some(limits.participants_per_place), AmongEquals::NewcomerLeaves),
        strangers: crowd(limits.strangers, None, AmongEquals::OldestLeaves),
        naming: limits.naming,
    });
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, source)) = accepted else {
            // Out of files, most likely: some are given back when connections end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let Some(spot) = house.strangers.enter(source.ip()) else {
            house.routes.counters().tcp_crowded.add(1);
            continue;
        };
        let house = Arc::clone(&house);
        connections.spawn(async move {
            let _ = house.serve(stream, source, spot).await;
        });
    }
}

impl House {
    async fn serve(&self, stream: TcpStream, source: SocketAddr, stranger: Spot) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let destination = stream.local_addr().ok().map(|address| address.ip().to_canonical());
        let (reader, writer) = stream.into_split();
        let mut reader = BufReader::with_capacity(DATAGRAM + 2, reader);
        // Nobody is answered, or stays, who does not begin with a request for somebody who is here.
        let mut datagram = [0; DATAGRAM];
        let named = tokio::select! {
            named = timeout(self.naming, next(&mut reader, &mut datagram)) => named,
            () = stranger.evicted() => {
                self.routes.counters().tcp_crowded.add(1);
                return Ok(());
            }
        };
        let first = match named {
            Ok(Ok(length)) if self.routes.knows(&datagram[..length]) => length,
            // It has gone by itself: of clients that found a better way there are many.
            Ok(Err(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            _ => {
                self.routes.counters().tcp_unknown.add(1);
                return Ok(());
            }
        };
        let Some(spot) = self.participants.enter(source.ip()) else {
            self.routes.counters().tcp_crowded.add(1);
            return Ok(());
        };
        drop(stranger);
        let (sender, waiting) = mpsc::channel::<Bytes>(WAITING);
        let _entered = self.writers.enter(source, sender);
        if !self.routes.deliver(Protocol::Tcp, source, destination, &datagram[..first]) {
            return Ok(());
        }
        let reading = async {
            loop {
                let length = timeout(SILENCE, next(&mut reader, &mut datagram)).await??;
                self.routes.deliver(Protocol::Tcp, source, destination, &datagram[..length]);
            }
        };
        let ended = tokio::select! {
            ended = write(writer, waiting) => ended,
            ended = reading => ended,
            () = spot.evicted() => {
                self.routes.counters().tcp_crowded.add(1);
                Ok(())
            }
        };
        self.routes.forget(Protocol::Tcp, source);
        ended
    }
}

async fn write(mut writer: OwnedWriteHalf, mut waiting: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(datagram) = waiting.recv().await {
        timeout(SILENCE, writer.write_all(&datagram)).await??;
    }
    Ok(())
}

/// Reads one datagram.
async fn next(reader: &mut BufReader<OwnedReadHalf>, into: &mut [u8]) -> io::Result<usize> {
    let length = usize::from(reader.read_u16().await?);
    let place = into.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
    reader.read_exact(place).await
}

#[cfg(test)]
#[path = "ice_tcp_tests.rs"]
mod tests;
