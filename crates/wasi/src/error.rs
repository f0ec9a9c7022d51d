//! Why a program cannot become a module.

use alloc::string::{String, ToString};
use core::fmt;

use kapsule_abi::ErrorCode;
use wasm_encoder::reencode;

/// A program or an option that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WasiError {
    /// E004, E008, E401, E403 or E404.
    pub code: ErrorCode,
    /// What was found and what is allowed, in one lower-case line.
    pub detail: String,
}

impl WasiError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl fmt::Display for WasiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for WasiError {}

impl From<wasmparser::Error> for WasiError {
    fn from(error: wasmparser::Error) -> Self {
        let detail = alloc::format!("{} (offset {})", error.message(), error.offset());
        Self::new(ErrorCode::ModuleInvalid, detail)
    }
}

impl From<reencode::Error> for WasiError {
    fn from(error: reencode::Error) -> Self {
        Self::new(ErrorCode::ModuleInvalid, error.to_string())
    }
}
