//! The task of a WebSocket: carries messages both ways until one side closes or goes silent.

use super::incoming::Incoming;
use super::streams::RecvStream;
use super::{Closing, Datagrams, WAITING, WebSocket, lock};
use crate::closed::Closed;
use atoll_proto::close::CloseCode;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as FrameCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long the edge is given to answer a close.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long the reason is looked for in what the edge sent before sending failed.
const REASON_WAIT: Duration = Duration::from_secs(1);

/// Streams of the edge that may wait to be accepted.
const STREAMS: usize = 4;

/// What waits to be sent, most urgent first: control, datagrams, ordered, large.
struct Outgoing {
    control: mpsc::Receiver<Message>,
    ordered: mpsc::Receiver<Message>,
    large: mpsc::Receiver<Message>,
    datagrams: Arc<Datagrams>,
}

/// Carries messages for the handle returned. `idle` without any message is a loss; `leaving` tells when the door closes.
pub(super) fn start<S>(stream: WebSocketStream<S>, idle: Duration, leaving: watch::Receiver<bool>) -> WebSocket
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let datagrams = Arc::new(Datagrams::default());
    let (control, control_queue) = mpsc::channel(WAITING);
    let (ordered, ordered_queue) = mpsc::channel(WAITING);
    let (large, large_queue) = mpsc::channel(WAITING);
    let (opened, streams) = mpsc::channel(STREAMS);
    let (closing, closing_told) = watch::channel(None);
    let (ended, ended_told) = watch::channel(None);
    let (incoming, control_stream) = Incoming::new(opened, datagrams.clone());
    let outgoing =
        Outgoing { control: control_queue, ordered: ordered_queue, large: large_queue, datagrams: datagrams.clone() };
    tokio::spawn(async move {
        let why = pump(stream, idle, incoming, outgoing, closing_told, leaving).await;
        ended.send_replace(Some(why));
    });
    let control_stream: Mutex<Option<RecvStream>> = Mutex::new(Some(control_stream));
    WebSocket {
        control,
        ordered,
        large,
        large_turn: Arc::new(Semaphore::new(1)),
        datagrams,
        control_stream: Arc::new(control_stream),
        streams: Arc::new(tokio::sync::Mutex::new(streams)),
        closing,
        ended: ended_told,
    }
}

async fn pump<S: AsyncRead + AsyncWrite + Unpin>(
    stream: WebSocketStream<S>,
    idle: Duration,
    mut incoming: Incoming,
    mut outgoing: Outgoing,
    closing: watch::Receiver<Option<Closing>>,
    leaving: watch::Receiver<bool>,
) -> Closed {
    let (mut sink, mut source) = stream.split();
    let end = tokio::select! {
        end = receive(&mut source, &mut incoming, idle) => end,
        error = send(&mut sink, &mut outgoing) => End::Broken(error),
        closing = asked_to_close(closing, leaving) => End::Close(closing, Closed::Local),
    };
    match end {
        End::Over(why) => why,
        End::Told(frame) => {
            // Its answer is on its way once the source is asked again.
            let _ = timeout(FAREWELL, source.next()).await;
            closed(frame)
        }
        End::Broken(error) => match timeout(REASON_WAIT, receive(&mut source, &mut incoming, idle)).await {
            Ok(End::Told(frame)) => closed(frame),
            _ => lost(error),
        },
        End::Close(closing, why) => {
            let farewell = async {
                sink.send(Message::Close(Some(frame(&closing)))).await?;
                while source.next().await.transpose()?.is_some() {}
                Ok::<_, Error>(())
            };
            // Whether the edge hears it or not, this side is done.
            let _ = timeout(FAREWELL, farewell).await;
            why
        }
    }
}

enum End {
    /// The connection is over.
    Over(Closed),
    /// The edge closed it.
    Told(Option<CloseFrame>),
    /// Nothing can be sent any more.
    Broken(Error),
    /// This side closes it.
    Close(Closing, Closed),
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    source: &mut SplitStream<WebSocketStream<S>>,
    incoming: &mut Incoming,
    idle: Duration,
) -> End {
    loop {
        let malformed = match timeout(idle, source.next()).await {
            Err(_) => return End::Over(Closed::TimedOut),
            Ok(None) => return End::Over(Closed::Lost("the WebSocket ended without a close".to_owned())),
            Ok(Some(Err(error))) => return End::Over(lost(error)),
            Ok(Some(Ok(Message::Close(frame)))) => return End::Told(frame),
            Ok(Some(Ok(Message::Binary(message)))) => match incoming.message(&message).await {
                Ok(()) => continue,
                Err(error) => error.to_string(),
            },
            Ok(Some(Ok(Message::Text(_)))) => "a text message".to_owned(),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => continue,
        };
        let closing = Closing { code: CloseCode::Malformed, reason: malformed.clone() };
        return End::Close(closing, Closed::Lost(malformed));
    }
}

/// Sends what waits until that fails. With nobody left to add something it waits for ever.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    outgoing: &mut Outgoing,
) -> Error {
    loop {
        let message = outgoing.next().await;
        if let Err(error) = sink.send(message).await {
            return error;
        }
    }
}

impl Outgoing {
    async fn next(&mut self) -> Message {
        loop {
            let to_send = self.datagrams.to_send.notified();
            tokio::select! {
                biased;
                Some(message) = self.control.recv() => return message,
                // Taken when the branch is looked at, and not before: what is taken is sent.
                Some(datagram) = async { lock(&self.datagrams.outgoing).pop() } => return Message::Binary(datagram),
                () = to_send => {}
                Some(message) = self.ordered.recv() => return message,
                Some(message) = self.large.recv() => return message,
            }
        }
    }
}

async fn asked_to_close(mut closing: watch::Receiver<Option<Closing>>, mut leaving: watch::Receiver<bool>) -> Closing {
    let done = || Closing { code: CloseCode::Closed, reason: String::new() };
    tokio::select! {
        asked = closing.wait_for(Option::is_some) => {
            // Every handle gone is a close, too.
            asked.ok().and_then(|asked| asked.clone()).unwrap_or_else(done)
        }
        () = async {
            if leaving.wait_for(|leaving| *leaving).await.is_err() {
                // A door that is dropped leaves its connections alone.
                std::future::pending::<()>().await;
            }
        } => done(),
    }
}

fn frame(closing: &Closing) -> CloseFrame {
    let code = match closing.code {
        CloseCode::Closed => FrameCode::Normal,
        other => FrameCode::from(u16::try_from(other.code()).unwrap_or(1000)),
    };
    // A close frame carries at most 123 bytes of text.
    let reason: String = closing.reason.chars().take(30).collect();
    CloseFrame { code, reason: reason.into() }
}

/// 1000 stands for 0. A close without a code says nothing.
fn closed(frame: Option<CloseFrame>) -> Closed {
    let Some(frame) = frame else {
        return Closed::Lost("the WebSocket was closed without a code".to_owned());
    };
    let code = match u16::from(frame.code) {
        1000 => 0,
        code => code.into(),
    };
    Closed::Edge { code, reason: frame.reason.to_string() }
}

fn lost(error: Error) -> Closed {
    Closed::Lost(error.to_string())
}
