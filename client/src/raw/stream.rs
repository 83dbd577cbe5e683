//! Streams of either way in.

/// The sending half of a stream. Dropping it finishes the stream.
#[derive(Debug)]
pub struct SendStream(pub(super) Send);

/// The receiving half of a stream.
#[derive(Debug)]
pub struct RecvStream(pub(super) Recv);

#[derive(Debug)]
pub(super) enum Send {
    WebTransport(wtransport::SendStream),
    Quic(quinn::SendStream),
}

#[derive(Debug)]
pub(super) enum Recv {
    WebTransport(wtransport::RecvStream),
    Quic(quinn::RecvStream),
}

impl SendStream {
    /// The QUIC stream, to write, finish or reset. On WebTransport its header was sent already.
    pub fn quic(&mut self) -> &mut quinn::SendStream {
        match &mut self.0 {
            Send::WebTransport(stream) => stream.quic_stream_mut(),
            Send::Quic(stream) => stream,
        }
    }
}

impl RecvStream {
    /// The QUIC stream, to read or stop.
    pub fn quic(&mut self) -> &mut quinn::RecvStream {
        match &mut self.0 {
            Recv::WebTransport(stream) => stream.quic_stream_mut(),
            Recv::Quic(stream) => stream,
        }
    }
}
