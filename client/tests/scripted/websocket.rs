//! The WebSocket side of the scripted edge.

use super::{messages, put};
use atoll_client::Target;
use atoll_proto::atoll::{ClientMessage, OrderedMessage, client_message, server_message};
use atoll_proto::channel::{Channel, join, split};
use atoll_proto::framing::{MAX_MESSAGE, take_frame};
use atoll_proto::lanes::MAX_ORDERED_FRAME;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// A TCP port on which guests are let in one after the other.
pub(crate) struct WebSocketEdge {
    listener: TcpListener,
}

/// One client, seen from the edge.
pub(crate) struct Guest {
    stream: WebSocketStream<TcpStream>,
    /// The path and the subprotocol asked for.
    pub(crate) request: (String, String),
    channels: [BytesMut; 3],
    datagrams: VecDeque<Bytes>,
}

impl WebSocketEdge {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn target(&self) -> Target {
        Target::websocket(&format!("ws://{}", self.listener.local_addr().unwrap())).unwrap()
    }

    /// The next client.
    #[allow(clippy::result_large_err, reason = "the callback's type is the library's")]
    pub(crate) async fn guest(&self) -> Guest {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut asked = (String::new(), String::new());
        let answer = |request: &Request, mut response: Response| {
            let protocol = &request.headers()["sec-websocket-protocol"];
            asked = (request.uri().path().to_owned(), protocol.to_str().unwrap().to_owned());
            response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
            Ok(response)
        };
        let stream = tokio_tungstenite::accept_hdr_async(stream, answer).await.unwrap();
        Guest { stream, request: asked, channels: Default::default(), datagrams: VecDeque::new() }
    }

    /// The next client, welcomed after a challenge, with `token` for its session.
    pub(crate) async fn welcomed(&self, address: &str, token: &str) -> Guest {
        let mut guest = self.guest().await;
        let client_message::Message::ChallengeRequest(_) = guest.recv().await else {
            panic!("the first message is no challenge request");
        };
        guest.send(messages::challenge()).await;
        let client_message::Message::Login(_) = guest.recv().await else {
            panic!("the second message is no login");
        };
        guest.send(messages::welcome(address, token, None)).await;
        guest
    }
}

impl Guest {
    /// The next message of the control stream.
    pub(crate) async fn recv(&mut self) -> client_message::Message {
        let frame = self.frame(Channel::Control, MAX_MESSAGE).await;
        let message: ClientMessage = atoll_proto::decode(&frame).unwrap();
        message.message.unwrap()
    }

    pub(crate) async fn send(&mut self, message: server_message::Message) {
        self.send_on(Channel::Control, &messages::framed(message)).await;
    }

    /// The next message of the ordered stream.
    pub(crate) async fn ordered(&mut self) -> OrderedMessage {
        atoll_proto::decode(&self.frame(Channel::Ordered, MAX_ORDERED_FRAME).await).unwrap()
    }

    pub(crate) async fn send_ordered(&mut self, message: OrderedMessage) {
        self.send_on(Channel::Ordered, &put(&message)).await;
    }

    pub(crate) async fn datagram(&mut self) -> Bytes {
        while self.datagrams.is_empty() {
            self.read().await;
        }
        self.datagrams.pop_front().unwrap()
    }

    /// The next frame of a channel.
    pub(crate) async fn frame(&mut self, channel: Channel, limit: usize) -> Bytes {
        loop {
            if let Some(frame) = take_frame(&mut self.channels[channel as usize], limit).unwrap() {
                return frame;
            }
            self.read().await;
        }
    }

    /// The next `length` bytes of a channel.
    pub(crate) async fn bytes(&mut self, channel: Channel, length: usize) -> Bytes {
        while self.channels[channel as usize].len() < length {
            self.read().await;
        }
        self.channels[channel as usize].split_to(length).freeze()
    }

    pub(crate) async fn send_on(&mut self, channel: Channel, bytes: &[u8]) {
        self.send_raw(Message::Binary(join(channel, bytes))).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    pub(crate) async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.stream.send(Message::Close(Some(frame))).await.unwrap();
    }

    /// The code by which the client closed; everything before it is passed over.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.stream.next().await.unwrap().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }

    async fn read(&mut self) {
        let Message::Binary(message) = self.stream.next().await.unwrap().unwrap() else {
            panic!("the client sent another message than a binary one");
        };
        match split(&message).unwrap() {
            (Channel::Datagram, datagram) => self.datagrams.push_back(datagram),
            (channel, bytes) => self.channels[channel as usize].extend_from_slice(&bytes),
        }
    }
}
