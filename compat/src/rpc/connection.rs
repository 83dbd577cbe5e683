//! One client's connection: frames in, calls of the service, frames out.

use super::arguments::Arguments;
use super::calls::{fail, run};
use super::ports::Ports;
use super::tally::Tally;
use super::wire::{Outgoing, Wire};
use super::{CallError, PortId, Service};
use atoll_proto::call::{FrameError, FromClient, Number, StreamItem, ToClient};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

/// Calls of one connection that may be under way; every open stream is one. Kernels have a handful.
const MAX_CALLS: usize = 512;

/// Longest name of a port or a module, in bytes.
const MAX_NAME: usize = 256;

/// Gives port ids. They count over all connections of a server, from 1.
#[derive(Debug, Clone, Default)]
pub struct PortIds(Arc<AtomicU32>);

impl PortIds {
    fn next(&self) -> PortId {
        PortId(self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }
}

/// What the client may not do; its connection should be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame that no client sends.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Items of a stream without waiting for their acknowledgement.
    #[error("more items of a stream than were asked for")]
    Flooded,
}

/// Something for the owner of the socket.
pub enum Output {
    /// Bytes of one WebSocket message.
    Frame(Bytes),
    /// To be called once all frames before it are written.
    Then(Box<dyn FnOnce() + Send>),
}

/// One client's connection. Dropping it drops the calls under way.
pub struct Connection<S> {
    service: S,
    wire: Wire,
    ids: PortIds,
    tally: Arc<Tally>,
    ports: Ports,
    calls: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl<S: Service> Connection<S> {
    /// A new connection; its first output is there.
    pub fn new(service: S, ids: PortIds) -> Self {
        let wire = Wire::default();
        wire.send(ToClient::Ready);
        let (tally, ports, calls) = (Arc::default(), Ports::default(), FuturesUnordered::new());
        Self { service, wire, ids, tally, ports, calls }
    }

    /// This connection, whose calls count in `tally`, too.
    #[must_use]
    pub fn counted(self, tally: Arc<Tally>) -> Self {
        Self { tally, ..self }
    }

    /// The service.
    pub fn service(&mut self) -> &mut S {
        &mut self.service
    }

    /// Takes a frame of the client.
    ///
    /// # Errors
    /// A [`Violation`]: the connection should be closed.
    pub fn receive(&mut self, frame: &[u8]) -> Result<(), Violation> {
        match FromClient::decode(frame)? {
            FromClient::CreatePort { number, name } => self.create_port(number, name),
            FromClient::RequestModule { number, port, name } => self.load(number, PortId(port), &name),
            FromClient::Request { number, port, procedure, arguments, payload } => {
                self.tally.calls.add(1);
                if let Err(error) = self.call(number, PortId(port), procedure, arguments, payload) {
                    fail(&self.wire, number, error);
                }
            }
            FromClient::Stream { number, item } => self.stream(number, item)?,
            FromClient::DestroyPort { port } => self.close_port(PortId(port)),
        }
        Ok(())
    }

    /// What is to be written next, once there is something. Cancel-safe.
    pub async fn next_output(&mut self) -> Output {
        poll_fn(|context| {
            loop {
                if let Some(output) = self.output() {
                    return Poll::Ready(output);
                }
                if let Poll::Ready(Some(())) = self.calls.poll_next_unpin(context) {
                    continue;
                }
                // A call that goes on may have said something, too. When none is under way, only another frame of the client
                // changes that.
                return self.output().map_or(Poll::Pending, Poll::Ready);
            }
        })
        .await
    }

    fn output(&self) -> Option<Output> {
        self.wire.pop().map(|outgoing| match outgoing {
            Outgoing::Frame(frame) => {
                if matches!(frame, ToClient::Error { .. }) {
                    self.tally.errors.add(1);
                }
                Output::Frame(encode(frame))
            }
            Outgoing::Then(action) => Output::Then(action),
        })
    }

    fn create_port(&mut self, number: Number, name: String) {
        if self.ports.is_full() {
            return fail(&self.wire, number, CallError("Too many ports".to_owned()));
        }
        if name.len() > MAX_NAME {
            return fail(&self.wire, number, CallError("Port name too long".to_owned()));
        }
        let port = self.ids.next();
        match self.service.create_port(port, &name) {
            Ok(()) => {
                self.ports.add(port, name);
                self.wire.send(ToClient::PortCreated { number, port: port.0 });
            }
            Err(error) => fail(&self.wire, number, error),
        }
    }

    fn close_port(&mut self, port: PortId) {
        if self.ports.remove(port) {
            self.service.port_closed(port);
        }
    }

    /// Forgets a port that the service has closed.
    fn look_after(&mut self, port: PortId) {
        if self.service.is_closed(port) {
            self.close_port(port);
        }
    }

    fn load(&mut self, number: Number, id: PortId, name: &str) {
        self.look_after(id);
        let Some(port) = self.ports.port(id) else {
            return fail(&self.wire, number, CallError(format!("Cannot find port {}", id.0)));
        };
        let Some(module) = port.loaded(name).or_else(|| self.service.module(id, name)) else {
            // Two closing brackets, as the original has them.
            let name: String = name.chars().take(MAX_NAME).collect();
            let message = format!("Module {name} is not available for port {} ({}))", port.name, id.0);
            return fail(&self.wire, number, CallError(message));
        };
        self.wire.send(ToClient::Module { number, port: id.0, procedures: port.load(module) });
    }

    fn call(
        &mut self,
        number: Number,
        id: PortId,
        procedure: u32,
        stream: Option<Number>,
        payload: Bytes,
    ) -> Result<(), CallError> {
        self.look_after(id);
        let port = self.ports.port(id).ok_or_else(|| CallError("invalid portId".to_owned()))?;
        let called = port.procedure(procedure);
        let (module, name) = called
            .ok_or_else(|| CallError(format!("procedureId {procedure} is missing in {} ({}))", port.name, id.0)))?;
        if self.calls.len() >= MAX_CALLS {
            return Err(CallError("Too many calls under way".to_owned()));
        }
        let (mut payload, mut arguments) = (payload, Arguments::none());
        if let Some(stream) = stream {
            // The original looks at one of the two only.
            payload = Bytes::new();
            let taken = || CallError(format!("There is already a handler for messageId {}", stream.0));
            let items = self.wire.open_arguments(stream).ok_or_else(taken)?;
            arguments = Arguments::new(self.wire.clone(), id.0, stream, items);
        }
        let unopened = arguments.unopened();
        let call = self.service.call(id, module, name, payload, arguments);
        self.calls.push(Box::pin(run(self.wire.clone(), id.0, number, unopened, call)));
        Ok(())
    }

    fn stream(&mut self, number: Number, item: StreamItem) -> Result<(), Violation> {
        self.wire.route(number, item).map_err(|_| Violation::Flooded)
    }
}

/// The bytes of a frame. Those of an item hold the item, too, so that its service can count them for as long as they wait.
fn encode(frame: ToClient) -> Bytes {
    let item = match &frame {
        ToClient::Stream { item, .. } if !item.payload.is_empty() => item.payload.clone(),
        _ => return frame.encode(),
    };
    Bytes::from_owner(Encoded { frame: frame.encode(), _item: item })
}

struct Encoded {
    frame: Bytes,
    _item: Bytes,
}

impl AsRef<[u8]> for Encoded {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}
