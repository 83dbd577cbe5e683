//! Resume tokens as they are kept.

/// What is kept of a token: who reads this memory cannot take a session over, and looking a guess up takes the same time
/// however close it is.
pub(super) type Hash = [u8; 32];

/// A token that was shown, and is valid no more unless it is restored.
pub(super) struct Shown(pub(super) Hash);
