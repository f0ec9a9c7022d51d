//! The error of every reader in this crate.

use alloc::format;
use alloc::string::String;
use core::fmt;

use kapsule_abi::ErrorCode;

/// Why bytes or text were refused.
///
/// Prints as `detail (offset n)`; the code is printed by the tool, which knows the context.
///
/// # Spec
/// `spec/errors.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct DecodeError {
    /// Stable code.
    pub code: ErrorCode,
    /// Byte offset from the start of the input, where one byte can be blamed.
    pub offset: Option<u64>,
    /// What was found and what was allowed.
    pub detail: String,
}

impl DecodeError {
    /// Creates an error without an offset.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, offset: None, detail: detail.into() }
    }

    /// Creates an error at a byte offset.
    pub fn at(code: ErrorCode, offset: usize, detail: impl Into<String>) -> Self {
        Self { code, offset: Some(offset as u64), detail: detail.into() }
    }

    /// Moves the offset by `base`, for input that is a part of a larger file.
    pub fn shifted(mut self, base: u64) -> Self {
        self.offset = self.offset.map(|offset| offset.saturating_add(base));
        self
    }

    /// Puts the name of the enclosing structure before the detail.
    pub fn within(mut self, what: &str) -> Self {
        self.detail = format!("{what}: {}", self.detail);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        match self.offset {
            Some(offset) => write!(f, " (offset {offset})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for DecodeError {}
