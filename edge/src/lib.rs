//! Atoll's edge: the doors to a region, and the process around them.
//!
//! [`Edge::start`] opens everything and gives the addresses; [`Edge::close`] ends it in order. The rules are in
//! `atoll-core`; this crate turns sockets into calls of its region port. It is not for clients: see `atoll-client`.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod http;
pub mod native;
pub mod outbound;
pub mod quic;
pub mod ws;

mod certificate;
mod cluster;
mod edge;
mod host;
mod livekit;

pub use cluster::{ClusterError, Membership};
pub use edge::{Edge, Options, StartError};
pub use livekit::LivekitError;
