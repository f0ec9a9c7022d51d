//! Why the store did not do what was asked.

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the database refused")]
    Database(#[from] rusqlite::Error),
    /// The file is not a store of this version.
    #[error("{0}")]
    Foreign(String),
    /// The log or a stored value is not what it was.
    #[error(transparent)]
    Damaged(#[from] DecodeError),
}

impl StoreError {
    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::File { .. } | Self::Foreign(_) => ErrorCode::StoreOpen,
            Self::Database(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    ErrorCode::WriteConflict
                }
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                    ErrorCode::StoreCorrupt
                }
                _ => ErrorCode::StoreOpen,
            },
            Self::Damaged(error) => error.code,
        }
    }
}

/// Builds the error of a stored value that differs from what it was.
pub(crate) fn corrupt(detail: impl Into<String>) -> StoreError {
    StoreError::Damaged(DecodeError::new(ErrorCode::StoreCorrupt, detail))
}
