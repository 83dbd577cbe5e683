//! `CommsDirectorService`: heartbeats, and the connection strings that follow from them. The original declared it and never
//! served it.

use super::encoded;
use super::peer::Peer;
use crate::rpc::CallError;
use atoll_proto::bff::{SetCommsAdapter, WorldCommand, world_command};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

/// A command for each island that the peer is put into, the present one first; only the latest waits.
/// They end with the session, which they do not hold.
pub(super) fn commands(peer: &Peer) -> BoxStream<'static, Result<Bytes, CallError>> {
    stream::unfold(peer.connection_strings(), |mut strings| async move {
        loop {
            strings.changed().await.ok()?;
            let current = strings.borrow_and_update().clone();
            if let Some(connection_string) = current {
                let command = world_command::Message::SetCommsAdapter(SetCommsAdapter { connection_string });
                return Some((Ok(encoded(&WorldCommand { message: Some(command) })), strings));
            }
        }
    })
    .boxed()
}
