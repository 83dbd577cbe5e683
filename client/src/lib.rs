//! Rust client of Atoll's native protocol `atoll/1`, over raw QUIC, WebTransport and WebSocket.
//!
//! A [`Client`] logs in with a throw-away [`Wallet`], tells the edge where it stands, and exchanges packets and messages
//! with those who stand near. It comes back after a loss, by whichever way is open, and goes on in its seat:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use atoll_client::{Client, Discovery, Event, Position, Wallet};
//!
//! let edge = Discovery::of("http://127.0.0.1:7480").await?;
//! let client = Client::connect(&edge, &Wallet::random()?, &edge.options()).await?;
//! client.heartbeat(Position { x: 8.0, y: 0.0, z: 8.0 });
//! loop {
//!     match client.next_event().await {
//!         Event::IslandChanged(island) => println!("{} members", island.members.len()),
//!         Event::Packet(packet) => println!("{} bytes from {:?}", packet.payload.len(), packet.name),
//!         Event::Ordered(message) => println!("message {} of {}", message.number, message.sender.name),
//!         Event::Closed(why) => return Err(why.into()),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! [`walkers`] are many such clients in one process, for trying an edge out. [`raw`] is a connection before its login,
//! for tests that speak the protocol by hand.
//!
//! Inside: `session` is the state that outlives connections, without I/O or clock; `link` carries it over one
//! connection; `serve` keeps it on one; `dialer` gets in by the first way that is ready.

#![forbid(unsafe_code)]

mod client;
mod closed;
mod dialer;
mod discovery;
mod doors;
mod endpoint;
mod error;
mod event;
mod limits;
mod link;
mod login;
mod options;
mod queue;
pub mod raw;
mod seat;
mod serve;
mod session;
mod shared;
mod socket;
mod stats;
mod target;
mod tls;
mod trust;
pub mod walkers;
mod wallet;

pub use atoll_proto::archipelago::Position;
pub use client::{Client, SendError};
pub use closed::Closed;
pub use discovery::{Discovery, DiscoveryError};
pub use doors::Doors;
pub use endpoint::Endpoint;
pub use error::{ConnectError, LoginError};
pub use event::{Event, Island, Lane, Member, Message, Packet, Room, Subscription, TopicMessage, TopicScope};
pub use limits::Limits;
pub use login::signed_fetch;
pub use options::{Options, Proof};
pub use stats::Stats;
pub use target::{Target, TargetError, Way};
pub use trust::{CertificateDigest, DigestError, Trust, TrustError};
pub use wallet::{AuthLink, SigningKey, Wallet, WalletError, auth_chain_json, ephemeral_message, signed_fetch_text};
