//! The types that prost generates from the files in `proto/`, one module for each package.

/// Comms V3's control messages, with float coordinates (April 2023 and later).
pub mod archipelago {
    include!(concat!(env!("OUT_DIR"), "/decentraland.kernel.comms.v3.rs"));
}

/// The control messages that had double coordinates until April 2023: what kernels read over the BFF's RPC.
pub mod archipelago_2022 {
    include!(concat!(env!("OUT_DIR"), "/decentraland.kernel.comms.v3_2022.rs"));
}

/// The services of Comms V3's BFF.
#[allow(missing_docs, reason = "a field whose name says everything has no comment in bff.proto")]
pub mod bff {
    include!(concat!(env!("OUT_DIR"), "/decentraland.bff.rs"));
}

/// Remote procedure calls as explorers speak them; see [`crate::call`].
#[allow(missing_docs, reason = "a field whose name says everything has no comment in rpc.proto")]
pub mod rpc {
    include!(concat!(env!("OUT_DIR"), "/decentraland.rpc.rs"));
}

/// The control messages of the native protocol `atoll/1`.
#[allow(missing_docs, reason = "a field whose name says everything has no comment in atoll.proto")]
pub mod atoll {
    include!(concat!(env!("OUT_DIR"), "/atoll.v1.rs"));
}

/// What peers sent each other from July to October 2022.
#[allow(clippy::module_inception, reason = "prost puts the cases of `Data` into a module of that name")]
pub mod data {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}

/// What peers send each other since October 2022 (RFC-4).
pub mod rfc4 {
    include!(concat!(env!("OUT_DIR"), "/decentraland.kernel.comms.rfc4.rs"));
}

/// What a WebSocket room and its peers say to each other since September 2022 (RFC-5).
pub mod rfc5 {
    include!(concat!(env!("OUT_DIR"), "/decentraland.kernel.comms.rfc5.rs"));
}

/// What a WebSocket room and its peers said to each other until September 2022.
pub mod ws_2022 {
    include!(concat!(env!("OUT_DIR"), "/protocol_ws.rs"));
}
