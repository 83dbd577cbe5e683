//! One connection at work: what it carries in both directions, until it is over.

use crate::closed::Closed;
use crate::raw::{
    Connection, FrameReader, FrameWriter, ReadError, RecvStream, SendStream, StreamError, Transport, reason,
};
use crate::shared::Shared;
use atoll_proto::atoll::{ClientMessage, LargeHeader, large_header};
use atoll_proto::close::CloseCode;
use atoll_proto::framing::{MAX_MESSAGE, put_frame};
use atoll_proto::lanes::{
    LARGE_STREAM, MAX_LARGE, MAX_LARGE_HEADER, MAX_LARGE_STREAMS, MAX_ORDERED_FRAME, ORDERED_STREAM,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// How long the reason is waited for when a stream broke: the close may be on its way.
const REASON_WAIT: Duration = Duration::from_secs(1);

type Job<'a> = Pin<Box<dyn Future<Output = Closed> + Send + 'a>>;

/// Carries everything of `shared` over `connection` until that is over, and tells why.
///
/// Each job is woken by its own news only.
pub(crate) async fn run(shared: &Shared, connection: Connection) -> Closed {
    let Connection { transport, writer, reader } = connection;
    let readers: [Job<'_>; 3] = [
        Box::pin(read_control(shared, &transport, reader)),
        Box::pin(read_datagrams(shared, &transport)),
        Box::pin(read_streams(shared, &transport)),
    ];
    let writers: [Job<'_>; 3] = [
        Box::pin(write_control(shared, &transport, writer)),
        Box::pin(write_ordered(shared, &transport)),
        Box::pin(write_large(shared, &transport)),
    ];
    let mut readers: FuturesUnordered<_> = readers.into_iter().collect();
    let mut writers: FuturesUnordered<_> = writers.into_iter().collect();
    let why = tokio::select! {
        Some(why) = readers.next() => why,
        Some(why) = writers.next() => why,
        else => Closed::Local,
    };
    // What the edge said before it closed may lie unread; reading ends where that does.
    if matches!(why, Closed::Edge { .. }) {
        let _ = timeout(REASON_WAIT, async { while readers.next().await.is_some() {} }).await;
    }
    let code = if why == Closed::Lagged { CloseCode::TooSlow } else { CloseCode::Malformed };
    transport.close(code, &why.to_string());
    why
}

async fn read_control(shared: &Shared, transport: &Transport, mut reader: FrameReader) -> Closed {
    loop {
        let frame = match reader.frame(MAX_MESSAGE).await {
            Ok(frame) => frame,
            Err(error) => return reason(transport, error).await.into(),
        };
        if let Err(why) = shared.hear(|session, _| session.control(&frame)) {
            return why;
        }
    }
}

async fn read_datagrams(shared: &Shared, transport: &Transport) -> Closed {
    loop {
        match transport.recv_datagram().await {
            Ok(datagram) => shared.hear(|session, _| session.datagram(datagram)),
            Err(why) => return why,
        }
    }
}

/// Reads the ordered stream and the large ones; how many there are at a time is bounded by the transport.
async fn read_streams(shared: &Shared, transport: &Transport) -> Closed {
    let mut open = FuturesUnordered::new();
    let why = loop {
        tokio::select! {
            accepted = transport.accept_uni() => match accepted {
                Ok(stream) => open.push(read_stream(shared, stream)),
                Err(why) => break why,
            },
            Some(read) = open.next() => if let Err(why) = read {
                return why;
            },
        }
    };
    while open.next().await.is_some() {}
    why
}

/// Reads one stream to its end. A stream that breaks is no fault: what was on it comes again.
async fn read_stream(shared: &Shared, stream: RecvStream) -> Result<(), Closed> {
    let mut reader = FrameReader::new(stream);
    let read = async {
        match *reader.bytes(1).await? {
            [ORDERED_STREAM] => loop {
                shared.room().await;
                let frame = reader.frame(MAX_ORDERED_FRAME).await?;
                shared.hear(|session, now| session.ordered(now, &frame))?;
            },
            [LARGE_STREAM] => read_large(shared, &mut reader).await,
            _ => {
                let _ = reader.stream().stop(0);
                Ok(())
            }
        }
    };
    match read.await {
        Ok(()) | Err(Broken::Read(ReadError::Finished | ReadError::Broken(_))) => Ok(()),
        Err(Broken::Read(error @ ReadError::Frame(_))) => Err(Closed::Lost(error.to_string())),
        Err(Broken::Protocol(why)) => Err(why),
    }
}

async fn read_large(shared: &Shared, reader: &mut FrameReader) -> Result<(), Broken> {
    let header = reader.frame(MAX_LARGE_HEADER).await?;
    let header: LargeHeader =
        atoll_proto::decode(&header).map_err(|error| Broken::Protocol(Closed::Lost(error.to_string())))?;
    let length = match &header.message {
        Some(large_header::Message::Large(large)) => large.length as usize,
        _ => 0,
    };
    if length > MAX_LARGE {
        return Err(Broken::Protocol(Closed::Lost(format!("a large message of {length} bytes"))));
    }
    shared.room().await;
    let payload = reader.bytes(length).await?;
    shared.hear(|session, now| session.large(now, header, payload))?;
    Ok(())
}

/// Why reading a stream ended.
enum Broken {
    /// By the stream itself.
    Read(ReadError),
    /// By what it carried.
    Protocol(Closed),
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<Closed> for Broken {
    fn from(why: Closed) -> Self {
        Self::Protocol(why)
    }
}

async fn write_control(shared: &Shared, transport: &Transport, mut writer: FrameWriter) -> Closed {
    loop {
        let message = ClientMessage { message: Some(shared.next_control().await) };
        if let Err(error) = writer.send(&message).await {
            return broken(transport, error).await;
        }
    }
}

async fn write_ordered(shared: &Shared, transport: &Transport) -> Closed {
    let first = shared.next_ordered().await;
    let mut stream = match open(transport, ORDERED_STREAM).await {
        Ok(stream) => FrameWriter::new(stream),
        Err(why) => return why,
    };
    let mut message = first;
    loop {
        if let Err(error) = stream.send(&message).await {
            return broken(transport, error).await;
        }
        message = shared.next_ordered().await;
    }
}

async fn write_large(shared: &Shared, transport: &Transport) -> Closed {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            (header, payload) = shared.next_large(), if open.len() < MAX_LARGE_STREAMS => {
                open.push(send_large(transport, header, payload));
            }
            Some(sent) = open.next() => if let Err(why) = sent {
                return why;
            },
        }
    }
}

async fn send_large(transport: &Transport, header: LargeHeader, payload: Bytes) -> Result<(), Closed> {
    let mut stream = transport.open_uni().await?;
    let mut bytes = BytesMut::new();
    bytes.put_u8(LARGE_STREAM);
    put_frame(&header, &mut bytes);
    let sending = async {
        stream.write_all(&bytes).await?;
        stream.write_all(&payload).await?;
        stream.finish()
    };
    match sending.await {
        Ok(()) => Ok(()),
        Err(error) => Err(broken(transport, error).await),
    }
}

async fn open(transport: &Transport, kind: u8) -> Result<SendStream, Closed> {
    let mut stream = transport.open_uni().await?;
    match stream.write_all(&[kind]).await {
        Ok(()) => Ok(stream),
        Err(error) => Err(broken(transport, error).await),
    }
}

/// What it means that a stream cannot be written: the end of the connection, if it follows soon.
async fn broken(transport: &Transport, error: StreamError) -> Closed {
    match timeout(REASON_WAIT, transport.closed()).await {
        Ok(why) => why,
        Err(_) => Closed::Lost(error.to_string()),
    }
}
