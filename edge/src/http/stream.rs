//! One TCP connection, with TLS or without.

use super::lingering::{Lingering, Place};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of every TLS connection: a handshake record. No HTTP request begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection that speaks HTTP, and what it may become.
pub(super) struct Stream {
    transport: Transport,
}

enum Transport {
    Plain(Lingering),
    Tls(Box<TlsStream<Lingering>>),
}

/// Why a connection did not come to speak HTTP.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArrivalError {
    /// It said nothing, or did not finish its handshake in time.
    #[error("silence")]
    Silence,
    /// It ended, or its handshake failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Tells TLS from plain HTTP by the first byte, and shakes hands. `silence` bounds each of the two. A place that is given
/// is held until the connection ends, whatever it has been upgraded to by then.
pub(super) async fn arrive(
    stream: TcpStream,
    tls: &TlsAcceptor,
    silence: Duration,
    place: Place,
) -> Result<Stream, ArrivalError> {
    let mut first = [0];
    let peeked = tokio::time::timeout(silence, stream.peek(&mut first)).await.map_err(|_| ArrivalError::Silence)??;
    let stream = Lingering::new(stream, place);
    let transport = if peeked == 1 && first[0] == TLS_HANDSHAKE {
        let handshake = tokio::time::timeout(silence, tls.accept(stream));
        Transport::Tls(Box::new(handshake.await.map_err(|_| ArrivalError::Silence)??))
    } else {
        Transport::Plain(stream)
    };
    Ok(Stream { transport })
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
