//! A kernel of 2022 and 2023, by hand: remote procedure calls of the BFF, in order or out of it.

use crate::websocket::{Closed, Origin, WebSocket};
use crate::within;
use anyhow::{Context, bail};
use atoll_client::Wallet;
use atoll_proto::bff::{
    GetChallengeRequest, GetChallengeResponse, PeerTopicSubscriptionResultElem, PublishToTopicRequest, SignedChallenge,
    Subscription, SubscriptionRequest, WelcomePeerInformation,
};
use atoll_proto::rpc::{
    CreatePort, CreatePortResponse, DestroyPort, RemoteError, Request, RequestModule, RequestModuleResponse, Response,
    RpcMessageHeader, StreamMessage,
};
use bytes::Bytes;
use prost::Message;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

const REQUEST: u32 = 1;
const RESPONSE: u32 = 2;
const STREAM_MESSAGE: u32 = 3;
const STREAM_ACK: u32 = 4;
const CREATE_PORT: u32 = 5;
const REQUEST_MODULE: u32 = 7;
const ERROR: u32 = 9;
const DESTROY_PORT: u32 = 10;

/// One socket with one port, and what was loaded into it.
pub struct Kernel {
    /// The socket below.
    pub socket: WebSocket,
    number: u32,
    port: u32,
    procedures: BTreeMap<String, u32>,
    /// Frames that came while another was waited for.
    waiting: VecDeque<Bytes>,
}

/// A failed call, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// An item of a stream, or its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Counts from 1; 0 is the offer.
    pub sequence: u32,
    /// What it holds.
    pub payload: Vec<u8>,
    /// The stream is over.
    pub closed: bool,
}

