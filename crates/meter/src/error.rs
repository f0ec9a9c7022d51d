//! Why a module is refused.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use kapsule_abi::ErrorCode;

/// A module outside the profile, the limits or the ABI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterError {
    /// E004, E005 or E401 to E404.
    pub code: ErrorCode,
    /// Byte offset in the module, where one is known.
    pub offset: Option<u64>,
    /// Index of the function in the function index space, where the fault lies in one.
    pub function: Option<u32>,
    /// Name of the refused feature, for E402.
    pub feature: Option<&'static str>,
    /// What was found and what is allowed, in one lower-case line.
    pub detail: String,
}

impl MeterError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, offset: None, function: None, feature: None, detail: detail.into() }
    }

    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    pub(crate) fn in_function(mut self, function: u32) -> Self {
        self.function.get_or_insert(function);
        self
    }

    pub(crate) fn limit(what: &str, found: u64, allowed: u64) -> Self {
        Self::new(
            ErrorCode::LimitExceeded,
            alloc::format!("{what} {found} exceeds the limit of {allowed}"),
        )
    }

    pub(crate) fn feature(name: &'static str, profile: crate::Profile) -> Self {
        let detail = alloc::format!("feature {name} is outside profile {profile}");
        let error = Self::new(ErrorCode::ModuleFeatureRefused, detail);
        Self { feature: Some(name), ..error }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::ModuleInvalid, detail)
    }
}

impl fmt::Display for MeterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        match (self.function, self.offset) {
            (Some(function), Some(offset)) => write!(f, " (function {function}, offset {offset})"),
            (None, Some(offset)) => write!(f, " (offset {offset})"),
            (Some(function), None) => write!(f, " (function {function})"),
            (None, None) => Ok(()),
        }
    }
}

impl core::error::Error for MeterError {}

impl From<wasmparser::Error> for Box<MeterError> {
    fn from(error: wasmparser::Error) -> Self {
        Self::new(error.into())
    }
}

impl From<Box<MeterError>> for MeterError {
    fn from(error: Box<MeterError>) -> Self {
        *error
    }
}

impl From<wasmparser::Error> for MeterError {
    fn from(error: wasmparser::Error) -> Self {
        Self::invalid(error.message()).at(error.offset())
    }
}
