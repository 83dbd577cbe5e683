//! The frames of remote procedure calls ([`crate::rpc`]): what a client may send, what a server answers.
//!
//! One WebSocket message is one frame. Its first field says what it is and which call it belongs to.

use crate::rpc::{
    CreatePort, CreatePortResponse, DestroyPort, ModuleProcedure, RemoteError, Request, RequestModule,
    RequestModuleResponse, Response, RpcMessageHeader, StreamMessage,
};
use crate::{DecodeError, decode};
use bytes::Bytes;
use prost::Message as _;

/// Tells the calls of one connection apart: 27 bits, chosen by the client. 0 where there is nothing to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u32);

/// A frame from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromClient {
    /// Asks for a port with this name.
    CreatePort {
        /// Which frame answers it.
        number: Number,
        /// Any text.
        name: String,
    },
    /// Asks for the procedures of a module.
    RequestModule {
        /// Which frame answers it.
        number: Number,
        /// The port.
        port: u32,
        /// The bare name of a service.
        name: String,
    },
    /// Calls a procedure.
    Request {
        /// Which frames answer it.
        number: Number,
        /// The port.
        port: u32,
        /// The procedure, as the module's answer numbered it.
        procedure: u32,
        /// The stream that carries the arguments, if one does.
        arguments: Option<Number>,
        /// The argument, otherwise.
        payload: Bytes,
    },
    /// An item, an acknowledgement or the end of a stream.
    Stream {
        /// The stream: of the request it answers, or of its own.
        number: Number,
        /// What is sent, acknowledged or last.
        item: StreamItem,
    },
    /// Gives a port up.
    DestroyPort {
        /// The port.
        port: u32,
    },
}

/// What one frame of a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamItem {
    /// Counts the items from 1; 0 is the offer of a stream.
    pub sequence: u32,
    /// The item.
    pub payload: Bytes,
    /// The stream is over.
    pub closed: bool,
    /// The item with this sequence was taken, and the next may come.
    pub ack: bool,
}

/// A frame that no client may send; the original ends the connection then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is no such message.
    #[error("an undecodable frame: {0}")]
    Undecodable(#[from] DecodeError),
    /// A type that only servers send, or that nobody does.
    #[error("a frame of type {0}, which no client sends")]
    Type(u32),
}

/// A frame to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToClient {
    /// The first frame of a connection.
    Ready,
    /// A port was made.
    PortCreated {
        /// Of the question.
        number: Number,
        /// The port.
        port: u32,
    },
    /// The procedures of a module.
    Module {
        /// Of the question.
        number: Number,
        /// The port.
        port: u32,
        /// The number and name of each.
        procedures: Vec<(u32, &'static str)>,
    },
    /// The result of a call.
    Response {
        /// Of the call.
        number: Number,
        /// The result.
        payload: Bytes,
    },
    /// A call failed.
    Error {
        /// Of the call.
        number: Number,
        /// For a person to read; clients show it.
        message: String,
    },
    /// Offers a stream, or carries an item of it or its end.
    Stream {
        /// The stream.
        number: Number,
        /// The port.
        port: u32,
        /// What it says.
        item: StreamItem,
    },
}

const REQUEST: u32 = 1;
const RESPONSE: u32 = 2;
const STREAM_MESSAGE: u32 = 3;
const STREAM_ACK: u32 = 4;
const CREATE_PORT: u32 = 5;
const CREATE_PORT_RESPONSE: u32 = 6;
const REQUEST_MODULE: u32 = 7;
const REQUEST_MODULE_RESPONSE: u32 = 8;
const REMOTE_ERROR: u32 = 9;
const DESTROY_PORT: u32 = 10;
const SERVER_READY: u32 = 11;

/// Where the type begins in a message identifier.
const NUMBER_BITS: u32 = 27;

impl FromClient {
    /// Reads one frame.
    ///
    /// # Errors
    /// A [`FrameError`]; the connection should end.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let header: RpcMessageHeader = decode(frame)?;
        let (kind, number) = split(header.message_identifier);
        Ok(match kind {
            CREATE_PORT => Self::CreatePort { number, name: decode::<CreatePort>(frame)?.port_name },
            REQUEST_MODULE => {
                let RequestModule { port_id: port, module_name: name, .. } = decode(frame)?;
                Self::RequestModule { number, port, name }
            }
            REQUEST => {
                let request: Request = decode(frame)?;
                let arguments = Some(Number(request.client_stream)).filter(|stream| stream.0 != 0);
                let (port, procedure) = (request.port_id, request.procedure_id);
                Self::Request { number, port, procedure, arguments, payload: request.payload.into() }
            }
            STREAM_MESSAGE | STREAM_ACK => {
                let StreamMessage { sequence_id: sequence, payload, closed, ack, .. } = decode(frame)?;
                Self::Stream { number, item: StreamItem { sequence, payload: payload.into(), closed, ack } }
            }
            DESTROY_PORT => Self::DestroyPort { port: decode::<DestroyPort>(frame)?.port_id },
            other => return Err(FrameError::Type(other)),
        })
    }
}

impl ToClient {
    /// The frame in bytes.
    pub fn encode(self) -> Bytes {
        let bytes = match self {
            Self::Ready => RpcMessageHeader { message_identifier: identifier(SERVER_READY, Number(0)) }.encode_to_vec(),
            Self::PortCreated { number, port } => {
                let message_identifier = identifier(CREATE_PORT_RESPONSE, number);
                CreatePortResponse { message_identifier, port_id: port }.encode_to_vec()
            }
            Self::Module { number, port, procedures } => {
                let named = |(id, name): (u32, &str)| ModuleProcedure { procedure_id: id, procedure_name: name.into() };
                let message_identifier = identifier(REQUEST_MODULE_RESPONSE, number);
                let procedures = procedures.into_iter().map(named).collect();
                RequestModuleResponse { message_identifier, port_id: port, procedures }.encode_to_vec()
            }
            Self::Response { number, payload } => {
                let message_identifier = identifier(RESPONSE, number);
                Response { message_identifier, payload: payload.into() }.encode_to_vec()
            }
            Self::Error { number, message } => {
                let message_identifier = identifier(REMOTE_ERROR, number);
                // The original's code is 0 whatever happened.
                RemoteError { message_identifier, error_code: 0, error_message: message }.encode_to_vec()
            }
            Self::Stream { number, port, item } => {
                let StreamItem { sequence, payload, closed, ack } = item;
                let message_identifier = identifier(if ack { STREAM_ACK } else { STREAM_MESSAGE }, number);
                let payload = payload.into();
                StreamMessage { message_identifier, port_id: port, sequence_id: sequence, payload, closed, ack }
                    .encode_to_vec()
            }
        };
        bytes.into()
    }
}

fn split(identifier: u32) -> (u32, Number) {
    ((identifier >> NUMBER_BITS) & 0xf, Number(identifier & ((1 << NUMBER_BITS) - 1)))
}

fn identifier(kind: u32, number: Number) -> u32 {
    (kind << NUMBER_BITS) | (number.0 & ((1 << NUMBER_BITS) - 1))
}