impl Kernel {
    /// A socket with a port in which authentication is loaded, as a client that offers `bff`.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn connect(http: &str) -> anyhow::Result<Self> {
        Self::connect_as(http, "bff", Origin::default()).await
    }

    /// [`Kernel::connect`] with another subprotocol, from somewhere.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn connect_as(http: &str, subprotocol: &str, origin: Origin) -> anyhow::Result<Self> {
        let socket = WebSocket::open(http, "/rpc", subprotocol, origin).await?;
        let mut kernel = Self { socket, number: 0, port: 0, procedures: BTreeMap::new(), waiting: VecDeque::new() };
        kernel.open_port().await?;
        Ok(kernel)
    }

    /// Makes another port and uses it from now on.
    ///
    /// # Errors
    /// When there is none.
    pub async fn open_port(&mut self) -> anyhow::Result<()> {
        self.procedures.clear();
        let number = self.next_number();
        let port_name = "kernel".to_owned();
        self.send(&CreatePort { message_identifier: identifier(CREATE_PORT, number), port_name }).await?;
        self.port = CreatePortResponse::decode(self.frame_of(number).await?)?.port_id;
        self.load("BffAuthenticationService").await
    }

    /// Gives the port up; there is no answer.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn close_port(&mut self) -> anyhow::Result<()> {
        self.send(&DestroyPort { message_identifier: identifier(DESTROY_PORT, 0), port_id: self.port }).await
    }

    /// Loads a module.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn load(&mut self, module: &str) -> anyhow::Result<()> {
        let number = self.next_number();
        let message_identifier = identifier(REQUEST_MODULE, number);
        let module_name = module.to_owned();
        self.send(&RequestModule { message_identifier, port_id: self.port, module_name }).await?;
        let frame = self.frame_of(number).await?;
        if let Some(refused) = refused(&frame) {
            bail!(refused);
        }
        for procedure in RequestModuleResponse::decode(frame)?.procedures {
            self.procedures.insert(format!("{module}.{}", procedure.procedure_name), procedure.procedure_id);
        }
        Ok(())
    }

    /// Begins a call of a `Module.Procedure`; the number that its answers carry.
    ///
    /// # Errors
    /// When it was not loaded, or the socket has ended.
    pub async fn begin(&mut self, procedure: &str, argument: &impl Message) -> anyhow::Result<u32> {
        let procedure_id = *self.procedures.get(procedure).with_context(|| format!("{procedure} is not loaded"))?;
        let number = self.next_number();
        let message_identifier = identifier(REQUEST, number);
        let payload = argument.encode_to_vec();
        self.send(&Request { message_identifier, port_id: self.port, procedure_id, client_stream: 0, payload }).await?;
        Ok(number)
    }

    /// The answer of a call.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn answer<R: Message + Default>(&mut self, number: u32) -> anyhow::Result<R> {
        let frame = self.frame_of(number).await?;
        if let Some(refused) = refused(&frame) {
            bail!(refused);
        }
        anyhow::ensure!(kind(&frame) == RESPONSE, "a response is due");
        Ok(R::decode(&Response::decode(frame)?.payload[..])?)
    }

    /// Calls a procedure.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn call<R: Message + Default>(&mut self, procedure: &str, argument: &impl Message) -> anyhow::Result<R> {
        let number = self.begin(procedure, argument).await?;
        self.answer(number).await
    }

    /// The next item of a stream.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn item(&mut self, number: u32) -> anyhow::Result<Item> {
        let frame = self.frame_of(number).await?;
        if let Some(refused) = refused(&frame) {
            bail!(refused);
        }
        anyhow::ensure!(kind(&frame) == STREAM_MESSAGE, "an item is due");
        let StreamMessage { sequence_id: sequence, payload, closed, .. } = StreamMessage::decode(frame)?;
        Ok(Item { sequence, payload, closed })
    }

    /// Acknowledges an item, or the offer of a stream.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn acknowledge(&mut self, number: u32, sequence_id: u32) -> anyhow::Result<()> {
        let message_identifier = identifier(STREAM_ACK, number);
        let ack =
            StreamMessage { message_identifier, port_id: self.port, sequence_id, ack: true, ..Default::default() };
        self.send(&ack).await
    }

    /// Takes up a stream: waits for the offer and acknowledges it.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn take_up(&mut self, number: u32) -> anyhow::Result<()> {
        let offer = self.item(number).await?;
        anyhow::ensure!(offer.sequence == 0 && !offer.closed, "an offer is due: {offer:?}");
        self.acknowledge(number, 0).await
    }

    /// The next item of a stream that was taken up, acknowledged.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn heard(&mut self, number: u32) -> anyhow::Result<Vec<u8>> {
        let item = self.item(number).await?;
        anyhow::ensure!(!item.closed, "the stream is over");
        self.acknowledge(number, item.sequence).await?;
        Ok(item.payload)
    }

    /// The text to sign.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn challenge(&mut self, address: &str) -> anyhow::Result<String> {
        let address = address.to_owned();
        let request = GetChallengeRequest { address };
        let answer: GetChallengeResponse = self.call("BffAuthenticationService.GetChallenge", &request).await?;
        Ok(answer.challenge_to_sign)
    }

    /// Shows an auth chain; the peer that one is then.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn authenticate(&mut self, auth_chain_json: &str) -> anyhow::Result<String> {
        let signed = SignedChallenge { auth_chain_json: auth_chain_json.to_owned() };
        let welcome: WelcomePeerInformation = self.call("BffAuthenticationService.Authenticate", &signed).await?;
        Ok(welcome.peer_id)
    }

    /// Logs in and loads both services of topics.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn log_in(&mut self, wallet: &Wallet) -> anyhow::Result<()> {
        let challenge = self.challenge(&wallet.address().to_string()).await?;
        self.authenticate(&wallet.sign(&challenge, in_an_hour())).await?;
        self.load("CommsService").await?;
        self.load("TopicsService").await
    }

    /// A kernel with a wallet of its own, logged in.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn logged_in(http: &str) -> Self {
        let mut kernel = Self::connect(http).await.expect("a socket");
        let wallet = Wallet::random().expect("random numbers");
        within("a login", kernel.log_in(&wallet)).await.expect("a login");
        kernel
    }

    /// Publishes.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn publish(&mut self, topic: &str, payload: Vec<u8>) -> anyhow::Result<()> {
        let request = PublishToTopicRequest { topic: topic.to_owned(), payload };
        self.call::<()>("CommsService.PublishToTopic", &request).await
    }

    /// Subscribes to what peers publish by `CommsService`, and asks for it: the number of the stream, whose offer is still
    /// to come.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn subscribe(&mut self, topic: &str) -> anyhow::Result<u32> {
        let request = SubscriptionRequest { topic: topic.to_owned() };
        let subscription: Subscription = self.call("CommsService.SubscribeToPeerMessages", &request).await?;
        self.begin("CommsService.GetPeerMessages", &subscription).await
    }

    /// [`Kernel::subscribe`], taken up.
    ///
    /// # Errors
    /// [`Refused`], or the end of the socket.
    pub async fn listen(&mut self, topic: &str) -> anyhow::Result<u32> {
        let number = self.subscribe(topic).await?;
        self.take_up(number).await?;
        Ok(number)
    }

    /// What a peer published, from a stream that was taken up.
    ///
    /// # Panics
    /// When nothing comes.
    pub async fn message(&mut self, number: u32) -> PeerTopicSubscriptionResultElem {
        let item = within("a message", self.heard(number)).await.expect("a message");
        PeerTopicSubscriptionResultElem::decode(&item[..]).expect("readable")
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn send(&mut self, frame: &impl Message) -> anyhow::Result<()> {
        self.socket.send(frame.encode_to_vec()).await
    }

    async fn frame_of(&mut self, number: u32) -> anyhow::Result<Bytes> {
        if let Some(at) = self.waiting.iter().position(|frame| number_of(frame) == number) {
            return self.waiting.remove(at).context("it is there");
        }
        loop {
            let frame = self
                .socket
                .next()
                .await
                .map_err(|Closed { code, reason }| anyhow::anyhow!("the socket was closed: {code:?} {reason}"))?;
            if number_of(&frame) == number {
                return Ok(frame);
            }
            self.waiting.push_back(frame);
        }
    }

    fn next_number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }
}

/// When auth chains of tests end.
pub fn in_an_hour() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

/// The error of a call that failed.
///
/// # Panics
/// When it did not, or otherwise than by the server's words.
pub fn words<T: std::fmt::Debug>(result: anyhow::Result<T>) -> String {
    let error = result.expect_err("the call fails");
    error.downcast_ref::<Refused>().unwrap_or_else(|| panic!("the server's words: {error}")).0.clone()
}

fn refused(frame: &Bytes) -> Option<Refused> {
    let error = RemoteError::decode(frame.clone()).ok().filter(|_| kind(frame) == ERROR)?;
    Some(Refused(error.error_message))
}

fn identifier(kind: u32, number: u32) -> u32 {
    kind << 27 | number
}

fn header(frame: &Bytes) -> u32 {
    RpcMessageHeader::decode(frame.clone()).map_or(0, |header| header.message_identifier)
}

fn kind(frame: &Bytes) -> u32 {
    header(frame) >> 27
}

fn number_of(frame: &Bytes) -> u32 {
    header(frame) & ((1 << 27) - 1)
}
