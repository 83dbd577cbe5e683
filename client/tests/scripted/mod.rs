//! The smallest edge that follows the protocol: a test tells it what to say, line by line.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod messages;
pub(crate) mod websocket;

use atoll_client::{CertificateDigest, Options, Target, Way};
use atoll_proto::atoll::{ClientMessage, OrderedMessage, client_message, server_message};
use atoll_proto::framing::{MAX_MESSAGE, put_frame, take_frame};
use atoll_proto::lanes::{MAX_ORDERED_FRAME, ORDERED_STREAM};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;
use web_transport_quinn::proto::ConnectResponse;
use web_transport_quinn::{RecvStream, Request, SendStream, Session};

pub(crate) const CHALLENGE: &str = "dcl-scripted-00112233445566778899aabbccddeeff";
pub(crate) const TAG: u32 = 0x0102_0304;
pub(crate) const OWN: u32 = 1;
pub(crate) const NEIGHBOUR: u32 = 2;
pub(crate) const NEIGHBOUR_NAME: &str = "0x00000000000000000000000000000000000000bb";

/// A UDP port on which visitors are let in one after the other.
pub(crate) struct Edge {
    endpoint: quinn::Endpoint,
    digest: CertificateDigest,
}

/// One client, seen from the edge.
pub(crate) struct Visitor {
    pub(crate) session: Session,
    /// The path and the subprotocols asked for, when it came by WebTransport.
    pub(crate) request: Option<(String, Vec<String>)>,
    send: SendStream,
    receive: RecvStream,
    buffer: BytesMut,
    /// The client's ordered stream, once it was accepted.
    ordered: Option<(RecvStream, BytesMut)>,
}

/// A message behind its length.
pub(crate) fn put(message: &impl prost::Message) -> Bytes {
    let mut frame = BytesMut::new();
    put_frame(message, &mut frame);
    frame.freeze()
}

impl Edge {
    pub(crate) fn start() -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into())
            .unwrap();
        tls.alpn_protocols = vec![b"h3".to_vec(), b"atoll/1".to_vec()];
        let config = QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(config));
        let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let digest = digest(&SHA256, cert.der());
        Self { endpoint, digest: CertificateDigest(digest.as_ref().try_into().unwrap()) }
    }

    pub(crate) fn target(&self, way: Way) -> Target {
        Target::parse(&self.endpoint.local_addr().unwrap().to_string(), way).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        Options::pinned(self.digest)
    }

    /// The next client, as soon as it opened its control stream and said something.
    pub(crate) async fn visitor(&self) -> Visitor {
        let (session, request) = self.session().await;
        let (send, receive) = session.accept_bi().await.unwrap();
        Visitor { session, request, send, receive, buffer: BytesMut::new(), ordered: None }
    }

    /// The next attempt to connect, which the client gives up.
    pub(crate) async fn attempt(&self) {
        self.endpoint.accept().await.unwrap().await.unwrap_err();
    }

    /// The next client, whatever it says. Attempts that were given up are passed over.
    pub(crate) async fn session(&self) -> (Session, Option<(String, Vec<String>)>) {
        let connection = loop {
            if let Ok(connection) = self.endpoint.accept().await.unwrap().await {
                break connection;
            }
        };
        let handshake = connection.handshake_data().unwrap().downcast::<HandshakeData>().unwrap();
        if handshake.protocol.as_deref() == Some(b"atoll/1") {
            return (Session::raw(connection), None);
        }
        let request = Request::accept(connection).await.unwrap();
        let asked = (request.url.path().to_owned(), request.protocols.clone());
        let response = match asked.1.first() {
            Some(protocol) => ConnectResponse::OK.with_protocol(protocol.clone()),
            None => ConnectResponse::OK,
        };
        (request.respond(response).await.unwrap(), Some(asked))
    }
}

impl Visitor {
    pub(crate) async fn recv(&mut self) -> client_message::Message {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, MAX_MESSAGE).unwrap() {
                let message: ClientMessage = atoll_proto::decode(&frame).unwrap();
                return message.message.unwrap();
            }
            let mut bytes = [0; 4096];
            let length = self.receive.read(&mut bytes).await.unwrap().unwrap();
            self.buffer.extend_from_slice(&bytes[..length]);
        }
    }

    pub(crate) async fn send(&mut self, message: server_message::Message) {
        self.send.write_all(&messages::framed(message)).await.unwrap();
    }

    /// Hands out the challenge and returns the auth chain that comes back.
    pub(crate) async fn challenge(&mut self) -> String {
        let client_message::Message::ChallengeRequest(_) = self.recv().await else {
            panic!("the first message is no challenge request");
        };
        self.send(messages::challenge()).await;
        let client_message::Message::Login(login) = self.recv().await else {
            panic!("the second message is no login");
        };
        login.signed_challenge.unwrap().auth_chain_json
    }

    pub(crate) async fn welcome(&mut self, address: &str) {
        self.send(messages::welcome(address, "", None)).await;
    }

    pub(crate) async fn seat(&mut self, address: &str) {
        self.send(messages::seat(address)).await;
    }

    /// The next message of the client's ordered stream, which is its first unidirectional one.
    pub(crate) async fn ordered(&mut self) -> OrderedMessage {
        if self.ordered.is_none() {
            let mut stream = self.session.accept_uni().await.unwrap();
            let mut kind = [0];
            stream.read_exact(&mut kind).await.unwrap();
            assert_eq!(kind, [ORDERED_STREAM]);
            self.ordered = Some((stream, BytesMut::new()));
        }
        let (stream, buffer) = self.ordered.as_mut().unwrap();
        loop {
            if let Some(frame) = take_frame(buffer, MAX_ORDERED_FRAME).unwrap() {
                return atoll_proto::decode(&frame).unwrap();
            }
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap().unwrap();
            buffer.extend_from_slice(&bytes[..length]);
        }
    }

    /// Opens a stream of the edge that begins with `bytes`.
    pub(crate) async fn open_stream(&self, bytes: &[u8]) -> SendStream {
        let mut stream = self.session.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}
