//! Why a session ends.

use super::control::{Clogged, ControlError};
use atoll_core::region::LoginError;
use atoll_proto::close::CloseCode;

/// Why a session ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(super) code: CloseCode,
    /// For a person to read; sent with the code.
    pub(super) reason: String,
}

impl Ending {
    pub(crate) fn new(code: CloseCode, reason: impl ToString) -> Self {
        Self { code, reason: reason.to_string() }
    }

    pub(super) fn shutting_down() -> Self {
        Self::new(CloseCode::ShuttingDown, "the edge is shutting down")
    }
}

impl From<ControlError> for Ending {
    fn from(error: ControlError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<Clogged> for Ending {
    fn from(clogged: Clogged) -> Self {
        Self::new(CloseCode::TooSlow, clogged)
    }
}

impl From<LoginError> for Ending {
    fn from(error: LoginError) -> Self {
        let code = match error {
            LoginError::Unauthorized(_)
            | LoginError::OtherSigner
            | LoginError::TooManyContracts
            | LoginError::SignedFetch(_) => CloseCode::Unauthorized,
            LoginError::Full | LoginError::Busy | LoginError::NoEthereumNode(_) => CloseCode::Overloaded,
            LoginError::Ending => CloseCode::ShuttingDown,
            LoginError::Internal => CloseCode::Internal,
        };
        Self::new(code, error)
    }
}
