//! What existing Decentraland kernels and services speak, on Atoll's port.
//!
//! Each module is one door for one kind of client that was written against the original Comms V3 services. A door is
//! handed a [`Region`](atoll_core::region::Region) and gives an axum router or a task; deleting a module breaks nothing
//! but the line that mounts it.
//!
//! - [`bff`]: the WebSocket on which kernels of 2022 and 2023 log in.
//! - [`archipelago_ws`]: the one of explorers since then.
//! - [`livekit`]: rooms for LiveKit's own clients, with data and voice over WebRTC.
//! - [`nats`]: the bus on a NATS cluster, where the halves of a region can run apart or be the originals.
//! - [`signed_login`]: where explorers ask for the connection string of a room that is everybody's.
//! - [`ws_room`]: the rooms where kernels hear each other over WebSockets, in three generations.
//! - [`rpc`]: the remote procedure calls that explorers speak, for any service.
//!
//! This crate is not for rules (they are `atoll-core`'s) and not for byte layouts (they are `atoll-proto`'s).

#![forbid(unsafe_code)]

pub mod archipelago_ws;
pub mod bff;
mod bounded;
mod coordinates;
mod counters;
mod doorway;
mod ended;
mod fixed_adapter;
mod handshake;
mod late;
pub mod livekit;
pub mod nats;
pub mod rpc;
pub mod signed_login;
mod socket;
pub mod ws_room;

pub use coordinates::{Coordinates, CoordinatesError};
pub use counters::{ApiStatus, ByName, Counters, DoorStatus, IceStatus, KernelStatus, RoomPacketsStatus};
pub use doorway::{ClientAddress, Doorway, OriginRule};
pub use fixed_adapter::{FixedAdapter, FixedAdapterError, FixedRoom};
