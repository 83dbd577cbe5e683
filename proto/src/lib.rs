//! Wire formats of Atoll, without I/O and without a clock.
//!
//! - [`atoll`] with [`framing`] and [`datagram`]: the native protocol `atoll/1`, as docs/protocol.md tells it;
//!   [`lanes`] are its ordered and large messages, [`channel`] is how all of it goes over a WebSocket.
//! - [`archipelago`], [`archipelago_2022`], [`rfc4`], [`data`]: the messages of Comms V3 that existing kernels and
//!   services speak.
//! - [`rfc5`], [`ws_2022`]: what WebSocket rooms speak, of each generation; [`room_frames`] writes it for many at once, and
//!   [`translation`] puts what their peers say into the words of the other generation.
//! - [`call`] with [`rpc`], [`bff`]: the remote procedure calls of Comms V3's BFF.
//! - [`decode`] reads any of these messages as the original implementations do; write them with [`prost::Message`].
//! - [`peek`] tells what a packet between peers is, without decoding it.
//! - [`Address`], [`ethereum`]: who a peer is. [`close`]: why a connection ended.

#![forbid(unsafe_code)]

pub mod address;
pub mod call;
pub mod channel;
pub mod close;
pub mod datagram;
pub mod ethereum;
pub mod framing;
pub mod lanes;
mod lenient;
mod messages;
mod peek;
pub mod room_frames;
pub mod translation;

pub use crate::address::Address;
pub use crate::lenient::{Decode, DecodeError, decode};
pub use crate::messages::{archipelago, archipelago_2022, atoll, bff, data, rfc4, rfc5, rpc, ws_2022};
pub use crate::peek::{PacketKind, Peek, peek};
