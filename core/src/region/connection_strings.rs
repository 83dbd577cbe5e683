//! How a client is told where its island's packets flow.

pub use crate::archipelago::service::OFFLINE;

use super::{Capabilities, Transport};
use atoll_proto::Address;
use std::fmt::Debug;

/// Writes the connection strings of island changes that come from Atoll's own archipelago service. The edge that holds the
/// sessions knows its doors, so it decides.
pub trait ConnectionStrings: Debug + Send + Sync + 'static {
    /// Where the session of `address` finds the room of `island`; [`OFFLINE`] when there is no way that its client can use.
    fn write(&self, island: &str, address: Address, client: Capabilities) -> String;

    /// Whether such a client is told of its islands at all. Who was sent to a room of its own would leave it for them.
    fn tells_of_islands(&self, _client: Capabilities) -> bool {
        true
    }
}

/// `quic:<island>` for clients that have datagrams on their session's connection, [`OFFLINE`] for others.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeOnly;

impl ConnectionStrings for NativeOnly {
    fn write(&self, island: &str, _: Address, client: Capabilities) -> String {
        if client.includes(Transport::Quic) { format!("quic:{island}") } else { OFFLINE.to_owned() }
    }
}
