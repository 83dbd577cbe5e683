//! Rust client of Atoll's native protocol `atoll/1`, over WebTransport and over raw QUIC.
//!
//! A [`Client`] logs in with a throw-away [`Wallet`], tells the edge where it stands, and exchanges packets with those
//! who stand near:
//!
//! ```no_run
//! # async fn example(digest: atoll_client::CertificateDigest) -> Result<(), Box<dyn std::error::Error>> {
//! use atoll_client::{Client, Event, Options, Position, Target, Wallet};
//!
//! let target = Target::webtransport("https://127.0.0.1:7443")?;
//! let client = Client::connect(&target, &Wallet::random()?, &Options::pinned(digest)).await?;
//! client.heartbeat(Position { x: 8.0, y: 0.0, z: 8.0 });
//! loop {
//!     match client.next_event().await {
//!         Event::IslandChanged(island) => println!("{} members", island.members.len()),
//!         Event::Packet(packet) => println!("{} bytes from {:?}", packet.payload.len(), packet.name),
//!         Event::Closed(why) => return Err(why.into()),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! [`walkers`] are many such clients in one process, for trying an edge out. [`raw`] is a connection before its login,
//! for tests that speak the protocol by hand.

#![forbid(unsafe_code)]

mod client;
mod closed;
mod discovery;
mod endpoint;
mod error;
mod event;
mod login;
mod queue;
pub mod raw;
mod seat;
mod session;
mod socket;
mod target;
mod tls;
pub mod walkers;
mod wallet;

pub use atoll_proto::archipelago::Position;
pub use client::{Client, Limits, SendError};
pub use closed::Closed;
pub use discovery::{Discovery, DiscoveryError};
pub use endpoint::Endpoint;
pub use error::{ConnectError, LoginError};
pub use event::{Event, Island, Member, Packet, Stats};
pub use target::{CertificateDigest, DigestError, Options, Target, TargetError, Trust, Way};
pub use wallet::{AuthLink, SigningKey, Wallet, WalletError, auth_chain_json, ephemeral_message};
