//! Why a host cannot be set up.

use std::io;
use std::path::Path;

use kapsule_abi::ErrorCode;

/// Something that the caller named cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SetupError {
    /// Stable code.
    pub code: ErrorCode,
    /// What was found and what is allowed.
    pub detail: String,
}

impl SetupError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(ErrorCode::StoreOpen, format!("{}: {error}", path.display()))
    }
}
