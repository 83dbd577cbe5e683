//! Calls under way: from a result or a stream of results to frames.

use super::arguments::Unopened;
use super::wire::{Reply, Wire, end};
use super::{Answer, Call, CallError};
use atoll_proto::call::{Number, StreamItem, ToClient};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::future::poll_fn;
use std::task::Poll;

type Results = BoxStream<'static, Result<Bytes, CallError>>;

/// Runs a call to its end. `arguments` is the client's stream, closed after the result if nobody opened it.
pub(super) async fn run(wire: Wire, port: u32, number: Number, arguments: Option<Unopened>, call: Call) {
    match call {
        Call::Unary(result) => answer(&wire, number, result.await),
        Call::Stream(results) => {
            let outcome = stream(&wire, port, number, results).await;
            wire.forget(number);
            if let Err(error) = outcome {
                fail(&wire, number, error);
            }
        }
    }
    if let Some(unopened) = arguments {
        unopened.close(&wire, port);
    }
}

fn answer(wire: &Wire, number: Number, result: Result<Answer, CallError>) {
    match result {
        Ok(Answer { payload, afterwards }) => {
            wire.send(ToClient::Response { number, payload });
            if let Some(action) = afterwards {
                wire.then(action);
            }
        }
        Err(error) => fail(wire, number, error),
    }
}

/// Tells the client that a call failed.
pub(super) fn fail(wire: &Wire, number: Number, CallError(message): CallError) {
    let message = if message.is_empty() { "Error processing the request".to_owned() } else { message };
    wire.send(ToClient::Error { number, message });
}

/// Offers a stream, then sends item by item, each when the one before was acknowledged.
async fn stream(wire: &Wire, port: u32, number: Number, mut results: Results) -> Result<(), CallError> {
    let send = |item| wire.send(ToClient::Stream { number, port, item });
    let item = |sequence, payload| StreamItem { sequence, payload, closed: false, ack: false };
    let mut reply = wire.wait(number, 0);
    send(item(0, Bytes::new()));
    match reply.await {
        Ok(Reply::Acknowledged) => {}
        Ok(Reply::Neither) => return Err(CallError("Error in logic, ACK must be true".to_owned())),
        // The other end of the reply is gone when a later call took the number: that one goes on.
        Ok(Reply::Closed) | Err(_) => return Ok(()),
    }
    for sequence in 1.. {
        // The original learns that its client has gone only when it has something to send, and keeps a subscription
        // that nobody hears until then.
        let next = tokio::select! {
            biased;
            next = next(wire, &mut results) => next,
            Ok(()) = wire.closing(number) => return Ok(()),
        };
        let Some(result) = next else {
            send(end(sequence - 1));
            return Ok(());
        };
        let payload = result?;
        reply = wire.wait(number, sequence);
        send(item(sequence, payload));
        if !matches!(reply.await, Ok(Reply::Acknowledged | Reply::Neither)) {
            return Ok(());
        }
    }
    Ok(())
}

/// The next result. It is asked for only when it can go soon: what waits in a stream is for the service to bound.
async fn next(wire: &Wire, results: &mut Results) -> Option<Result<Bytes, CallError>> {
    poll_fn(|context| match wire.poll_room(context) {
        Poll::Ready(()) => results.poll_next_unpin(context),
        Poll::Pending => Poll::Pending,
    })
    .await
}
