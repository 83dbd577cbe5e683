//! The end of a TCP connection that may still be sent to.
//!
//! A system that closes a socket with unread bytes resets the connection, and the reset may overtake what was sent last:
//! the close code of a WebSocket. So an upgraded connection is read on for a moment when it is over, into nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// How long a client may take to close its side.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most bytes that are read into nothing.
const MOST: usize = 4 << 20;

/// Bytes read at a time.
const CHUNK: usize = 4 * 1024;

/// A place that a connection holds until it ends, once it was given one.
pub(super) type Place = Arc<OnceLock<OwnedSemaphorePermit>>;

/// A TCP connection. Once it has a place among the upgraded ones, it keeps that a moment longer than it is used.
#[derive(Debug)]
pub(super) struct Lingering {
    /// There until this is dropped.
    stream: Option<TcpStream>,
    place: Place,
}

impl Lingering {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        Self { stream: Some(stream), place }
    }

    fn poll<T>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.get_mut().stream {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(stream), Some(_)) = (self.stream.take(), self.place.get()) else { return };
        // None: the process ends.
        let Ok(runtime) = Handle::try_current() else { return };
        let place = Place::clone(&self.place);
        runtime.spawn(async move {
            // Whatever comes of it, the connection is over.
            let _ = tokio::time::timeout(PATIENCE, read_out(stream)).await;
            drop(place);
        });
    }
}

async fn read_out(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut nothing = [0; CHUNK];
    let mut read = 0;
    while read < MOST {
        match stream.read(&mut nothing).await? {
            0 => break,
            bytes => read += bytes,
        }
    }
    Ok(())
}

impl AsyncRead for Lingering {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}
