//! A server for the remote procedure calls of the npm package `@dcl/rpc`, as explorers have spoken them since 2022.
//!
//! A [`Service`] says what its ports offer; a [`Connection`] turns a client's frames into calls of it and the results
//! into frames. There is no socket here: whoever owns one feeds [`Connection::receive`] and writes what
//! [`Connection::next_output`] gives before the next one. What waits to be written is then an answer to the last frame, and
//! items of streams: at most 256 KiB and one item more. An item is held until its frame is dropped, so that a service whose items
//! share a budget counts them until they are written.
//!
//! Numbered ports hold numbered procedures: ids count over all modules of a port in the order in which they were
//! loaded. Streams go item by item: each waits for the acknowledgement of the one before. Not every word of the protocol
//! is in use: error codes are always 0, and the port id in stream frames is ignored.

mod arguments;
mod calls;
mod connection;
mod ports;
mod tally;
mod wire;

pub use arguments::Arguments;
pub use connection::{Connection, Output, PortIds, Violation};
pub use tally::Tally;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

/// A module: what is asked for by its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    /// The bare name of the service.
    pub name: &'static str,
    /// Its procedures, in the order of the service's definition.
    pub procedures: &'static [&'static str],
}

/// A port of this connection, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u32);

/// Something went wrong in a call, in words for the client. An empty text becomes "Error processing the request".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// The result of a call.
pub struct Answer {
    /// The encoded result.
    pub payload: Bytes,
    /// What happens once the result is written, and not before.
    pub afterwards: Option<Box<dyn FnOnce() + Send>>,
}

impl From<Bytes> for Answer {
    fn from(payload: Bytes) -> Self {
        Self { payload, afterwards: None }
    }
}

/// A call under way.
pub enum Call {
    /// It gives one result.
    Unary(BoxFuture<'static, Result<Answer, CallError>>),
    /// It gives a stream of results. The stream is first asked when the client has taken up the offer, and dropped when the
    /// client has had enough.
    Stream(BoxStream<'static, Result<Bytes, CallError>>),
}

/// What one connection offers. Calls run side by side; nothing here may block.
pub trait Service: Send {
    /// A client asks for a port.
    ///
    /// # Errors
    /// A [`CallError`]: there will be no port.
    fn create_port(&mut self, port: PortId, name: &str) -> Result<(), CallError>;

    /// Whether the service has closed a port. The client is not told: its next frame for the port finds none.
    fn is_closed(&self, port: PortId) -> bool {
        let _ = port;
        false
    }

    /// What a port offers under this name now. A module once loaded stays, whatever this says later.
    fn module(&mut self, port: PortId, name: &str) -> Option<&'static Module>;

    /// A client calls `procedure` of `module`. `arguments` is the client's stream, empty when there is none.
    fn call(
        &mut self,
        port: PortId,
        module: &'static Module,
        procedure: &'static str,
        payload: Bytes,
        arguments: Arguments,
    ) -> Call;

    /// A port is gone: the client gave it up, or the service closed it. Calls under way go on. Not called when the connection ends.
    fn port_closed(&mut self, port: PortId);
}
