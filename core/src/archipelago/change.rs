//! What goes into an engine beside positions, and what comes out.

use std::sync::Arc;

/// A peer's identity: its address, in the callers' spelling. Cheap to clone.
pub type PeerId = Arc<str>;

/// An island's identity: the prefix and a number in base 36. Cheap to clone.
pub type IslandId = Arc<str>;

/// The island a heartbeat asks for. It is a wish: it only chooses among islands that would be joined anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DesiredRoom<'a> {
    /// The heartbeat does not say: what was asked for before stays.
    #[default]
    Keep,
    /// No preference from now on.
    Clear,
    /// This island's id. An empty text is no preference.
    Set(&'a str),
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It was taken.
    Accepted,
    /// It was turned away without effect: the peer is refused, or its position is absurd ([`Rules::Product`](super::Rules) only).
    Refused,
    /// The original raises here because the peer's island is gone (the two older rule sets only). What the original did before
    /// raising is done.
    Raised,
}

/// What a flush announces about one peer. There is at most one for each peer in a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The peer is in another island now.
    Moved {
        /// Who.
        peer: PeerId,
        /// The island it is in.
        island: IslandId,
        /// The island it was in; `None` for a newcomer.
        from: Option<IslandId>,
    },
    /// The peer is in no island any more.
    Left {
        /// Who.
        peer: PeerId,
        /// The island it was in.
        island: IslandId,
    },
}
