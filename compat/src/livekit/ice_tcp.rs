//! ICE over TCP (RFC 6544): datagrams behind a length each (RFC 4571), on connections that clients open.

use super::routes::Routes;
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use str0m::net::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Connections at a time.
const CONNECTIONS: usize = 1024;

/// How long a connection may say nothing: checks of consent come more often.
const SILENCE: Duration = Duration::from_secs(15);

/// Largest datagram that is read.
const DATAGRAM: usize = 2048;

/// Datagrams that may wait for one client.
const WAITING: usize = 256;

/// The ways to clients with such a connection.
#[derive(Debug, Default)]
pub(super) struct Writers {
    by_address: Mutex<HashMap<SocketAddr, mpsc::Sender<Bytes>>>,
}

impl Writers {
    /// Sends one datagram, or drops it when too many wait.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let Ok(length) = u16::try_from(datagram.len()) else { return };
        let writers = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = writers.get(&to) else { return };
        let mut framed = Vec::with_capacity(2 + datagram.len());
        framed.extend(length.to_be_bytes());
        framed.extend_from_slice(datagram);
        let _ = writer.try_send(framed.into());
    }

    fn set(&self, address: SocketAddr, writer: Option<mpsc::Sender<Bytes>>) {
        let mut writers = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match writer {
            Some(writer) => writers.insert(address, writer),
            None => writers.remove(&address),
        };
    }
}

/// Takes connections until it is dropped.
pub(super) async fn accept(listener: TcpListener, routes: Arc<Routes>, writers: Arc<Writers>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
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
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let (routes, writers) = (Arc::clone(&routes), Arc::clone(&writers));
        connections.spawn(async move {
            let _ = serve(stream, source, &routes, &writers).await;
            writers.set(source, None);
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, source: SocketAddr, routes: &Routes, writers: &Writers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let destination = stream.local_addr().ok().map(|address| address.ip().to_canonical());
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::with_capacity(DATAGRAM + 2, reader);
    // Nobody is answered who does not begin with a request for somebody who is here.
    let mut datagram = [0; DATAGRAM];
    let first = next(&mut reader, &mut datagram).await?;
    let (sender, mut waiting) = mpsc::channel::<Bytes>(WAITING);
    writers.set(source, Some(sender));
    if !routes.deliver(Protocol::Tcp, source, destination, &datagram[..first]) {
        return Ok(());
    }
    let writing = async {
        while let Some(datagram) = waiting.recv().await {
            timeout(SILENCE, writer.write_all(&datagram)).await??;
        }
        Ok(())
    };
    let reading = async {
        loop {
            let length = next(&mut reader, &mut datagram).await?;
            routes.deliver(Protocol::Tcp, source, destination, &datagram[..length]);
        }
    };
    tokio::select! {
        ended = writing => ended,
        ended = reading => ended,
    }
}

/// Reads one datagram.
async fn next(reader: &mut BufReader<OwnedReadHalf>, into: &mut [u8]) -> io::Result<usize> {
    timeout(SILENCE, async {
        let length = usize::from(reader.read_u16().await?);
        let place = into.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
        reader.read_exact(place).await
    })
    .await?
}
