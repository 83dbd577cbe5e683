//! The rules of Atoll: who may come in, which island a peer stands in, and who hears what.
//!
//! This crate is for everything that decides something. It owns no socket, reads no clock and draws no random number:
//! time and randomness come from a [`Host`], packets leave through a [`room::Link`], and other services of the region
//! are met on a [`bus::Bus`]. A whole region can so run inside one test, in virtual time.
//!
//! It is not for protocols: a door (in `edge` or `compat`) turns bytes into the types of [`region`], the only port.

#![forbid(unsafe_code)]

pub mod archipelago;
pub mod auth;
pub mod bus;
pub mod census;
pub mod limit;
pub mod region;
pub mod room;

mod counter;
mod host;

pub use atoll_proto::Address;
pub use counter::Counter;
pub use host::Host;

/// The commit it was built from, if the build was told by the variable `COMMIT_HASH`.
pub const COMMIT_HASH: Option<&str> = match option_env!("COMMIT_HASH") {
    Some(hash) if !hash.is_empty() => Some(hash),
    _ => None,
};
