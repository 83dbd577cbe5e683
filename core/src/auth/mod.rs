//! Who may come in: auth chains, and the challenges they answer.
//!
//! A client proves its address by an auth chain: a list of links that leads from a wallet to the text the server asked
//! for. [`AuthChain::parse`] turns the client's text into links, [`AuthChain::verify`] walks them. Both follow the
//! services that existing clients were written against, surprises included: what those accept is accepted here, what
//! they refuse is refused. Where this module is stricter:
//!
//! - contract wallets (EIP-1654 links) need an Ethereum node: [`AuthChain::verify_asking`] says what to ask it, and
//!   [`AuthChain::verify`] refuses them;
//! - a text is at most [`MAX_CHAIN_BYTES`] long, with at most [`MAX_CHAIN_LINKS`] links;
//! - half of a UTF-16 surrogate pair is refused in a key or a field that is read, and so is a number there that no
//!   double can hold;
//! - some offsets of years in an expiration text are refused, see `javascript_date`.
//!
//! The text is a [`Challenge`], or that of a [`SignedFetch`], which needs no question before it. As nothing in it comes
//! from the server, a [`ReplayCache`] sees to it that it works once.
//!
//! Rooms of their own are entered with a token, too: [`RoomKeys`] makes and checks them, and [`LivekitKeys`] those of LiveKit.
//!
//! Recovering a signer takes some 65 microseconds of CPU, so a chain of the greatest length takes milliseconds: call
//! [`AuthChain::verify`] off the threads that move packets. Time is an argument and so is the randomness of a
//! [`Challenge`]. The secp256k1 crate keeps its tables in a context of its own for each thread; nothing here does.

mod chain;
mod challenge;
mod contract;
mod ephemeral;
mod javascript_date;
mod json;
mod jwt;
mod livekit_token;
mod replay;
mod room_token;
mod signature;
mod signed_fetch;
mod verify;

pub use chain::{AuthChain, ChainError, MAX_CHAIN_BYTES, MAX_CHAIN_LINKS};
pub use challenge::{Challenge, ServerName, ServerNameError};
pub use contract::{ContractAnswer, ContractSignature, ContractWallets, NoEthereumNode};
pub use livekit_token::{
    LIVEKIT_TOKEN_SECONDS, LivekitCaller, LivekitGrants, LivekitKeys, LivekitSource, LivekitToken, LivekitTokenError,
};
pub use replay::{MAX_REMEMBERED_FETCHES, ReplayCache, ReplayError};
pub use room_token::{ROOM_TOKEN_SECONDS, RoomKeys, RoomToken, RoomTokenError};
pub use signed_fetch::{MAX_METADATA_BYTES, SIGNED_FETCH_WINDOW_MS, SignedFetch, SignedFetchError};
pub use verify::{AuthError, Verified, verify};

#[cfg(test)]
pub(crate) mod signing;
