//! `kernels.*`.

use atoll_compat::{archipelago_ws, bff};

/// What existing kernels are taken to have, where they do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kernels {
    /// Those at the BFF.
    pub bff: bff::Settings,
    /// Those at archipelago's WebSocket.
    pub archipelago: archipelago_ws::Settings,
}
